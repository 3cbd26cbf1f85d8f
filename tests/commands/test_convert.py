"""What is converted comes back: every text, every tag scheme, documents; and what is refused."""

import io
import json
from contextlib import redirect_stdout
from itertools import groupby
from pathlib import Path

import pytest
from corpora import compose_data, real
from helpers import check
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from own_package import importable, write_package

from nerlab.commands.convert import conll, jsonl, retagged, run
from nerlab.commands.reading import annotated, present_splits, read_annotated
from nerlab.config import DataConfig, Scheme
from nerlab.data.load import load_split, split_source
from nerlab.data.readers.conll import read
from nerlab.data.readers.jsonl import read as read_jsonl
from nerlab.data.readers.messages import collected_warnings
from nerlab.data.sentence import Sentence
from nerlab.tags import SCHEMES, Span, spans_of, tags_of


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that every example writes anew."""
    return tmp_path_factory.mktemp("convert") / "scratch"


def through_columns(path: Path, sentences: list[Sentence]) -> list[Sentence]:
    path.write_bytes("".join(conll(sentences, "source")).encode())
    return list(read(path, token_column=0, tag_column=1, encoding="utf-8"))


def through_json(path: Path, sentences: list[Sentence]) -> list[Sentence]:
    path.write_bytes("".join(jsonl(sentences, "source")).encode())
    document = None if sentences[0].document is None else "document"
    return list(read_jsonl(path, "lines", "utf-8", "tokens", "tags", document=document))


def content(sentences: list[Sentence]) -> list[tuple[list[str], list[str], int | None]]:
    """Tokens, tags and the ordinal of the document."""
    documents = [document for document, _ in groupby(s.document for s in sentences)]
    return [
        (list(s.tokens), list(s.tags), None if s.document is None else documents.index(s.document))
        for s in sentences
    ]


def sentences_of(tokens: st.SearchStrategy[str]) -> st.SearchStrategy[list[Sentence]]:
    """Sentences with tags of any kind, in documents one after the other or in none."""
    rows = st.lists(st.tuples(tokens, st.sampled_from(["O", "B-X.y", "I-ə-2"])), min_size=1)
    steps = st.lists(st.tuples(rows, st.booleans()), min_size=1, max_size=5)
    return st.builds(_numbered, steps, st.booleans())


def _numbered(steps: list[tuple[list[tuple[str, str]], bool]], marks: bool) -> list[Sentence]:
    sentences, document = [], 0
    for rows, begins in steps:
        document += begins
        number = document if marks else None
        sentences.append(Sentence([r[0] for r in rows], [r[1] for r in rows], number))
    return sentences


odd = ["\x85", "\xa0", "\u2028", "\x1c", "\x0b", "\ufeff", "\ufeffa", "#", '"', "\0", "-X-", "O"]
characters = st.characters(exclude_categories=["Cs"], exclude_characters=" \t\r\n")
column_tokens = st.text(characters, min_size=1, max_size=4) | st.sampled_from(odd)
any_tokens = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from(["\ud83d", "\ude00"]),
    min_size=1,
    max_size=4,
) | st.sampled_from([*odd, " ", "a b", "\t", "\r\n", "-DOCSTART-", "\ud800", "x\udfff", "\\udc00"])


@settings(max_examples=60)
@given(sentences_of(column_tokens))
@example([Sentence(["\ufeff", "a"], ["O", "O"])])
@example([Sentence(["\ufeff"], ["O"], 1), Sentence(["\ufeff"], ["O"], 1)])
def test_any_text_comes_back_from_columns(scratch: Path, sentences: list[Sentence]) -> None:
    assert content(through_columns(scratch, sentences)) == content(sentences)


@settings(max_examples=60)
@given(sentences_of(any_tokens))
@example([Sentence(["\ude00\ud83d", "\ud83d\\ude00"], ["O", "O"])])
@example([Sentence(["a", "x\ud83d\ude00"], ["O", "O"])])
def test_any_text_at_all_comes_back_from_json_or_is_refused(
    scratch: Path, sentences: list[Sentence]
) -> None:
    if any("\ud83d\ude00" in token for sentence in sentences for token in sentence.tokens):
        message = r"^source:\d+: JSON cannot hold the two halves of .*; fix the token$"
        with pytest.raises(ValueError, match=message):
            through_json(scratch, sentences)
    else:
        assert content(through_json(scratch, sentences)) == content(sentences)


def test_a_line_of_json_is_what_the_documentation_says() -> None:
    (line,) = jsonl([Sentence(["é", "\ud800", ""], ["O", "B-ə", "O"], 7)], "source")
    assert line.startswith('{"tokens": ["é", "\\ud800", ""]')
    assert json.loads(line) == {
        "tokens": ["é", "\ud800", ""],
        "tags": ["O", "B-ə", "O"],
        "document": 7,
    }


@settings(max_examples=60)
@given(st.lists(any_tokens | st.just(""), min_size=1, max_size=4))
@example(["a", "-DOCSTART-"])
@example([""])
def test_columns_hold_a_sentence_as_it_is_or_refuse_it(scratch: Path, tokens: list[str]) -> None:
    sentences = [Sentence(tokens, ["O"] * len(tokens), line=7)]
    refused = [line for line, token in enumerate(tokens, start=7) if not fits_a_column(token)]
    if refused:
        message = rf"^source:{refused[0]}: columns cannot hold .*; set format=jsonl$"
        with pytest.raises(ValueError, match=message):
            through_columns(scratch, sentences)
    else:
        assert content(through_columns(scratch, sentences)) == content(sentences)


def fits_a_column(token: str) -> bool:
    halves = any(0xD800 <= ord(character) <= 0xDFFF for character in token)
    return token not in ("", "-DOCSTART-") and not halves and not set(token) & set(" \t\r\n")


def test_a_label_with_a_space_is_refused_by_columns() -> None:
    with pytest.raises(ValueError, match=r"^source:2: columns cannot hold 'B-a b';"):
        list(conll([Sentence(["x", "y"], ["O", "B-a b"])], "source"))


def test_sentences_without_tokens_are_no_columns() -> None:
    assert list(conll([Sentence([], []), Sentence(["x"], ["O"])], "source")) == ["x\tO\n\n"]


annotations = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from("XY")), max_size=5
)


@settings(max_examples=60)
@given(annotations, st.permutations(list(SCHEMES)))
def test_every_chain_of_schemes_leads_back(
    annotation: list[tuple[int, int, str]], chain: list[str]
) -> None:
    spans, length = [], 1
    for gap, width, label in annotation:
        spans.append(Span(length + gap, length + gap + width, label))
        length += gap + width
    sentence = Sentence(["x"] * length, tags_of(spans, length, chain[0]))
    found = sentence
    for scheme, following in zip(chain, [*chain[1:], chain[0]], strict=True):
        check(found.tags, scheme)
        data = DataConfig(scheme=Scheme(scheme), repair=False)
        (found,) = retagged(annotated([found], data, "source"), following)
        assert spans_of(found.tags) == spans
    assert found == sentence


def convert(output: Path, *data: str, **options: object) -> str:
    """Convert as the configuration says; returns what is printed."""
    keys = {"split": "all", "format": "conll", "to": "iob2", "overwrite": False} | options
    config = OmegaConf.create({"output": str(output), "trust": None, **keys})
    config.data = compose_data(*data)
    with redirect_stdout(io.StringIO()) as printed:
        run(config)
    return printed.getvalue()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A corpus of two splits in IOB1."""
    folder = tmp_path / "source"
    folder.mkdir()
    text = "-DOCSTART- O\n\nAnna I-PER\nSmith I-PER\nEve B-PER\n\n-DOCSTART- O\n\nOslo I-LOC\n"
    (folder / "train.conll").write_text(text)
    (folder / "dev.conll").write_text("Rome I-LOC\n")
    return folder


