"""``python -m nerlab`` as a person calls it; check as a process of its own too."""

import json
from pathlib import Path

import pytest
from conftest import ROOT, Result, run_process, run_script

from nerlab.__main__ import VERBS
from nerlab.config import CONF


def run(folder: Path, *arguments: str, encoding: str = "utf-8") -> Result:
    """Run a verb in a folder, in this process, where the standard streams have this encoding."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run_script("nerlab/__main__", *arguments, encoding=encoding)


def run_alone(folder: Path, *arguments: str, **env: str) -> Result:
    """Run a verb in a folder, as a person would."""
    return run_process(["-m", "nerlab", *arguments], folder, PYTHONPATH=str(ROOT), **env)


def test_without_a_verb_and_with_help_the_verbs_are_listed(tmp_path: Path) -> None:
    bare, helped = run_alone(tmp_path), run(tmp_path, "--help")
    assert bare == helped
    assert (bare.status, bare.err) == (0, "")
    listed = [line.split()[0] for line in bare.out.split("\n") if line.startswith("  ")]
    assert listed == list(VERBS)


def test_every_verb_has_a_file_and_a_configuration_of_its_name() -> None:
    for verb in VERBS:
        assert (ROOT / "nerlab" / "commands" / f"{verb}.py").is_file()
        assert (CONF / f"{verb}.yaml").is_file()


def test_an_unknown_verb_is_one_line(tmp_path: Path) -> None:
    result = run(tmp_path, "data=conll")
    assert (result.status, result.out) == (1, "")
    assert result.err == f"error: 'data=conll': no such verb; expected {', '.join(VERBS)}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_a_help_with_examples_and_every_key(tmp_path: Path, verb: str) -> None:
    result = run(tmp_path, verb, "--help")
    assert (result.status, result.err) == (0, "")
    of_runs = {"compare": "runs/", "explain": "checkpoint=", "export": "checkpoint="}
    of_runs["serve"] = "checkpoint="
    assert f"python -m nerlab {verb} {of_runs.get(verb, 'data=conll2003')}" in result.out
    own = {"compare": ("split:",), "serve": ("host:", "port:")}.get(
        verb, ("format:",) if verb in of_runs else ("reader:", "scheme:")
    )
    output = () if verb in ("summary", "serve") else ("output:",)
    for key in (*output, "debug:", *own):
        assert key in result.out
    assert ("device:" in result.out) == (verb in ("explain", "serve"))


def test_a_misspelt_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    result = run(tmp_path, "check", "data.shceme=iob1")
    assert (result.status, result.out) == (1, "")
    assert result.err == "error: data.shceme: no such key; the nearest is data.scheme\n"


def test_check_prints_one_document_and_nothing_else_as_json(corpus: Path, tmp_path: Path) -> None:
    arguments = ("check", "data=conll", f"data.dir={corpus}", "format=json")
    result = run(tmp_path, *arguments)
    assert (result.status, result.err) == (0, "")
    document = json.loads(result.out)
    assert document["splits"]["train"]["sentences"] == 40
    assert list(tmp_path.iterdir()) == []
    assert run(tmp_path, *arguments, "output=a, b.json") == (0, "", "")
    assert (tmp_path / "a, b.json").read_text() == result.out


def test_check_exits_with_status_one_if_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text("a O\nb\u200bc I-X\n", encoding="utf-8")
    arguments = ("check", "data=conll", "data.dev=null")
    result = run(tmp_path, *arguments, encoding="latin-1")
    assert (result.status, result.err) == (1, "error: 1 error found in the data, see above\n")
    assert "train.conll:2: tag 'I-X' follows 'O', which iob2 forbids" in result.out
    assert r"b\u200bc" in result.out
    repaired = run(tmp_path, *arguments, "data.repair=true")
    assert (repaired.status, repaired.err) == (0, "")
    assert "warning  train: tags that iob2 forbids: 1; read by conlleval" in repaired.out


def test_what_is_converted_is_the_same_corpus_to_check(corpus: Path, tmp_path: Path) -> None:
    result = run(tmp_path, "convert", "data=conll", f"data.dir={corpus}", "output=out", "to=bmes")
    assert (result.status, result.err) == (0, "")
    assert result.out == (
        "written: out/train.conll  40 sentences\nwritten: out/dev.conll  26 sentences\n"
    )
    facts = []
    for arguments in ((f"data.dir={corpus}",), ("data.dir=out", "data.scheme=bmes")):
        checked = run(tmp_path, "check", "data=conll", "format=json", *arguments)
        assert (checked.status, checked.err) == (0, "")
        splits = json.loads(checked.out)["splits"]
        facts.append({split: splits[split] | {"file": ""} for split in splits})
    assert facts[0] == facts[1]


def test_convert_asks_for_an_output_and_refuses_one_that_is_there(
    corpus: Path, tmp_path: Path
) -> None:
    result = run(tmp_path, "convert", "data=conll", f"data.dir={corpus}")
    assert (result.status, result.out) == (1, "")
    assert result.err == "error: output=... is needed; --help says what it takes\n"
    (tmp_path / "dev.conll").write_text("precious")
    result = run(tmp_path, "convert", "data=conll", f"data.dir={corpus}", "output=.")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("error: dev.conll: exists; set overwrite=true")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize(
    ("to", "scheme"), [("bio", "iob2"), ("bioul", "bilou"), ("iobes", "iobes")]
)
def test_convert_knows_a_scheme_by_its_common_names(
    corpus: Path, tmp_path: Path, to: str, scheme: str
) -> None:
    arguments = ("convert", "data=conll", f"data.dir={corpus}", "split=dev")
    for name, output in ((to, "a"), (scheme, "b")):
        assert run(tmp_path, *arguments, f"to={name}", f"output={output}").status == 0
    a, b = (tmp_path / output / "dev.conll" for output in "ab")
    assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize("key", ["to", "format", "split"])
@pytest.mark.parametrize("value", ["[iob2]", "{a: 1}", "null", "5"])
def test_convert_refuses_what_is_no_name(tmp_path: Path, key: str, value: str) -> None:
    result = run(tmp_path, "convert", "data=conll", "output=out", f"{key}={value}")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"error: {key}=")
    assert result.err.count("\n") == 1


def test_stats_are_written_under_the_name_of_the_data(corpus: Path, tmp_path: Path) -> None:
    result = run(tmp_path, "stats", "data=conll", f"data.dir={corpus}")
    assert (result.status, result.err) == (0, "")
    folder = Path("stats", "conll")
    assert result.out == f"written: {folder}/index.html\nwritten: {folder}/statistics.json\n"
    plain = json.loads((tmp_path / folder / "statistics.json").read_text())
    assert plain["splits"]["train"]["sentences"] == 40
    page = (tmp_path / folder / "index.html").read_text(encoding="utf-8")
    assert "Aygün Əliyeva" in page
    assert [path.name for path in tmp_path.iterdir()] == ["stats"]
