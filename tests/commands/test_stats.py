"""The exploratory look: its numbers, counted again more slowly, and its page."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from statistics import mean, median_low
from typing import Any

import pytest
from browser import dom_of, overflow_of
from corpora import DATA, compose_data, real
from helpers import one_in
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_up import NASTY
from omegaconf import OmegaConf

from nerlab.commands.counts import SplitCounts
from nerlab.commands.stats import Numbers, page, run, statistics_of
from nerlab.data.sentence import Sentence
from nerlab.tags import spans_of


def counted(sentences: list[Sentence]) -> SplitCounts:
    counts = SplitCounts("file")
    for sentence in sentences:
        counts.add(sentence, spans_of(sentence.tags))
    return counts


def look_at(**splits: list[Sentence]) -> Numbers:
    return statistics_of({split: counted(s) for split, s in splits.items()})


def counts_of(frequencies: Numbers) -> dict[str, int]:
    return {name: frequency["count"] for name, frequency in frequencies.items()}


class Cells(HTMLParser):
    """The texts of the cells of all tables, the ids and the targets of links."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "td":
            self.cells.append("")
        if tag != "meta":
            self.open.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.targets += [given[key] for key in ("href", "src") if key in given]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.cells[-1] += data


words = st.sampled_from(["a", "b", "c", "d", "New", "York", *NASTY])
labels = st.sampled_from(["PER", "LOC", "O-O", "x<y", "型"])
tags = st.just("O") | st.builds("{}-{}".format, st.sampled_from("BI"), labels)
rows = st.lists(st.tuples(words, tags), min_size=1, max_size=7)
texts = st.lists(
    rows.map(lambda pairs: Sentence([w for w, _ in pairs], [t for _, t in pairs])), max_size=8
)


@settings(max_examples=60)
@given(texts)
def test_the_numbers_are_those_of_a_slower_count(sentences: list[Sentence]) -> None:
    found = look_at(train=sentences)["splits"]["train"]
    tokens = [token for sentence in sentences for token in sentence.tokens]
    entities = [
        (" ".join(sentence.tokens[start:end]), label, end - start)
        for sentence in sentences
        for start, end, label in spans_of(sentence.tags)
    ]
    assert (found["sentences"], found["tokens"], found["distinct_tokens"]) == (
        len(sentences),
        len(tokens),
        len(set(tokens)),
    )
    assert found["words_seen_once"] == sum(tokens.count(token) == 1 for token in set(tokens))
    for distribution, numbers in (
        (found["sentence_lengths"], [len(s.tokens) for s in sentences]),
        (found["entities_per_sentence"], [len(spans_of(s.tags)) for s in sentences]),
        (found["entity_lengths"], [length for _, _, length in entities]),
        *(
            (of_label, [length for _, other, length in entities if other == label])
            for label, of_label in found["entity_lengths_by_label"].items()
        ),
    ):
        if not numbers:
            assert distribution is None
            continue
        assert distribution is not None
        assert distribution["counts"] == Counter(numbers)
        assert distribution["mean"] == pytest.approx(mean(numbers))
        assert distribution["median"] == median_low(numbers)
        assert distribution["maximum"] == max(numbers)
        above = sum(number > distribution["percentile_95"] for number in numbers)
        at_least = sum(number >= distribution["percentile_95"] for number in numbers)
        assert above <= 0.05 * len(numbers) < at_least
    assert counts_of(found["labels"]) == Counter(label for _, label, _ in entities)
    assert counts_of(found["tags"]) == Counter(t for s in sentences for t in s.tags)
    for label, top in found["frequent_entities"].items():
        times = Counter(text for text, other, _ in entities if other == label)
        assert [*counts_of(top).values()] == sorted(times.values(), reverse=True)[:10]
        assert counts_of(top).items() <= times.items()
        for frequency in top.values():
            assert frequency["share"] == pytest.approx(frequency["count"] / times.total())
    ranked = sorted(Counter(tokens).values(), reverse=True)
    assert list(found["ranks"]) == [rank for rank in (1, 2, 5, 10, 20, 50) if rank <= len(ranked)]
    for rank, frequency in found["ranks"].items():
        assert frequency["count"] == ranked[rank - 1]
        assert frequency["share"] == pytest.approx(sum(ranked[:rank]) / len(tokens))
    inside = [{span.label for span in spans_of(s.tags)} for s in sentences]
    assert list(found["together"]) == list(found["labels"])
    for label, row in found["together"].items():
        assert row == {
            b: sum({label, b} <= present for present in inside) for b in found["together"]
        }


