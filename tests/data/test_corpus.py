"""The corpus as flat arrays: nothing is lost, nothing illegal gets in, equal data is equal."""

import gzip
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from nerlab.config import DataConfig
from nerlab.data.build import build_corpus
from nerlab.data.corpus import ARRAYS, Corpus
from nerlab.data.load import SPLITS, load_file, load_split, splits_of
from nerlab.data.readers.messages import collected_warnings, warn
from nerlab.data.sentence import Sentence
from nerlab.tags import SCHEMES, spans_of, tags_of


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where every example makes a folder of its own."""
    return tmp_path_factory.mktemp("corpus")


rows = st.tuples(
    st.text(max_size=3) | st.sampled_from(["the", "\x00", "\ud800", "中"]),
    st.sampled_from(["O", "B-X", "I-X", "S-X", "E-Y.Z", "I-Y.Z"]),
)
parts = st.lists(rows, min_size=1, max_size=6)
texts = st.one_of(
    st.lists(st.tuples(parts, st.integers(0, 3)), max_size=8),
    st.lists(st.tuples(parts, st.none()), max_size=8),
)
Text = list[tuple[list[tuple[str, str]], int | None]]


def sentences_of(text: Text) -> list[Sentence]:
    """Sentences with tags that are often illegal, to be read with repair."""
    return [Sentence([t for t, _ in part], [t for _, t in part], doc) for part, doc in text]


def contents(corpus: Corpus) -> list[Sentence]:
    return [
        Sentence(
            corpus.sentence_tokens(i), corpus.sentence_tags(i), None if document < 0 else document
        )
        for i, document in enumerate(corpus.documents.tolist())
    ]


def index(sentences: list[Sentence], scheme: str = "iob2", repair: bool = True) -> Corpus:
    return build_corpus(iter(sentences), scheme, repair, "train.txt")


@settings(max_examples=40)
@given(texts)
def test_sentences_come_back_with_their_tags_in_iobes(text: Text) -> None:
    sentences = sentences_of(text)
    corpus = index(sentences)
    assert contents(corpus) == [
        Sentence(s.tokens, tags_of(spans_of(s.tags), len(s.tags)), s.document) for s in sentences
    ]
    assert len(corpus) == len(sentences)
    assert corpus.lengths.tolist() == [len(s.tokens) for s in sentences]


@settings(max_examples=40)
@given(texts)
def test_counts_and_labels_are_those_counted_by_hand(text: Text) -> None:
    sentences = sentences_of(text)
    corpus = index(sentences)
    tokens = [token for s in sentences for token in s.tokens]
    counts = list(corpus.token_counts())
    assert dict(counts) == Counter(tokens)
    assert [token for token, _ in counts] == list(dict.fromkeys(tokens))
    labels = [span.label for s in sentences for span in spans_of(s.tags)]
    assert corpus.labels == list(dict.fromkeys(labels))


def test_arrays_are_small_and_of_fixed_types() -> None:
    corpus = index([Sentence(["a", "b", "a"], ["O", "O", "O"]), Sentence(["b"], ["B-X"])])
    assert list(corpus.lexicon) == ["a", "b"]
    assert corpus.tag_names == ["O", "B-X", "I-X", "E-X", "S-X"]
    for array, dtype, values in [
        (corpus.tokens, np.int32, [0, 1, 0, 1]),
        (corpus.tags, np.int32, [0, 0, 0, 4]),
        (corpus.offsets, np.int64, [0, 3, 4]),
        (corpus.documents, np.int32, [-1, -1]),
    ]:
        assert array.dtype == dtype
        assert array.tolist() == values


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_corpus_is_the_same_in_every_scheme(scheme: str) -> None:
    spans = spans_of(["B-X", "I-X", "B-X", "O", "S-Y", "B-Y", "E-Y"])
    original = index([Sentence(list("abcdefg"), tags_of(spans, 7, "iobes"))], "iobes", repair=False)
    other = index([Sentence(list("abcdefg"), tags_of(spans, 7, scheme))], scheme, repair=False)
    assert contents(other) == contents(original)
    assert other.digest() == original.digest()


@pytest.mark.parametrize(
    ("scheme", "tags", "message"),
    [
        ("iob2", ["O", "I-X"], "train.txt:11: tag 'I-X' follows 'O', which iob2 forbids"),
        ("iobes", ["S-X", "B-X"], "train.txt:11: tag 'B-X' ends the sentence"),
        ("iob2", ["E-X", "O"], "train.txt:10: tag 'E-X': iob2 knows the prefixes B I"),
    ],
)
def test_an_illegal_tag_is_named_with_file_line_and_remedy(
    scheme: str, tags: list[str], message: str
) -> None:
    good = Sentence(["x"] * 8, ["O"] * 8, line=1)
    with pytest.raises(ValueError, match=r"data\.scheme.*data\.repair=true") as caught:
        index([good, Sentence(["a", "b"], tags, line=10)], scheme, repair=False)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("repair", [False, True])
def test_a_word_that_is_no_tag_is_named_with_its_line(repair: bool) -> None:
    for lines_a_token, line in ((1, 11), (0, 10)):
        wrong = Sentence(["a", "b"], ["O", "PERSON"], line=10, lines_a_token=lines_a_token)
        with pytest.raises(ValueError, match=rf"^train\.txt:{line}: .*'PERSON' is neither"):
            index([Sentence(["x"], ["O"]), wrong], repair=repair)


def test_the_first_illegal_sentence_of_many_is_the_one_that_is_named() -> None:
    good = [Sentence(["x"] * 10, ["O"] * 10, line=11 * i + 1) for i in range(5000)]
    bad = [Sentence(["y"], ["I-X"], line=90_000 + i) for i in range(3)]
    with pytest.raises(ValueError, match=r"^train\.txt:90000: tag 'I-X' follows 'O'"):
        index([*good, *bad], repair=False)


@pytest.mark.parametrize("tags", [["O"], ["O", "O", "O"], []])
def test_tokens_without_a_tag_each_are_an_error(tags: list[str]) -> None:
    with pytest.raises(ValueError, match=rf"^train\.txt:7: 2 tokens, but {len(tags)} tag"):
        index([Sentence(["a", "b"], tags, line=7)])


def test_sentences_without_tokens_are_left_out() -> None:
    corpus = index([Sentence([], []), Sentence(["a"], ["B-X"], 3), Sentence([], [])])
    assert contents(corpus) == [Sentence(["a"], ["S-X"], 3)]


@settings(max_examples=20)
@given(texts)
def test_a_corpus_in_files_is_the_one_in_memory(scratch: Path, text: Text) -> None:
    sentences = sentences_of(text)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        mapped = build_corpus(iter(sentences), "iob2", True, "train.txt", Path(folder))
        memory = index(sentences)
        assert contents(mapped) == contents(memory)
        assert mapped.digest() == memory.digest()
        assert mapped.tag_names == memory.tag_names
        assert {file.name for file in Path(folder).iterdir()} == set(ARRAYS)


def test_what_a_reader_warns_of_is_collected_and_goes_nowhere_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with collected_warnings() as warnings:
        warn("3 rows left out")
        with collected_warnings() as inner:
            warn("100 % of it")
    assert (warnings, inner) == (["3 rows left out"], ["100 % of it"])
    assert caplog.messages == []
    warn("outside, 100 %")
    assert caplog.messages == ["outside, 100 %"]


def test_threads_collect_the_warnings_of_their_own_readers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    threads, turns = 4, 200
    together = Barrier(threads, timeout=20)

    def work(number: int) -> list[list[str]]:
        found = []
        for turn in range(turns):
            together.wait()  # so that the blocks of all threads overlap
            with collected_warnings() as warnings:
                warn(f"{turn} in {number}")
                assert index([Sentence(["a"], ["O"])]).warnings == []
                found.append(warnings)
        return found

    with ThreadPoolExecutor(threads) as pool:
        for number, found in enumerate(pool.map(work, range(threads))):
            assert found == [[f"{turn} in {number}"] for turn in range(turns)]
    assert caplog.messages == []
    warn("outside")
    assert caplog.messages == ["outside"]


@settings(max_examples=40)
@given(texts)
def test_the_digest_depends_on_content_alone(text: Text) -> None:
    corpus = index(sentences_of(text))
    same = index([s._replace(line=99, tokens=tuple(s.tokens)) for s in sentences_of(text)])
    assert corpus.digest() == same.digest()


@settings(max_examples=40)
@given(texts, texts)
@example([([("a", "O")], 0)], [([("a", "O")], None)])
def test_different_texts_have_different_digests(left: Text, right: Text) -> None:
    pair = [index(sentences_of(text)) for text in (left, right)]
    texts = [[(s.tokens, s.tags) for s in contents(corpus)] for corpus in pair]
    begins = [[a != b for a, b in pairwise([None, *(doc for _, doc in t)])] for t in (left, right)]
    is_same = (texts[0], begins[0]) == (texts[1], begins[1])
    assert (pair[0].digest() == pair[1].digest()) == is_same


@pytest.mark.parametrize(
    "other",
    [
        [Sentence(["a", "b", "c"], ["O", "B-X", "B-X"])],
        [Sentence(["a", "b"], ["O", "B-X"]), Sentence(["c", "a"], ["B-X", "O"])],
        [Sentence(["a", "b", "c", "a"], ["O", "B-X", "O", "B-X"])],
        [Sentence(["a", "b", "c", "a"], ["O", "B-X", "I-X", "O"])],
        [Sentence(["a", "b", "c", "a"], ["O", "B-Y", "B-Y", "O"])],
        [Sentence(["a", "B", "c", "a"], ["O", "B-X", "B-X", "O"])],
        [Sentence(["a", "b", "c", "b"], ["O", "B-X", "B-X", "O"])],
        [],
    ],
)
def test_the_digest_sees_every_change(other: list[Sentence]) -> None:
    original = index([Sentence(["a", "b", "c", "a"], ["O", "B-X", "B-X", "O"])])
    assert index(other).digest() != original.digest()


def test_the_digest_does_not_run_tokens_and_tags_together() -> None:
    left = index([Sentence(["xS-A"], ["S-B"])])
    right = index([Sentence(["x"], ["S-AS-B"])])
    assert left.digest() != right.digest()


def test_the_digest_knows_where_documents_begin_and_not_their_numbers() -> None:
    numbers: list[list[int | None]] = [[0, 0, 1], [5, 5, 2], [0, 1, 1], [0, 0, 0], [None] * 3]
    digests = [index([Sentence(["a"], ["O"], n) for n in of]).digest() for of in numbers]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


@pytest.mark.parametrize("numbers", [[0, None], [None, 3], [None] * 20_000 + [0], [0, -1], [-1]])
def test_all_sentences_have_a_document_or_none_has(numbers: list[int | None]) -> None:
    sentences = [Sentence(["a"], ["O"], n, line=i) for i, n in enumerate(numbers, start=1)]
    line, document = len(numbers), numbers[-1]
    with pytest.raises(ValueError, match=rf"^train\.txt:{line}: document {document}: expected"):
        index(sentences)


def data_config(folder: Path, **options: Any) -> Any:
    reader = {"_target_": "nerlab.data.readers.conll.read", "_partial_": True}
    reader |= {"token_column": 0, "tag_column": -1, "encoding": "utf-8"}
    files = {"dir": str(folder), "train": "a", "dev": "b", "test": None, "reader": reader}
    return OmegaConf.merge(DataConfig, files, {"scheme": "iob1", "repair": False}, options)


def test_splits_are_the_files_that_the_configuration_names(tmp_path: Path) -> None:
    for name in SPLITS:
        (tmp_path / name).write_text(f"{name} I-X\nb B-X\n")
    data = data_config(tmp_path, **{name: name for name in SPLITS})
    for name in SPLITS:
        expected = [Sentence([name, "b"], ["S-X", "S-X"])]
        assert contents(load_split(data, name)) == expected
        assert contents(load_file(data, tmp_path / name)) == expected


def test_dev_is_cut_from_train_and_test_is_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("".join(f"w{i} I-X\n\n" for i in range(100)))
    (tmp_path / "c").write_text("test O\n")
    cut, beside = (
        {
            name: contents(load_split(data_config(tmp_path, split="hash", test=test), name))
            for name in SPLITS
        }
        for test in (None, "c")
    )
    assert contents(load_file(data_config(tmp_path), tmp_path / "c")) == beside["test"]
    assert beside["dev"] == cut["dev"]
    assert sorted(beside["train"]) == sorted(cut["train"] + cut["test"])


@pytest.mark.parametrize("dev", [None, "missing"])
def test_without_a_dev_file_the_message_says_what_a_split_by_hash_does(
    tmp_path: Path, dev: str | None
) -> None:
    message = (
        r"dev.*, or data\.split=hash, which takes a tenth of data\.train for dev, "
        r"and another tenth for test unless data\.test names a file$"
    )
    with pytest.raises(ValueError, match=message):
        load_split(data_config(tmp_path, dev=dev), "dev")


@pytest.mark.parametrize("text", ["# text = Ada met\nAda B-X\nmet O\n", "Ada B-X NNP\n"])
@pytest.mark.parametrize("repair", [False, True])
def test_what_is_no_tag_points_to_the_keys_of_the_reader(
    tmp_path: Path, text: str, repair: bool
) -> None:
    (tmp_path / "a").write_text(text)
    message = r"a:1: tag '(met|NNP)' is neither 'O' nor .*; set the key of data\.reader that says "
    with pytest.raises(ValueError, match=message + r".*tag_column, say.*data\.reader\.comment"):
        load_split(data_config(tmp_path, repair=repair), "train")


def test_a_corpus_that_does_not_fit_into_memory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise MemoryError

    (tmp_path / "a").write_text("a O\n")
    monkeypatch.setattr("nerlab.data.build.Corpus", fail)
    with pytest.raises(ValueError, match=r"/a: does not fit into memory; "):
        load_split(data_config(tmp_path), "train")


def test_scheme_and_repair_are_those_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a O\na I-X\n")
    with pytest.raises(ValueError, match=r"a:2: tag 'I-X' follows 'O', which iob2 forbids"):
        load_split(data_config(tmp_path, scheme="iob2"), "train")
    for options in ({"scheme": "iob1"}, {"scheme": "iob2", "repair": True}):
        corpus = load_split(data_config(tmp_path, **options), "train")
        assert contents(corpus) == [Sentence(["a", "a"], ["O", "S-X"])]


def test_a_split_that_is_not_there_is_named_with_what_to_set(tmp_path: Path) -> None:
    data = data_config(tmp_path)
    with pytest.raises(ValueError, match=r"^data\.test: .* no test file; set data\.test=FILE"):
        load_split(data, "test")
    with pytest.raises(ValueError, match=r"b: no such file, expected the dev split; set data\.dir"):
        load_split(data, "dev")
    with pytest.raises(ValueError, match=r"c: no such file"):
        load_file(data, tmp_path / "c")


def test_one_file_is_cut_into_splits_and_may_be_packed(tmp_path: Path) -> None:
    lines = "".join(f"w{i} B-X\n\n" for i in range(200))
    (tmp_path / "a.gz").write_bytes(gzip.compress(lines.encode()))
    data = data_config(tmp_path, split="hash", dev=None, scheme="iob2")
    assert splits_of(data) == list(SPLITS)
    parts = [contents(load_split(data, name)) for name in SPLITS]
    assert sorted(s.tokens[0] for part in parts for s in part) == sorted(
        f"w{i}" for i in range(200)
    )
    assert len(parts[0]) > 130
    assert splits_of(data_config(tmp_path, dev=None)) == ["train"]
