"""The report of a split, as a person sees it: its page, its text, its pictures."""

import json
import re
import warnings
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
import seqeval.metrics
from browser import dom_of, overflow_of
from made_up import NASTY, made_up_report, tags

from nerlab.evaluation.analysis import analyse
from nerlab.evaluation.files import read_predictions, write_report
from nerlab.evaluation.pages import Pictures, TrainingSplit
from nerlab.evaluation.report import Report, metrics
from nerlab.reports import charts
from nerlab.reports.charts import Line, chart, thinned, ticks
from nerlab.reports.report import write_report_pages

FILES = {"metrics.json", "predictions.conll", "predictions.jsonl"}
FILES |= {"analysis.json", "report.html", "report.txt"}
TRAINING = TrainingSplit({"Anna": Counter(PER=2)}, 1000, made_up_report(40, split="train"))


class Page(HTMLParser):
    """The rows of each table, the ids, the targets of links, the tags that are open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag != "meta":
            self.open.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.targets += [given[key] for key in ("href", "src") if key in given]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("line", "polyline", "circle")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data

    def table(self, first: str) -> dict[str, list[str]]:
        """The rows of the first table whose first column has this heading, by their names."""
        found = next(table for table in self.tables if table[0][0] == first)
        return {row[0]: row[1:] for row in found[1:]}


def written(
    report: Report, folder: Path, training: TrainingSplit | str = TRAINING
) -> tuple[str, Pictures]:
    """The page of a report, and what draws its pictures."""
    directory = folder / "evaluation" / report.split
    directory.mkdir(parents=True)
    write_report(report, directory)
    pictures = write_report_pages(folder, [(report, directory)], training)
    assert {path.name for path in directory.iterdir()} == FILES
    return (directory / "report.html").read_text(encoding="utf-8"), pictures


def test_the_page_agrees_with_metrics_json_and_seqeval(tmp_path: Path) -> None:
    report = made_up_report(60)
    page = Page(written(report, tmp_path)[0])
    folder = tmp_path / "evaluation" / "dev"
    found = json.loads((folder / "metrics.json").read_text())
    rows = page.table("type")
    for name, score in [*found["per_type"].items(), ("all", found)]:
        measures = [f"{100 * score[key]:.2f}" for key in ("precision", "recall", "f1")]
        assert [rows[name][i] for i in (0, 2, 4, 6)] == [*measures, f"{score['support']:,}"]
    gold, predicted = tags(read_predictions(folder / "predictions.jsonl"))
    for position, measure in ((0, "precision_score"), (2, "recall_score"), (4, "f1_score")):
        theirs = getattr(seqeval.metrics, measure)(gold, predicted)
        assert rows["all"][position] == f"{100 * theirs:.2f}"
    theirs = seqeval.metrics.classification_report(gold, predicted, output_dict=True)
    assert rows["PER"][4] == f"{100 * theirs['PER']['f1-score']:.2f}"
    tokens = page.table("measure")["token accuracy"]
    assert tokens == [f"{100 * seqeval.metrics.accuracy_score(gold, predicted):.2f}"]
    assert page.table("")["F1"][1] == rows["all"][4]  # train, dev


def test_every_number_of_a_table_is_in_a_file_beside_it(tmp_path: Path) -> None:
    page = Page(written(made_up_report(60), tmp_path)[0])
    numbers: set[str] = set()

    def collect(value: object) -> None:
        if isinstance(value, dict | list):
            for part in value.values() if isinstance(value, dict) else value:
                collect(part)
        elif isinstance(value, int | float):
            numbers.update((f"{value:,}", f"{100 * value:.2f}", f"{value:g}"))

    for name in ("metrics.json", "analysis.json"):
        collect(json.loads((tmp_path / "evaluation" / "dev" / name).read_text()))
    cells = [cell for table in page.tables for row in table[1:] for cell in row[1:]]
    assert len(cells) > 150
    names = {"–", "0"}  # and the shares of the errors, which have one digit
    missing = [
        part
        for cell in cells
        for part in re.split(" (?:to|of) ", cell)
        if part and part not in numbers | names and not re.fullmatch(r"\d+\.\d", part)
    ]
    assert missing == []


@pytest.mark.parametrize("density", [0.0, 0.3])
def test_a_report_is_sound_and_without_anything_from_elsewhere(
    tmp_path: Path, density: float
) -> None:
    html, _ = written(made_up_report(30, density=density), tmp_path)
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    assert {target.removeprefix("#") for target in page.targets} <= set(page.ids)
    assert "://" not in html
    assert "<script" not in html


@pytest.mark.parametrize("sentences", [0, 1])
def test_a_report_of_next_to_nothing_is_written(tmp_path: Path, sentences: int) -> None:
    empty = Report(
        "test", [["a"]] * sentences, [["O"]] * sentences, [["O"]] * sentences, [], [[]] * sentences
    )
    html, pictures = written(empty, tmp_path)
    Page(html)
    assert all(picture.startswith(b"\x89PNG") for picture in pictures().values())


def test_whatever_words_and_types_a_file_has_are_shown_and_do_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        odd = made_up_report(40, words=NASTY, labels=[*NASTY, "x" * 9_999])
        html, pictures = written(odd, tmp_path / "</script>", "no\x1b[31m <b>file</b>")
        pictures()
    Page(html)
    assert "<script" not in html
    assert "<b>file" not in html
    text = (tmp_path / "</script>" / "evaluation" / "dev" / "report.txt").read_text("utf-8")
    for shown in (html, text):
        assert not any(sign in shown for sign in "\x1b\u202e\ud800")
        assert "中文" in shown
    assert '<bdi class="label">' in html


def test_examples_show_gold_and_predicted_in_context(tmp_path: Path) -> None:
    words = [f"w{i}" for i in range(50)]
    gold, predicted = ["O"] * 50, ["O"] * 50
    gold[30:32], predicted[30] = ["B-PER", "E-PER"], "S-PER"
    gold[2] = predicted[2] = "S-LOC"
    report = Report("dev", [words], [gold], [predicted], ["PER"], [[0.75, 0.875]], [7], "0")
    html, _ = written(report, tmp_path)
    plain = re.sub("<[^>]*>", "", html)
    assert "sentence 0, document 7" in plain
    assert "w29 w30 w31PER w32" in plain
    assert "w29 w30PER 0.88 w31 w32" in plain
    text = (tmp_path / "evaluation" / "dev" / "report.txt").read_text()
    assert "w29 [w30 w31 PER] w32" not in text  # not certain enough
    assert "w2LOC" not in plain  # too far away
    assert plain.count("… w1") == 2


def test_of_an_entity_that_is_long_the_beginning_is_shown(tmp_path: Path) -> None:
    size = 90
    gold = ["B-PER", *["I-PER"] * (size - 2), "E-PER"]
    predicted = [*["O"] * (size - 1), "S-LOC"]
    words = [f"w{i}" for i in range(size)]
    html, _ = written(Report("dev", [words], [gold], [predicted], [], [[0.95]]), tmp_path)
    plain = re.sub("<[^>]*>", "", html)
    assert "w0 w1 w2" in plain
    assert "both: PER found as LOC" in plain
    assert "w80" not in plain


def test_the_entity_in_question_stands_out(tmp_path: Path) -> None:
    gold = ["S-LOC", "O", "S-LOC", "S-PER"]
    predicted = ["S-LOC", "S-ORG", "S-ORG", "S-PER"]
    report = Report("dev", [list("abcd")], [gold], [predicted], [], [[0.5, 0.9, 0.8, 0.7]])
    html, _ = written(report, tmp_path)
    for kind, line, marked in (
        ("type", "gold", "c"),
        ("type", "predicted", "c"),
        ("spurious", "gold", ""),
        ("spurious", "predicted", "b"),
    ):
        example = html.partition(f"<h3>{kind}: 1</h3>")[2]
        shown = example.partition(f'"who">{line}')[2].partition("</span></div>")[0]
        found = re.findall(r"<mark( class=\"back\")? style=[^>]*>(.)", shown)
        assert len(found) == (3 if line == "gold" else 4)
        assert "".join(text for back, text in found if not back) == marked


def test_hundreds_of_types_and_long_words_make_no_large_page(tmp_path: Path) -> None:
    labels = [f"{i}-{'😀' * 60}" for i in range(300)]
    report = made_up_report(300, words=["😀" * 500, "a"], labels=labels, density=1.0)
    html, _ = written(report, tmp_path)
    assert len(html.encode()) < 5_000_000


@pytest.mark.long
def test_the_page_of_50_000_sentences_is_below_5_megabytes(tmp_path: Path) -> None:
    html, _ = written(made_up_report(50_000), tmp_path)
    assert 100_000 < len(html.encode()) < 5_000_000


def test_the_text_has_the_tables_of_the_page(tmp_path: Path) -> None:
    report = made_up_report(60)
    page = Page(written(report, tmp_path)[0])
    text = (tmp_path / "evaluation" / "dev" / "report.txt").read_text("utf-8")
    rows = [line.split() for line in text.splitlines()]
    for table in page.tables:
        for name, *cells in table[1:]:
            words = " ".join([name, *cells]).split()
            assert words in rows
    assert max(map(len, text.splitlines())) < 200


def test_learning_curves_are_those_of_the_run(tmp_path: Path) -> None:
    lines = [{"step": i, "epoch": 1, "train/loss": 1 / i} for i in range(1, 1000)]
    more = [{"step": 500, "dev/f1": 0.5}, {"step": 999, "dev/f1": 0.75}, [], {"step": "a"}]
    text = "".join(json.dumps(line) + "\n" for line in [*lines, *more])
    (tmp_path / "metrics.jsonl").write_text(text + '{"step": 1, "dev/f1": NaN}\n{broken')
    html, _ = written(made_up_report(5), tmp_path)
    assert "Loss, nats a token" in html
    points = re.findall(r'points="([^"]*)"', html)
    assert 100 < len(points[0].split()) <= 300
    assert len(points[1].split()) == 2


def test_a_run_without_curves_has_none(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").symlink_to("/etc/passwd")
    html, _ = written(made_up_report(5), tmp_path)
    assert "Loss" not in html


def test_a_line_lies_where_its_points_are() -> None:
    made = chart("", "", [Line("", [(0, 0), (5, 50), (10, 100)], "")], (0, 10), (0, 100))
    assert made is not None
    bottom, right = charts.HEIGHT - charts.BOTTOM, charts.WIDTH - charts.RIGHT
    middle = ((charts.LEFT + right) / 2, (charts.TOP + bottom) / 2)
    assert made.lines[0].points == [(charts.LEFT, bottom), middle, (right, charts.TOP)]
    assert (made.x_ticks[0], made.x_ticks[-1]) == ((charts.LEFT, "0"), (right, "10"))
    assert (made.y_ticks[0], made.y_ticks[-1]) == ((bottom, "0"), (charts.TOP, "100"))


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0, 100), (3, 4), (0.9, 0.95), (1, 12345), (-2, 7), (1e-9, 2e-9)]
)
def test_ticks_are_a_few_round_numbers_in_the_range(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 3 <= len(found) <= 9
    assert all(low <= tick <= high for tick in found)
    steps = {f"{b - a:.1e}"[0] for a, b in zip(found, found[1:], strict=False)}
    assert len(steps) == 1
    assert steps < {"1", "2", "5"}


def test_points_are_thinned_to_the_means_of_neighbours() -> None:
    assert thinned([(1.0, 2.0)] * 300) == [(1.0, 2.0)] * 300
    found = thinned([(float(i), 2.0 * i) for i in range(601)])
    assert len(found) == 201
    assert found[0] == (1.0, 2.0)


def test_pictures_are_drawn_once_and_named_by_the_split(tmp_path: Path) -> None:
    _, pictures = written(made_up_report(20), tmp_path)
    found = pictures()
    names = ("scores", "confusions", "errors", "calibration")
    assert list(found) == [f"best/dev/{name}" for name in names]
    assert all(picture.startswith(b"\x89PNG") for picture in found.values())
    assert pictures() is found


@pytest.mark.long
def test_of_hundreds_of_types_the_commonest_are_drawn(tmp_path: Path) -> None:
    labels = [*map(str, range(1_000)), *["common"] * 300]
    _, pictures = written(made_up_report(400, labels=labels), tmp_path)
    for picture in pictures().values():
        assert 100 < int.from_bytes(picture[16:20], "big") < 5_000


@pytest.mark.long
def test_a_browser_shows_the_figures_and_a_phone_has_no_need_to_scroll_sideways(
    tmp_path: Path,
) -> None:
    report = made_up_report(60)
    written(report, tmp_path)
    page = tmp_path / "evaluation" / "dev" / "report.html"
    dom = dom_of(page)
    assert f'<div class="value">{100 * metrics(report)["f1"]:.2f}</div>' in dom
    analysis = analyse(report, [report], TRAINING)
    for found in analysis.numbers["errors"].values():
        assert f"{found['count']:,}" in dom
    assert overflow_of(page, 390) <= 0
