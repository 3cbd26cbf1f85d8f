"""``python -m nerlab subwords``: the file it writes, what it prints, and what it refuses."""

from collections import Counter
from pathlib import Path

import pytest
from conftest import Result, run_script
from sentencepiece import SentencePieceProcessor


def run(folder: Path, *arguments: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run_script("nerlab/__main__", "subwords", "data=conll", "coverage=1", *arguments)


def tokens_of(path: Path) -> Counter[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return Counter(line.split()[0] for line in lines if line and "-DOCSTART-" not in line)


def test_the_file_is_trained_on_train_alone_and_the_figures_are_those_counted_by_hand(
    corpus: Path, tmp_path: Path
) -> None:
    arguments = (f"data.dir={corpus}", "vocab_size=80")
    result = run(tmp_path, *arguments, "output=new/a.model")
    assert (result.status, result.err) == (0, "")
    processor = SentencePieceProcessor(model_file=str(tmp_path / "new" / "a.model"))
    lines = result.out.splitlines()
    assert lines[0] == f"written: new/a.model  {len(processor)} pieces"
    for line, split in zip(lines[1:], ("train", "dev"), strict=True):
        tokens = list(tokens_of(corpus / f"{split}.conll").elements())
        pieces = [processor.encode(token) for token in tokens]
        each = sum(map(len, pieces)) / len(tokens)
        share = sum(0 in row for row in pieces) / len(tokens)
        assert line == f"{split:<6} {each:.2f} pieces a token, {share:.3%} with an unknown one"
    assert run(tmp_path, *arguments, "output=b.model", "data.dev=null").out.count("\n") == 2
    assert (tmp_path / "b.model").read_bytes() == (tmp_path / "new" / "a.model").read_bytes()


def test_unknown_characters_of_dev_are_counted(tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text("ab O\nba O\n")
    (tmp_path / "dev.conll").write_text("ab O\nxb O\nab O\nab O\n")
    result = run(tmp_path, "vocab_size=10", "output=a.model", "algorithm=bpe")
    assert "train  1.00 pieces a token, 0.000% with an unknown one" in result.out
    assert "25.000% with an unknown one" in result.out.splitlines()[-1]


def test_each_warning_of_a_reader_has_a_line(tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text("ab B-PER\nba O\nab I-LOC\n")
    (tmp_path / "dev.conll").write_text("ab O\n")
    result = run(tmp_path, "data.repair=true", "vocab_size=10", "output=a.model")
    *warnings, written, _, _ = result.out.splitlines()
    assert written.startswith("written: a.model")
    assert warnings
    assert all(line.startswith("warning: ") for line in warnings)


def test_what_is_there_is_kept_unless_overwrite_is_true(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "a.model").write_text("precious")
    arguments = (f"data.dir={corpus}", "vocab_size=80", "output=a.model")
    result = run(tmp_path, *arguments)
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("error: a.model: exists; set overwrite=true, or output=FILE")
    assert run(tmp_path, *arguments, "overwrite=true", "vocab_size=9").status == 1
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]
    assert run(tmp_path, *arguments, "overwrite=true").status == 0
    assert (tmp_path / "a.model").read_bytes() != b"precious"


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("vocab_size=20", "vocab_size=20: expected at least "),
        ("vocab_size=0", "vocab_size=0: expected a whole number, 4 to "),
        ("algorithm=word", "algorithm='word': expected unigram or bpe"),
        ("coverage=0.5", "coverage=0.5: expected a number, 0.98 to 1"),
        ("data.train=x", "x: no such file"),
        ("output=.", "error: .: exists"),
    ],
)
def test_a_wrong_option_is_one_line(
    corpus: Path, tmp_path: Path, argument: str, problem: str
) -> None:
    result = run(tmp_path, f"data.dir={corpus}", "output=a.model", argument)
    assert (result.status, result.out) == (1, "")
    assert problem in result.err
    assert result.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