def options_of(folder: Path, scheme: str = "iob1") -> tuple[str, ...]:
    return ("data=conll", f"data.dir={folder}", f"data.scheme={scheme}")


def test_all_splits_are_written_with_their_documents(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "deep" / "out"
    printed = convert(output, *options_of(source), to="iobes")
    assert (output / "train.conll").read_bytes() == (
        b"-DOCSTART-\tO\n\nAnna\tB-PER\nSmith\tE-PER\nEve\tS-PER\n\n"
        b"-DOCSTART-\tO\n\nOslo\tS-LOC\n\n"
    )
    assert printed.splitlines() == [
        f"written: {output}/train.conll  2 sentences",
        f"written: {output}/dev.conll  1 sentence",
    ]
    assert sorted(path.name for path in output.iterdir()) == ["dev.conll", "train.conll"]


def test_a_test_file_that_is_not_there_is_left_out_unless_it_is_asked_for(
    source: Path, tmp_path: Path
) -> None:
    names = (*options_of(source), "data.test=test.conll")
    printed = convert(tmp_path / "out", *names)
    assert printed.startswith(f"warning: test is left out: {source}/test.conll: no such file")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "dev.conll",
        "train.conll",
    ]
    with pytest.raises(ValueError, match=r"test\.conll: no such file"):
        convert(tmp_path / "other", *names, split="test")


