"""The three scripts from end to end, on a tiny corpus."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from conftest import ROOT, SMALL_MODEL, Result, run_cold, run_process, run_script
from fork_server import start_python
from helpers import reseal
from safetensors.torch import load_file

TEXTS = [
    "Anna Smith flew to Berlin .",
    "In Bakı Aygün Əliyeva met Eve, in İstanbul.",
    "北京 Li Wei met Eve。",
    "In القاهرة محمد met Eve .",
    "👩‍👩‍👧‍👦 Tom flew to Rome 🇦🇿 👍🏽!",
    "\"Eve\" 'flew' = f(x), ${x} \\${y} \\ {a: b} [1] # @ ~ % \\",
    "In Oslo\nTom met Eve\n",
    "  ",
]


def entities_of(line: str) -> list[str]:
    """The entities of a line of JSON, after a look at their offsets."""
    found = json.loads(line)
    assert found.keys() == {"text", "entities"}
    for entity in found["entities"]:
        assert entity.keys() == {"text", "label", "start", "end", "score"}
        assert found["text"][entity["start"] : entity["end"]] == entity["text"]
        assert 0 <= entity["score"] <= 1
    return [entity["text"] for entity in found["entities"]]


@pytest.fixture(scope="module")
def workplace(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where train.py has run as a process of its own, told nothing but what it needs."""
    folder = tmp_path_factory.mktemp("workplace")
    shutil.copytree(corpus, folder / "data")
    command = [str(ROOT / "train.py"), *SMALL_MODEL, "data.dir=data"]
    result = run_cold(command, folder)
    assert (result.status, result.err) == (0, "")
    assert "all, strict" in result.out
    assert result.out.rstrip().splitlines()[-1].startswith("done: runs/")
    return folder


def test_training_makes_a_run_and_points_latest_to_it(workplace: Path) -> None:
    assert sorted(path.name for path in workplace.iterdir()) == ["data", "runs"]
    (run,) = (path for path in (workplace / "runs").iterdir() if path.name != "latest")
    assert run.name.endswith("-bilstm_crf-conll")
    assert (workplace / "runs" / "latest").resolve() == run


def test_another_process_with_the_same_seed_gives_the_same_weights(
    workplace: Path, run: Path
) -> None:
    part = Path("checkpoints", "best", "model.safetensors")
    ours, theirs = (load_file(of / part) for of in (workplace / "runs" / "latest", run))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_evaluation_in_a_new_process_gives_the_numbers_of_training(workplace: Path) -> None:
    folder = workplace / "runs" / "latest" / "evaluation" / "dev"
    names = ("metrics.json", "predictions.conll")
    before = [(folder / name).read_bytes() for name in names]
    for name in names:
        (folder / name).unlink()
    command = [str(ROOT / "evaluate.py"), "checkpoint=runs/latest", "split=dev"]
    result = run_process(command, workplace)
    assert (result.status, result.err) == (0, "")
    assert [(folder / name).read_bytes() for name in names] == before
    f1 = json.loads(before[0])["f1"]
    assert f"{100 * f1:.2f}" in result.out
    assert sorted(path.name for path in workplace.iterdir()) == ["data", "runs"]


def test_text_of_any_kind_goes_through_the_real_command_line(workplace: Path) -> None:
    text = " ".join(TEXTS)
    command = [str(ROOT / "predict.py"), "checkpoint=runs/latest", f"text={text}"]
    result = run_process(command, workplace, LC_ALL="C", PYTHONIOENCODING="latin-1")
    assert (result.status, result.err) == (0, "")
    assert json.loads(result.out)["text"] == text
    assert "Anna Smith" in entities_of(result.out)
    assert sorted(path.name for path in workplace.iterdir()) == ["data", "runs"]


