"""Data that is read without an error, but hardly as it was meant, is warned of."""

from pathlib import Path

import pytest
from composed import compose
from conftest import SMALL_MODEL
from corpora import DATA, compose_data, real
from hypothesis import given
from hypothesis import strategies as st

from nerlab.commands.check import check
from nerlab.commands.reading import present_splits
from nerlab.data.build import build_corpus
from nerlab.data.load import load_split
from nerlab.data.plausibility import warnings_of_corpus
from nerlab.data.sentence import Sentence
from nerlab.training.experiment import describe

TOKENS = ("word", "x1", "--", "7", "1,000.5", "-3", "2026-11-21")  # the last four are numbers
sentences = st.lists(
    st.lists(st.tuples(st.sampled_from(TOKENS), st.sampled_from(["O", "B-X"])), min_size=1),
    min_size=1,
)


@given(sentences)
def test_the_warnings_are_those_of_a_slow_count(texts: list[list[tuple[str, str]]]) -> None:
    pairs = [pair for text in texts for pair in text]
    numbers = sum(token in TOKENS[3:] for token, _ in pairs)
    single = sum(len(text) == 1 for text in texts)
    expected = {
        "one-token-sentences": f"{single} of {len(texts)} sentences have one token",
        "number-tokens": f"{numbers} of {len(pairs)} tokens are numbers",
        "no-entity": "no entity at all",
    }
    if single < len(texts) / 2:
        del expected["one-token-sentences"]
    if numbers < len(pairs) / 2:
        del expected["number-tokens"]
    if any(tag != "O" for _, tag in pairs):
        del expected["no-entity"]
    read = [Sentence([token for token, _ in text], [tag for _, tag in text]) for text in texts]
    found = warnings_of_corpus(build_corpus(read, "iob2", False, "source"))
    assert {warning.kind: warning.message for warning in found} == expected


def test_check_and_training_warn_of_the_same(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("id,word,tag\n" + "1,2,O\n2,3,O\n" * 5)
    (tmp_path / "dev.csv").write_text("id,word,tag\n1,Ada,B-X\n,met,O\n")
    columns = {"token_column": "word", "tag_column": "tag", "sentence_column": "id"}
    keys = [f"data.reader.{key}={name}" for key, name in columns.items()]
    overrides = ["data=csv", f"data.dir={tmp_path}", *keys]
    config = compose("train", [*SMALL_MODEL[3:], *overrides])
    expected = [
        "10 of 10 sentences have one token; set the key of data.reader that says where a sentence "
        "ends (sentence_column, say)",
        "10 of 10 tokens are numbers; set the key of data.reader that says where the tokens stand "
        "(token_column, say)",
        "no entity at all; set the key of data.reader that says where the tags stand (tag_column, "
        "say)",
    ]
    lines = describe({name: load_split(config.data, name) for name in ("train", "dev")})
    assert [line for line in lines if "warning" in line] == [
        f"warning: {tmp_path / 'train.csv'}: {line}" for line in expected
    ]
    found = [f for f in check(config.data).findings if f.remedy.startswith("set the key")]
    assert [f"{f.message}; {f.remedy}" for f in found] == expected
    assert {(f.severity, f.split) for f in found} == {("warning", "train")}


def corpus_of_types(folder: Path, number: int) -> None:
    text = "".join(f"w{i} B-T{i}\nx O\n\n" for i in range(number))
    (folder / "train.conll").write_text(text)
    (folder / "dev.conll").write_text("w B-T0\nx O\n")


@pytest.mark.parametrize("number", [1_024, 5_000])
def test_more_types_than_a_model_takes_are_an_error_of_check_and_of_training(
    tmp_path: Path, number: int
) -> None:
    corpus_of_types(tmp_path, number)
    data = compose_data("data=conll", f"data.dir={tmp_path}")
    message = r"train\.conll: at least 1,024 entity types, expected 1,023 at most"
    with pytest.raises(ValueError, match=message):
        load_split(data, "train")
    (error,) = (finding for finding in check(data).findings if finding.severity == "error")
    assert (error.kind, error.split, error.count) == ("too-many-types", "train", number)
    assert error.message.startswith(f"{number:,} entity types, expected 1,023 at most")


@pytest.mark.parametrize("number", [100, 101])
def test_what_many_types_cost_is_said_at_the_start(tmp_path: Path, number: int) -> None:
    corpus_of_types(tmp_path, number)
    config = compose("train", [*SMALL_MODEL, f"data.dir={tmp_path}", "data.test=null"])
    splits = {name: load_split(config.data, name) for name in ("train", "dev")}
    said = [line for line in describe(splits) if "warning" in line]
    found = [
        f"{f.message}; {f.remedy}" for f in check(config.data).findings if f.kind == "many-types"
    ]
    if number == 100:
        assert said == found == []
    else:
        assert said == [f"warning: train: {found[0]}"]
        assert found[0].startswith("101 entity types make K = 405 tags: a CRF has K^2 = 164,025 ")


@pytest.mark.parametrize(
    ("preset", "folder"),
    [
        ("conll2003", "conll2003"),
        ("wnut17", "wnut17"),
        ("weibo", "weibo_zh"),
        ("wikiann", "wikiann_en"),
    ],
)
def test_published_corpora_are_plausible(preset: str, folder: str) -> None:
    data = compose_data(f"data={preset}", f"data.dir={DATA / folder}", "data.download=null")
    real(f"{folder}/{data.train}")
    for split in present_splits(data, ()):
        assert warnings_of_corpus(load_split(data, split)) == []