@pytest.mark.parametrize("test", ["null", "test.conll"])
def test_a_corpus_that_is_cut_by_hash_comes_back_whole(
    source: Path, tmp_path: Path, test: str
) -> None:
    sentences = [f"word{i} I-PER\nslept O\n" for i in range(60)]
    (source / "train.conll").write_text("\n".join(sentences))
    names = (*options_of(source), "data.split=hash", "data.dev=null", f"data.test={test}")
    printed = convert(tmp_path / "out", *names, to="iob1")
    # As for train.py: what a test file of its own would hold is not cut out of train.
    expected = ["train", "dev", "test"] if test == "null" else ["train", "dev"]
    assert ("test is left out" in printed) == (test != "null")
    assert {path.stem for path in (tmp_path / "out").iterdir()} == set(expected)
    found = []
    for split in expected:
        text = (tmp_path / "out" / f"{split}.conll").read_text()
        found += [sentence.replace("\t", " ") + "\n" for sentence in text.split("\n\n")[:-1]]
        indexed = load_split(compose_data(*names), split)
        assert len(indexed) == text.count("\n\n") > 0
    assert sorted(found) == sorted(sentences)


def test_a_reader_of_a_trusted_package_is_taken(source: Path, tmp_path: Path) -> None:
    write_package(tmp_path / "lab")
    data = compose_data(*options_of(source), "data.test=test.conll")
    data.reader = {"_target_": "mylab.readers.read", "_partial_": True, "separator": " "}
    with importable(tmp_path / "lab"), collected_warnings() as warnings:
        present = present_splits(data, ("mylab",))
        sentences = list(read_annotated(present["train"], data))
    assert [len(spans) for _, spans in sentences] == [2, 1]
    assert (list(present), len(warnings)) == (["train", "dev"], 1)


def test_one_split_can_be_written_as_json(source: Path, tmp_path: Path) -> None:
    convert(tmp_path / "out", *options_of(source), split="dev", format="jsonl")
    (path,) = (tmp_path / "out").iterdir()
    assert path.name == "dev.jsonl"
    assert json.loads(path.read_text()) == {"tokens": ["Rome"], "tags": ["B-LOC"]}


def test_what_is_there_is_left_alone_unless_it_may_be_overwritten(
    source: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "dev.conll").write_text("precious")
    with pytest.raises(ValueError, match=r"out/dev\.conll: exists; set overwrite=true"):
        convert(output, *options_of(source))
    assert [path.read_text() for path in output.iterdir()] == ["precious"]
    convert(output, *options_of(source), overwrite=True)
    assert (output / "dev.conll").read_text() == "Rome\tB-LOC\n\n"