def test_labels_stand_in_one_order_in_all_splits() -> None:
    one, other = Sentence(["a"], ["B-ONE"]), Sentence(["b"], ["B-TWO"])
    found = look_at(train=[one, other, other, other], dev=[one, one], test=[one])
    for split in found["splits"].values():
        assert [*split["together"]] == [*split["together"]["ONE"]] == ["ONE", "TWO"]
    assert list(found["splits"]["train"]["entity_lengths_by_label"]) == ["ONE", "TWO"]
    assert found["splits"]["test"]["together"] == {
        "ONE": {"ONE": 1, "TWO": 0},
        "TWO": {"ONE": 0, "TWO": 0},
    }


def test_forms_with_several_labels_are_those_of_all_splits_together() -> None:
    train = [Sentence(["Jordan", "Air", "Eve"], ["B-PER", "B-ORG", "B-PER"])] * 2
    found = look_at(train=train, dev=[Sentence(["Jordan"], ["B-LOC"])])
    (form,) = found["ambiguous"]
    assert (form["name"], form["count"], form["labels"]) == ("Jordan", 3, {"PER": 2, "LOC": 1})
    assert (found["ambiguous_forms"], found["forms"]) == (1, 3)


def numbers_of(plain: Any) -> set[float]:
    """Every number in a JSON value."""
    if isinstance(plain, dict):
        return {float(key) for key in plain if key.isdecimal()} | numbers_of(list(plain.values()))
    if isinstance(plain, list):
        return {number for value in plain for number in numbers_of(value)}
    return {plain} if isinstance(plain, int | float) else set()