def test_an_error_is_one_line_and_status_one_as_a_process(tmp_path: Path) -> None:
    result = run_process([str(ROOT / "train.py"), "data=conll", "data.dir=nowhere"], tmp_path)
    assert result.status == 1
    assert result.err.startswith("error: nowhere/train.conll: no such file")
    assert (result.err.count("\n"), result.out) == (1, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_of_any_script_is_tagged_with_its_offsets(run: Path, text: str) -> None:
    result = run_script("predict", f"checkpoint={run}", f"text={text}")
    assert (result.status, result.err) == (0, "")
    assert json.loads(result.out)["text"] == text
    assert bool(entities_of(result.out)) == bool(text.strip())


def test_bytes_that_are_no_unicode_are_kept_as_python_has_them(run: Path) -> None:
    text = b"Eve met \xff".decode("utf-8", "surrogateescape")
    result = run_script("predict", f"checkpoint={run}", f"text={text}")
    assert json.loads(result.out)["text"] == text


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("source", ["file", "stdin"])
def test_every_line_of_the_input_is_a_text(
    run: Path, tmp_path: Path, source: str, end: str
) -> None:
    texts = [text for text in TEXTS if "\n" not in text] + ["", "form\x0cfeed\x85 \u2028"]
    texts.append("In Oslo Omar met Eve .")
    content = b"\xef\xbb\xbf" + end.join(texts).encode()  # with a byte order mark
    path = tmp_path / "a=b, (c).txt"
    path.write_bytes(content)
    place, stdin = (str(path), b"") if source == "file" else ("-", content)
    result = run_script("predict", f"checkpoint={run}", f"input={place}", stdin=stdin)
    assert (result.status, result.err) == (0, "")
    lines = result.out.split("\n")
    assert lines.pop() == ""
    assert [json.loads(line)["text"] for line in lines] == texts
    assert "Eve" in entities_of(lines[-1])


def test_a_carriage_return_inside_a_line_is_a_part_of_it(run: Path) -> None:
    result = run_script("predict", f"checkpoint={run}", "input=-", stdin=b"a\rb\r\r\nc\r")
    assert [json.loads(line)["text"] for line in result.out.splitlines()] == ["a\rb\r", "c\r"]


def test_input_that_is_not_utf8_is_named_with_its_line(run: Path, tmp_path: Path) -> None:
    path, output = tmp_path / "latin.txt", tmp_path / "out.jsonl"
    path.write_bytes(b"fine\ncaf\xe9\n")
    output.write_text("older")
    arguments = (f"checkpoint={run}", f"input={path}", f"output={output}")
    result = run_script("predict", *arguments)
    assert result.status == 1
    assert result.err.startswith(f"error: {path}:2: byte 0xe9 is not UTF-8")
    assert result.err.count("\n") == 1
    assert output.read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latin.txt", "out.jsonl"]


def test_the_formats_agree_and_are_the_same_in_a_file(run: Path, tmp_path: Path) -> None:
    outs = {}
    for name in ("jsonl", "conll", "table"):
        arguments = (f"checkpoint={run}", f"text={TEXTS[0]}", f"format={name}")
        outs[name] = run_script("predict", *arguments).out
        path = tmp_path / f"out, put.{name}"
        assert run_script("predict", *arguments, f"output={path}") == (0, "", "")
        assert path.read_text(encoding="utf-8") == outs[name] != ""
    entities = json.loads(outs["jsonl"])["entities"]
    rows = [line.split() for line in outs["conll"].splitlines() if line]
    assert [row[0] for row in rows] == TEXTS[0].split()
    begun = [row[1][2:] for row in rows if row[1].startswith("B-")]
    assert begun == [entity["label"] for entity in entities]
    for entity in entities:
        place = f"{entity['start']}-{entity['end']}"
        row = f"{entity['label']} {entity['score']:.3f} {place} {entity['text']}"
        assert row in " ".join(outs["table"].split())


def test_output_into_a_folder_that_is_not_there_is_one_line(run: Path, tmp_path: Path) -> None:
    output = tmp_path / "none" / "out"
    result = run_script("predict", f"checkpoint={run}", "text=Eve", f"output={output}")
    assert result.status == 1
    assert str(output) in result.err
    assert "No such file or directory" in result.err


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


def f1(folder: Path) -> float:
    return float(json.loads((folder / "metrics.json").read_text())["f1"])


def evaluate(run: Path, *arguments: str) -> Result:
    result = run_script("evaluate", f"checkpoint={run}", *arguments)
    assert (result.status, result.err) == (0, "")
    return result


def test_all_splits_are_scored_at_once(copy: Path) -> None:
    result = evaluate(copy, "split=all")
    for split, size in (("train", 40), ("dev", 26), ("test", 13)):
        assert f"{split}: {size} sentences" in result.out
        path = copy / "evaluation" / split / "predictions.conll"
        assert path.read_text(encoding="utf-8").count("\n\n") == size


def test_a_file_in_place_of_a_split(copy: Path, corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "a=b [bold] (1).conll"
    shutil.copy(corpus / "dev.conll", path)
    result = evaluate(copy, f"path={path}")
    assert f1(copy / "evaluation" / path.stem) == f1(copy / "evaluation" / "dev")
    assert f"{path.stem}: 26 sentences" in result.out
    assert f"written: {copy / 'evaluation' / path.stem}" in result.out


def test_a_file_of_the_name_of_a_split_does_not_pass_for_it(copy: Path, tmp_path: Path) -> None:
    before = (copy / "evaluation" / "dev" / "metrics.json").read_bytes()
    path = tmp_path / "dev.conll"
    path.write_text("Nobody B-PER\ncame O\n")
    evaluate(copy, f"path={path}")
    assert (copy / "evaluation" / "dev" / "metrics.json").read_bytes() == before


def test_the_data_may_have_moved(copy: Path, corpus: Path, tmp_path: Path) -> None:
    config = copy / "checkpoints" / "best" / "config.yaml"
    config.write_text(config.read_text().replace(str(corpus), str(tmp_path / "gone")))
    reseal(config.parent)
    missing = run_script("evaluate", f"checkpoint={copy}")
    assert missing.status == 1
    assert f"{tmp_path / 'gone'}/dev.conll: no such file" in missing.err
    moved = shutil.copytree(corpus, tmp_path / "mo=ved")
    shutil.rmtree(copy / "evaluation")
    evaluate(copy, f"data.dir={moved}")
    assert 0.5 < f1(copy / "evaluation" / "dev") < 1


@pytest.mark.parametrize("place", ["run", "checkpoints/last/"])
def test_a_report_is_written_to_the_run_or_to_the_output(
    copy: Path, tmp_path: Path, place: str
) -> None:
    shutil.rmtree(copy / "evaluation")
    checkpoint = copy if place == "run" else f"{copy}/{place}"
    evaluate(Path(checkpoint), f"output={tmp_path / 'out'}")
    assert not (copy / "evaluation").exists()
    assert (tmp_path / "out" / "evaluation" / "dev" / "metrics.json").exists()
    evaluate(Path(checkpoint))
    assert (copy / "evaluation" / "dev" / "metrics.json").exists()


def test_a_checkpoint_of_the_current_directory_belongs_to_its_run(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(copy / "evaluation")
    monkeypatch.chdir(copy / "checkpoints" / "best")
    evaluate(Path("."))
    assert (copy / "evaluation" / "dev" / "metrics.json").exists()


def test_an_unknown_gold_label_is_missed_and_said(copy: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.conll"
    path.write_text("Eve B-PER\nmet O\nOxygen B-GAS\n")
    result = evaluate(copy, f"path={path}")
    assert "labels that the model does not know, all missed: GAS" in result.out
    found = json.loads((copy / "evaluation" / "new" / "metrics.json").read_text())
    assert found["unknown_labels"] == ["GAS"]
    assert found["per_type"]["GAS"]["recall"] == 0


@pytest.mark.parametrize(
    ("content", "override", "remedy"),
    [
        (b"Eve B-PER\nmet I-PER\nTom I-LOC\n", "data.repair=true", "data.repair=true"),
        (b"Eve U-PER\nmet O\n", "data.scheme=bilou", "data.scheme"),
        (b"Ev\xe9 B-PER\nmet O\n", "data.reader.encoding=cp1252", "data.reader.encoding"),
        (b"Ev\xe9 B-PER\nmet O\n", "+data.reader.encoding=cp1252", "data.reader.encoding"),
    ],
)
def test_a_file_is_read_otherwise_as_its_error_advises(
    copy: Path, tmp_path: Path, content: bytes, override: str, remedy: str
) -> None:
    path = tmp_path / "odd.conll"
    path.write_bytes(content)
    result = run_script("evaluate", f"checkpoint={copy}", f"path={path}")
    assert result.status == 1
    assert remedy in result.err
    evaluate(copy, f"path={path}", override)


def test_another_reader_than_that_of_the_run_reads_a_file(copy: Path, tmp_path: Path) -> None:
    path = tmp_path / "words.csv"
    path.write_text("n;Word;type\n1;Eve;B-PER\n;met;O\n2;Oslo;B-LOC\n;rained;O\n")
    options = ("data.reader.delimiter=;", "data.reader.sentence_column=n")
    chosen = (f"path={path}", "data/reader=table", "data.reader.tag_column=type", *options)
    assert "words: 2 sentences" in evaluate(copy, *chosen).out


def test_a_key_that_the_reader_of_the_run_lacks_is_named(copy: Path) -> None:
    result = run_script("evaluate", f"checkpoint={copy}", "data.reader.delimiter=;")
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "data.reader" in result.err
    assert "'delimiter'" in result.err


@pytest.mark.parametrize("value", ["0.5", "true", "[1]", "x"])
def test_a_reader_that_is_no_section_is_one_line(copy: Path, value: str) -> None:
    result = run_script("evaluate", f"checkpoint={copy}", f"data.reader={value}")
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert result.err.startswith("error: data")


def test_a_sweep_makes_a_run_for_each_seed(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = (*SMALL_MODEL, "trainer.epochs=1", f"data.dir={corpus}", "seed=1,2")
    result = run_script("train", "-m", *arguments)
    assert (result.status, result.err) == (0, "")
    runs = sorted(path.parent for path in Path("runs").glob("sweeps/2*/*/config.yaml"))
    assert [run.name for run in runs] == ["seed-1", "seed-2"]
    for run in runs:
        assert f"seed: {run.name[-1]}" in (run / "config.yaml").read_text().split("\n")
    assert (tmp_path / "runs" / "latest").resolve() == runs[1].resolve()
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_a_sweep_goes_on_after_a_failure_and_is_no_success(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = (*SMALL_MODEL, "trainer.epochs=1", f"data.dir={corpus}")
    result = run_script("train", "-m", *arguments, "data.train=none.conll,train.conll")
    assert result.status == 1
    assert "none.conll: no such file" in result.err
    assert "Traceback" not in result.err
    assert len(list(Path("runs").glob("sweeps/2*/*/evaluation/dev/metrics.json"))) == 1


@pytest.mark.parametrize(
    ("command", "module"),
    [
        (["train.py"], "omegaconf"),
        (["evaluate.py"], "hydra"),
        (["predict.py"], "torch"),
        (["nerlab/__main__.py", "check"], "omegaconf"),
        pytest.param(["train.py"], "nerlab.training.experiment", marks=pytest.mark.long),
    ],
)
def test_an_interrupt_while_modules_are_imported_is_one_word(
    tmp_path: Path, command: list[str], module: str
) -> None:
    """The signal comes just when ``module`` is about to be imported."""
    code = (
        "import os, runpy, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == module: os.kill(os.getpid(), signal.SIGINT)\n"
        "module, script, *sys.argv[1:] = sys.argv[1:]\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "runpy.run_path(script, run_name='__main__')\n"
    )
    script, *arguments = command
    result = run_cold(["-c", code, module, str(ROOT / script), *arguments], tmp_path)
    assert result == (130, "", "interrupted\n")


def test_importing_nerlab_alone_imports_no_torch(tmp_path: Path) -> None:
    """Else an interrupt of ``python -m nerlab`` would come before anything can catch it."""
    code = "import sys, nerlab; print('torch' in sys.modules, 'load' in dir(nerlab))"
    assert run_cold(["-c", code], tmp_path) == (0, "False True\n", "")


def closed_pipe() -> int:
    """A descriptor to write to which nobody reads."""
    read, write = os.pipe()
    os.close(read)
    return write


@pytest.mark.parametrize(
    "command",
    [
        ["predict.py", "--help"],
        ["predict.py", "checkpoint=RUN", "text=Eve"],
        pytest.param(["predict.py", "checkpoint=RUN", "input=-"], marks=pytest.mark.long),
        pytest.param(["evaluate.py", "--cfg=job", "checkpoint=RUN"], marks=pytest.mark.long),
        pytest.param(["nerlab/__main__.py", "check"], marks=pytest.mark.long),
        pytest.param(["nerlab/__main__.py"], marks=pytest.mark.long),
    ],
)
def test_output_that_nobody_reads_ends_without_a_word(
    run: Path, tmp_path: Path, command: list[str]
) -> None:
    pipe = closed_pipe()
    source = tmp_path / "input"
    source.write_bytes(b"Eve met Tom.\n" * 20_000)
    arguments = [argument.replace("RUN", str(run)) for argument in command]
    with source.open() as stdin:
        process = start_python(arguments, ROOT, stdin=stdin.fileno(), stdout=pipe)
    os.close(pipe)
    _, err = process.communicate()
    assert (process.wait(), err) == (128 + signal.SIGPIPE, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_output_that_does_not_fit_is_one_line(run: Path) -> None:
    with open("/dev/full", "wb") as full:
        command = ["predict.py", f"checkpoint={run}", "text=Eve"]
        process = start_python(command, ROOT, stdout=full.fileno())
    _, err = process.communicate()
    assert (process.wait(), err) == (1, "error: No space left on device\n")