@pytest.mark.parametrize("split", ["all", "dev"])
@pytest.mark.parametrize("link", [False, True])
def test_the_source_is_never_overwritten(
    source: Path, tmp_path: Path, split: str, link: bool
) -> None:
    output = source
    if link:
        output = tmp_path / "link"
        output.symlink_to(source)
    before = {path: path.read_bytes() for path in source.iterdir()}
    with pytest.raises(ValueError, match=r"a file of the data itself; set output=FOLDER"):
        convert(output, *options_of(source), split=split, overwrite=True)
    assert {path: path.read_bytes() for path in source.iterdir()} == before


def test_a_split_is_not_written_over_the_file_of_another(source: Path) -> None:
    (source / "dev.conll").rename(source / "valid")
    (source / "train.conll").rename(source / "dev.conll")
    names = ("data.train=dev.conll", "data.dev=valid")
    with pytest.raises(ValueError, match=r"dev\.conll: a file of the data itself"):
        convert(source, *options_of(source), *names, split="dev", overwrite=True)
    assert "Anna" in (source / "dev.conll").read_text()


def test_the_tags_of_parallel_files_are_not_overwritten_either(tmp_path: Path) -> None:
    names = ("data=azerbaijani", f"data.dir={tmp_path}", "data.train=words.txt", "data.dev=null")
    (tmp_path / "words.txt").write_text("a b")
    (tmp_path / "train.conll").write_text("O O")
    reader = ("data.reader.words=words.txt", "data.reader.tags=train.conll")
    with pytest.raises(ValueError, match=r"train\.conll: a file of the data itself"):
        convert(tmp_path, *names, *reader, overwrite=True)
    assert (tmp_path / "train.conll").read_text() == "O O"


def test_an_illegal_tag_stops_all_unless_it_is_repaired(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    (source / "dev.conll").write_text("in O\nOslo I-LOC\n")
    (source / "train.conll").write_text("Rome B-LOC\n")
    with pytest.raises(ValueError, match=r"dev\.conll:2: tag 'I-LOC' follows 'O'.*repair=true"):
        convert(output, *options_of(source, "iob2"))
    assert list(output.iterdir()) == []
    convert(output, *options_of(source, "iob2"), "data.repair=true", overwrite=True)
    assert (output / "dev.conll").read_text() == "in\tO\nOslo\tB-LOC\n\n"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"format": "xml"}, "format=xml: expected one of conll, jsonl"),
        ({"to": "conll"}, "to=conll: expected one of iob1, iob, iob2"),
        ({"split": "valid"}, "split=valid: expected one of train, dev, test, all"),
        ({"split": "test"}, "data.test: this data set has no test file"),
    ],
)
def test_an_option_that_makes_no_sense_is_told(
    source: Path, tmp_path: Path, option: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        convert(tmp_path / "out", *options_of(source), **option)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("preset", "file"),
    [
        ("wnut17", "wnut17/emerging.dev.conll"),
        ("azerbaijani", "azerbaijani/valid_words"),
        ("weibo", "weibo_zh/weiboNER_2nd_conll.dev"),
        ("conll2003", "conll2003/valid.txt"),
        pytest.param("gmb", "gmb/ner_dataset.csv.gz", marks=pytest.mark.long),
    ],
)
def test_a_published_corpus_comes_back(tmp_path: Path, preset: str, file: str) -> None:
    names = (f"data={preset}", f"data.dir={real(file).parent}")
    convert(tmp_path, *names, split="dev", to="bilou")
    data = compose_data(*names)
    sentences = read_annotated(split_source(data, "dev"), data)
    found = list(read(tmp_path / "dev.conll", token_column=0, tag_column=1, encoding="utf-8"))
    assert content(found) == content(list(retagged(sentences, "bilou")))
    assert [path.name for path in tmp_path.iterdir()] == ["dev.conll"]
