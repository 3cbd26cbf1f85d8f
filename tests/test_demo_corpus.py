"""The corpora shipped in data/: what their generator writes, and hard enough."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from nerlab.data.build import build_corpus
from nerlab.data.corpus import Corpus
from nerlab.data.readers.conll import read
from nerlab.tags import spans_of

DATA = Path(__file__).resolve().parent.parent / "data"
LABELS = {
    "demo": "PER LOC ORG DATE MISC",
    "demo_az": """PERSON LOCATION ORGANISATION DATE TIME MONEY PERCENTAGE FACILITY PRODUCT EVENT ART
        LAW LANGUAGE GPE NORP ORDINAL CARDINAL DISEASE CONTACT ADAGE QUANTITY MISCELLANEOUS
        POSITION PROJECT""",
}
SENTENCES = {
    "demo": {"train": 10000, "dev": 600, "test": 600},
    "demo_az": {"train": 3000, "dev": 500, "test": 500},
}
SPLITS = ("train", "dev", "test")
# The lists of the English corpus are long, and a full name seldom occurs twice.
UNSEEN = {"demo": (0.4, 0.6), "demo_az": (1 / 3, 1 / 2)}
corpora = pytest.mark.parametrize("name", LABELS)


@cache
def load(name: str, split: str) -> Corpus:
    path = DATA / name / f"{split}.conll"
    return build_corpus(read(path, 0, -1, "utf-8"), "iob2", False, str(path))


def mentions(corpus: Corpus) -> list[tuple[str, str]]:
    return [
        (" ".join(corpus.sentence_tokens(i)[span.start : span.end]), span.label)
        for i in range(len(corpus))
        for span in spans_of(corpus.sentence_tags(i))
    ]


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DATA / "generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def copy_of(name: str, folder: Path) -> Path:
    return Path(shutil.copytree(DATA / name, folder / name))


@corpora
def test_the_files_are_what_the_generator_writes(name: str) -> None:
    done = generate(str(DATA / name), "--check")
    assert (done.returncode, done.stderr) == (0, "")


@corpora
def test_a_file_that_differs_is_told(name: str, tmp_path: Path) -> None:
    folder = copy_of(name, tmp_path)
    (folder / "dev.conll").write_text("x O\n")
    done = generate(str(folder), "--check")
    assert done.returncode == 1
    assert "dev.conll" in done.stderr


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("templates.txt", "Bakı+lok", "unknown ending 'lok'"),
        ("templates.txt", "<nobody> .", "unknown slot 'nobody'"),
        ("names/male.txt", "Kamal+lok", "unknown ending 'lok'"),
    ],
)
def test_a_mistake_in_the_resources_is_one_line_with_its_place(
    file: str, line: str, message: str, tmp_path: Path
) -> None:
    path = copy_of("demo_az", tmp_path) / file
    text = path.read_text(encoding="utf-8") + line + "\n"
    path.write_text(text, encoding="utf-8")
    done = generate(str(tmp_path / "demo_az"), "--check")
    assert done.returncode == 1
    assert done.stderr == f"{path}:{text.count(chr(10))}: {message}\n"


@pytest.mark.parametrize("split", SPLITS)
@corpora
def test_sizes_and_types(name: str, split: str) -> None:
    corpus, wanted = load(name, split), SENTENCES[name][split]
    assert abs(len(corpus) - wanted) <= wanted // 20
    assert set(corpus.labels) == set(LABELS[name].split())
    assert len(set(corpus.documents.tolist())) > wanted // 20


@pytest.mark.parametrize(("split", "least"), [("train", 50), ("dev", 8), ("test", 8)])
@corpora
def test_every_type_occurs_often_enough(name: str, split: str, least: int) -> None:
    counts = Counter(label for _, label in mentions(load(name, split)))
    assert min(counts.values()) >= least


@pytest.mark.parametrize("split", ["dev", "test"])
@corpora
def test_many_of_the_mentions_never_occur_in_train(name: str, split: str) -> None:
    low, high = UNSEEN[name]
    known = set(mentions(load(name, "train")))
    found = mentions(load(name, split))
    assert low < sum(mention not in known for mention in found) / len(found) < high


@corpora
def test_no_sentence_stands_in_two_splits(name: str) -> None:
    texts = [
        {tuple(corpus.sentence_tokens(i)) for i in range(len(corpus))}
        for corpus in (load(name, split) for split in SPLITS)
    ]
    assert sum(map(len, texts)) == len(set().union(*texts))


def azerbaijani_words(label: str) -> set[str]:
    """The words of the mentions whose label begins so."""
    found = [it for split in SPLITS for it in mentions(load("demo_az", split))]
    return {word for text, of in found if of.startswith(label) for word in text.split()}


def test_azerbaijani_capitals_keep_the_dot_of_the_i() -> None:
    corpus = load("demo_az", "train")
    words = {word for i in range(len(corpus)) for word in corpus.sentence_tokens(i)}
    capitals = {word for word in words if len(word) > 3 and word.isupper()}
    small = {word for word in words if word.isalpha()} - capitals
    right = {word: word.replace("i", "İ").replace("ı", "I").upper() for word in small}
    assert len({word for word in small if right[word] in capitals and "i" in word}) > 30
    assert len({word for word in small if right[word] in capitals and "ı" in word}) > 30
    assert not ({word.upper() for word in small} & capitals) - set(right.values())


@pytest.mark.parametrize(
    ("name", "forms"),
    [
        ("Bakı", "Bakıda Bakının Bakıya Bakıdan Bakını"),
        ("Naxçıvan", "Naxçıvanda Naxçıvanın Naxçıvana Naxçıvandan Naxçıvanı"),
        ("Türkiyə", "Türkiyədə Türkiyənin Türkiyəyə Türkiyədən Türkiyəni"),
        ("Gürcüstan", "Gürcüstanda Gürcüstanın Gürcüstana Gürcüstandan Gürcüstanı"),
    ],
)
def test_azerbaijani_names_occur_in_several_cases(name: str, forms: str) -> None:
    assert len(azerbaijani_words("GPE") & {name, *forms.split()}) >= 3


def test_azerbaijani_abbreviations_take_their_ending_behind_a_hyphen() -> None:
    form = re.compile("[A-ZÇƏĞİÖŞÜ]{2,}-(nın|nin|nun|nün|ın|in|un|ün|a|ə|ya|yə|dan|dən)")
    assert sum(form.fullmatch(word) is not None for word in azerbaijani_words("ORG")) >= 5