def written(output: Path, *data: str) -> tuple[str, Any]:
    """The page and the numbers that stats writes."""
    config = OmegaConf.create({"output": str(output), "name": "corpus", "trust": None})
    config.data = compose_data(*data)
    run(config)
    html = (output / "index.html").read_text(encoding="utf-8")
    return html, json.loads((output / "statistics.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", one_in(4, ["demo", "weibo", "azerbaijani", "conll2003", "wnut17"]))
def test_every_number_of_the_page_is_in_the_json(tmp_path: Path, name: str) -> None:
    data = [f"data={name}"]
    if name != "demo":
        folder = DATA / {"weibo": "weibo_zh"}.get(name, name)
        if not folder.is_dir():
            pytest.skip(f"needs {folder}; set NERLAB_DATA to the folder of the corpora")
        data += [f"data.dir={folder}", *["data.test=null"] * (name == "conll2003")]
    html, plain = written(tmp_path, *data)
    numbers = numbers_of(plain)
    forms = {f"{n:,.0f}" for n in numbers} | {f"{n:.2f}" for n in numbers} | {"0", "0.0 %"}
    forms |= {f"{100 * n:.1f} %" for n in numbers}
    strings = set(re.findall(r'"((?:[^"\\]|\\.)*)"', json.dumps(plain, ensure_ascii=False)))
    cells = [cell for cell in Cells(html).cells if re.fullmatch(r"[0-9][0-9,.]*( %)?", cell)]
    assert len(cells) > 200
    assert [cell for cell in cells if cell not in forms and cell not in strings] == []


def test_the_page_is_whole_and_needs_nothing_else(tmp_path: Path) -> None:
    html, plain = written(tmp_path, "data=demo")
    parsed = Cells(html)
    assert parsed.open == []
    assert "<script" not in html
    assert len(parsed.ids) == len(set(parsed.ids))
    # Links lead to places of the page itself, and each is there.
    assert parsed.targets
    assert {target[1:] for target in parsed.targets} <= set(parsed.ids)
    assert all(target.startswith("#") for target in parsed.targets)
    assert re.findall(r"url\(|@import|<link|<img", html) == []
    assert html.count("<figure") == 3 * 3  # lengths of each split
    for split in plain["splits"].values():
        assert f"{split['sentences']:,}" in parsed.cells
        lengths = split["entity_lengths"]
        for length, count in lengths["counts"].items():
            is_shown = int(length) <= 2 * lengths["percentile_95"]  # the page says so
            assert not is_shown or f'title="{length}: {count}"></span>' in html
    again, _ = written(tmp_path, "data=demo")
    assert again == html


@settings(max_examples=15)
@given(train=texts, dev=texts)
@example(train=[Sentence(NASTY, ["B-<b>"] * len(NASTY))], dev=[])
def test_no_string_of_a_corpus_breaks_the_page(train: list[Sentence], dev: list[Sentence]) -> None:
    html = page(look_at(train=train, dev=dev), "<title> & \ud800")
    html.encode()
    assert Cells(html).open == []
    assert "<script" not in html
    assert "\u202e" not in html
    assert ("alert(1)" in html) == any("script" in t for s in train + dev for t in s.tokens)


def test_a_corpus_of_nothing_has_a_page() -> None:
    html = page(look_at(train=[], dev=[]), "nothing")
    assert "<figure" not in html
    assert Cells(html).open == []


def test_illegal_tags_are_refused_unless_they_are_repaired(tmp_path: Path) -> None:
    real("azerbaijani/train_words")
    names = ("data=azerbaijani", f"data.dir={DATA / 'azerbaijani'}")
    with pytest.raises(ValueError, match=r"train_words:33: tag 'I-DATE' follows 'O', .*repair"):
        written(tmp_path, *names, "data.repair=false")
    _, plain = written(tmp_path, *names)
    assert plain["splits"]["train"]["entities"] == 2_642


def test_an_error_that_check_finds_is_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text("a O\nb I-X\n")
    (tmp_path / "dev.conll").write_text("a O\n")
    with pytest.raises(ValueError, match=r"train\.conll:2: tag 'I-X' follows 'O'.*repair=true"):
        written(tmp_path / "out", "data=conll", f"data.dir={tmp_path}", "data.repair=false")
    assert not (tmp_path / "out").exists()


def test_a_test_file_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    for split in ("train", "dev"):
        (tmp_path / f"{split}.conll").write_text("a B-X\n")
    _, plain = written(
        tmp_path / "out", "data=conll", f"data.dir={tmp_path}", "data.test=test.conll"
    )
    assert plain["splits"].keys() == {"train", "dev"}


@pytest.mark.parametrize("test", ["null", "nowhere.conll"])
def test_a_corpus_that_is_cut_by_hash_is_counted_whole(tmp_path: Path, test: str) -> None:
    (tmp_path / "all.conll").write_text("\n".join(f"word{i} B-X\n" for i in range(60)))
    names = ("data.train=all.conll", "data.dev=null", f"data.test={test}", "data.split=hash")
    _, found = written(tmp_path / "out", "data=conll", f"data.dir={tmp_path}", *names)
    assert list(found["splits"]) == ["train", "dev", "test"][: 3 - (test != "null")]
    assert sum(split["sentences"] for split in found["splits"].values()) == 60


def test_nothing_is_written_when_a_split_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text("a O\n")
    with pytest.raises(ValueError, match=r"dev\.conll: no such file"):
        written(tmp_path / "out", "data=conll", f"data.dir={tmp_path}")
    assert [path.name for path in tmp_path.iterdir()] == ["train.conll"]


def test_findings_come_first_then_examples_with_their_entities(tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text("Bob B-PER\nran O\n\nBob B-PER\nran O\n")
    (tmp_path / "dev.conll").write_text("Bob B-LOC\n")
    html, plain = written(tmp_path / "out", "data=conll", f"data.dir={tmp_path}")
    assert "<title>corpus</title>" in html
    places = [
        html.index(text) for text in ("that repeat an earlier one", "Bob<bdi", "distinct words")
    ]
    assert places == sorted(places)
    assert [finding["kind"] for finding in plain["findings"]].count("duplicate") == 1
    assert plain["splits"]["dev"]["examples"] == [
        {"tokens": ["Bob"], "entities": [{"start": 0, "end": 1, "label": "LOC"}]}
    ]


@pytest.mark.parametrize("width", one_in(2, [390, 1280]))
def test_a_browser_shows_the_figures(tmp_path: Path, width: int) -> None:
    _, plain = written(tmp_path, "data=demo")
    assert overflow_of(tmp_path / "index.html", width) <= 0
    shown = dom_of(tmp_path / "index.html")
    assert f'<div class="value">{plain["entities"]:,}</div>' in shown
    assert f'<td class="n">{plain["splits"]["train"]["words_seen_once"]:,}</td>' in shown
