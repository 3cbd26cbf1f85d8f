"""The corpus shipped in data/: what its generator writes, and hard enough."""

import subprocess
import sys
from pathlib import Path

import pytest

from nerlab.data.corpus import Corpus, build_corpus
from nerlab.data.readers.conll import read
from nerlab.tags import spans_of

DATA = Path(__file__).resolve().parent.parent / "data"


def load(split: str) -> Corpus:
    path = DATA / "demo" / f"{split}.conll"
    return build_corpus(read(path, 0, -1, "utf-8"), "iob2", False, str(path))


def mentions(corpus: Corpus) -> list[tuple[str, str]]:
    return [
        (" ".join(corpus.sentence_tokens(i)[span.start : span.end]), span.label)
        for i in range(len(corpus))
        for span in spans_of(corpus.sentence_tags(i))
    ]


def test_the_files_are_what_the_generator_writes() -> None:
    command = [sys.executable, str(DATA / "generate.py"), str(DATA / "demo"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_that_differs_is_told(tmp_path: Path) -> None:
    for path in (DATA / "demo").rglob("*.*"):
        copy = tmp_path / path.relative_to(DATA / "demo")
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (tmp_path / "dev.conll").write_text("x O\n")
    command = [sys.executable, str(DATA / "generate.py"), str(tmp_path), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "dev.conll" in done.stderr


@pytest.mark.parametrize(("split", "sentences"), [("train", 3000), ("dev", 500), ("test", 500)])
def test_sizes_and_types(split: str, sentences: int) -> None:
    corpus = load(split)
    assert abs(len(corpus) - sentences) <= sentences // 20
    assert set(corpus.labels) == {"PER", "LOC", "ORG", "DATE", "MISC"}
    assert len(set(corpus.documents.tolist())) > sentences // 20


@pytest.mark.parametrize("split", ["dev", "test"])
def test_more_than_a_third_of_the_mentions_never_occur_in_train(split: str) -> None:
    known = set(mentions(load("train")))
    found = mentions(load(split))
    assert sum(mention not in known for mention in found) > len(found) / 3


def test_no_sentence_stands_in_two_splits() -> None:
    texts = [
        {tuple(corpus.sentence_tokens(i)) for i in range(len(corpus))}
        for corpus in map(load, ("train", "dev", "test"))
    ]
    assert sum(map(len, texts)) == len(set().union(*texts))
