"""Published corpora and vectors, held against their published counts."""

import gzip
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from corpora import DATA, compose_data, real

from nerlab.data.build import build_corpus
from nerlab.data.load import load_file, load_split
from nerlab.data.readers.conll import read
from nerlab.data.sentence import Sentence
from nerlab.data.vectors import read_vectors
from nerlab.tags import Span, spans_of, tags_of


@cache
def sentences_of(path: Path) -> list[Sentence]:
    return list(read(path, token_column=0, tag_column=-1, encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "scheme", "sentences", "tokens", "entities"),
    [
        ("conll2003/train.txt", "iob2", 14_041, 203_621, 23_499),
        ("conll2003/valid.txt", "iob2", 3_250, 51_362, 5_942),
        ("conll2003/eng.testa.iob1", "iob1", 3_250, 51_362, 5_942),
        ("wnut17/wnut17train.conll", "iob2", 3_394, 62_730, 1_975),
        ("wnut17/emerging.dev.conll", "iob2", 1_009, 15_733, 836),
        ("wnut17/emerging.test.annotated", "iob2", 1_287, 23_394, 1_079),
        ("wikiann_en/dev", "iob2", 10_000, 80_536, 14_146),
        ("weibo_zh/weiboNER_2nd_conll.dev", "iob2", 270, 14_509, 389),
    ],
)
def test_a_corpus_has_its_published_size(
    name: str, scheme: str, sentences: int, tokens: int, entities: int
) -> None:
    corpus = build_corpus(sentences_of(real(name)), scheme, False, name)
    found = [spans_of(corpus.sentence_tags(i)) for i in range(len(corpus))]
    assert (len(corpus), len(corpus.tokens)) == (sentences, tokens)
    assert sum(map(len, found)) == entities


def test_orphan_tags_are_refused_or_repaired() -> None:
    path = real("weibo_zh/weiboNER_2nd_conll.train")
    with pytest.raises(ValueError, match=r"train:1266: tag 'I-PER\.NOM' follows 'I-PER\.NAM'"):
        build_corpus(sentences_of(path), "iob2", False, str(path))
    corpus = build_corpus(sentences_of(path), "iob2", True, str(path))
    spans = [span for i in range(len(corpus)) for span in spans_of(corpus.sentence_tags(i))]
    assert (len(corpus), len(corpus.tokens), len(spans)) == (1_350, 73_778, 1_895)
    assert set(corpus.labels) == {
        f"{a}.{b}" for a in ("PER", "LOC", "ORG", "GPE") for b in ("NAM", "NOM")
    }


def test_iob1_and_iob2_files_of_the_same_text_hold_the_same_spans() -> None:
    def content(name: str) -> list[tuple[list[str], list[Span]]]:
        return [(list(s.tokens), spans_of(s.tags)) for s in sentences_of(real(name))]

    assert content("conll2003/eng.testa.iob1") == content("conll2003/valid.txt")


@pytest.mark.parametrize(
    ("name", "scheme"), [("conll2003/valid.txt", "iob2"), ("conll2003/eng.testa.iob1", "iob1")]
)
def test_the_tags_of_a_file_are_those_written_from_its_spans(name: str, scheme: str) -> None:
    for sentence in sentences_of(real(name)):
        assert tags_of(spans_of(sentence.tags), len(sentence.tags), scheme) == sentence.tags


def test_document_marks_of_conll2003_are_counted() -> None:
    sentences = sentences_of(real("conll2003/train.txt"))
    assert {sentence.document for sentence in sentences} == set(range(1, 947))
    assert not any("-DOCSTART-" in sentence.tokens for sentence in sentences)


def test_lines_of_a_sentence_are_those_of_the_file() -> None:
    path = real("wnut17/wnut17train.conll")
    lines = path.read_bytes().decode().split("\n")
    for sentence in sentences_of(path):
        rows = [f"{a}\t{b}" for a, b in zip(sentence.tokens, sentence.tags, strict=True)]
        assert lines[sentence.line - 1 :][: len(rows)] == rows


def test_hashtags_quotes_and_zero_width_characters_are_tokens() -> None:
    wnut = [token for s in sentences_of(real("wnut17/wnut17train.conll")) for token in s.tokens]
    assert sum(token.startswith("#") for token in wnut) == 828
    dev = [token for s in sentences_of(real("wnut17/emerging.dev.conll")) for token in s.tokens]
    assert dev.count("\ufe0f") == 4
    assert any('"' in s.tokens for s in sentences_of(real("conll2003/train.txt")))


def test_vectors_of_glove_are_those_of_the_file(tmp_path: Path) -> None:
    text = gzip.decompress(real("vectors/glove.6B.100d.sample.txt.gz").read_bytes()).decode()
    path = tmp_path / "glove.txt"
    path.write_text(text, encoding="utf-8")
    rows = {line.split(" ")[0]: line.split(" ")[1:] for line in text.splitlines()}
    words = ("nowhere-to-be-found", *sorted(rows, reverse=True)[:60])
    vectors = read_vectors(path, words, str)
    assert vectors.places.tolist() == list(range(1, 61))
    assert vectors.exact == 60
    expected = [[float(number) for number in rows[word]] for word in words[1:]]
    np.testing.assert_allclose(vectors.values, expected, rtol=1e-6)


def test_every_word_of_a_vectors_file_is_found(tmp_path: Path) -> None:
    text = gzip.decompress(real("vectors/glove_twitter_25d.txt.gz").read_bytes()).decode()
    path = tmp_path / "glove.txt"
    path.write_text(text, encoding="utf-8")
    words = tuple(line.split(" ")[0] for line in text.split("\n") if line)
    vectors = read_vectors(path, words, str)
    assert vectors.values.shape == (11_925, 25)
    assert vectors.exact == 11_925


@pytest.mark.parametrize(
    ("preset", "folder", "split", "sentences", "tokens", "entities"),
    [
        ("conll2003", "conll2003", "train", 14_041, 203_621, 23_499),
        ("conll2003", "conll2003", "dev", 3_250, 51_362, 5_942),
        ("wnut17", "wnut17", "train", 3_394, 62_730, 1_975),
        ("wnut17", "wnut17", "dev", 1_009, 15_733, 836),
        ("wnut17", "wnut17", "test", 1_287, 23_394, 1_079),
        ("wikiann", "wikiann_en", "train", 20_000, 160_394, 27_931),
        ("wikiann", "wikiann_en", "dev", 10_000, 80_536, 14_146),
        ("weibo", "weibo_zh", "train", 1_350, 73_778, 1_895),
        ("weibo", "weibo_zh", "dev", 270, 14_509, 389),
        # 2,635 and 305 begin with B-; the others are orphan I- tags, which conlleval counts.
        ("azerbaijani", "azerbaijani", "train", 1_214, 24_803, 2_642),
        ("azerbaijani", "azerbaijani", "dev", 135, 3_035, 308),
    ],
)
def test_a_preset_reads_its_corpus(
    preset: str, folder: str, split: str, sentences: int, tokens: int, entities: int
) -> None:
    if not (DATA / folder).is_dir():
        pytest.skip(f"needs {DATA / folder}; set NERLAB_DATA to the folder of the corpora")
    config = compose_data(f"data={preset}", f"data.dir={DATA / folder}")
    corpus = load_split(config, split)
    found = [spans_of(corpus.sentence_tags(i)) for i in range(len(corpus))]
    assert (len(corpus), len(corpus.tokens)) == (sentences, tokens)
    assert sum(map(len, found)) == entities


def test_a_token_of_wikiann_has_lost_its_language_and_one_of_weibo_its_digit() -> None:
    real("wikiann_en/dev"), real("weibo_zh/weiboNER_2nd_conll.dev")
    wikiann = load_split(compose_data("data=wikiann", f"data.dir={DATA / 'wikiann_en'}"), "dev")
    assert wikiann.sentence_tokens(0)[:3] == ["Sioux", "Falls", "Arena"]
    assert ":" in wikiann.lexicon
    weibo = load_split(compose_data("data=weibo", f"data.dir={DATA / 'weibo_zh'}"), "dev")
    assert "".join(weibo.sentence_tokens(0)[:3]) == "口腔溃"


@pytest.mark.long
def test_the_table_of_the_groningen_meaning_bank_is_read_whole() -> None:
    path = real("gmb/ner_dataset.csv.gz")
    corpus = load_file(compose_data("data=csv", "data.reader.encoding=cp1252"), path)
    found = [spans_of(corpus.sentence_tags(i)) for i in range(len(corpus))]
    assert (len(corpus), len(corpus.tokens)) == (47_959, 1_048_575)
    assert sum(map(len, found)) == 111_891
    assert len(corpus.labels) == 8
    assert {"None", '"'} <= set(corpus.lexicon)
    # The bytes 0x85 and 0xa0 are white space to Python if they are taken for Latin-1.
    assert any("…" in token for token in corpus.lexicon)
    assert any("\xa0" in token for token in corpus.lexicon)


@pytest.mark.parametrize(
    ("overrides", "sentences", "tokens"),
    [
        ([], 500, 23_114),
        (
            [
                "data.reader.start=token_start",
                "data.reader.end=token_end",
                "data.reader.unit=tokens",
                "data.reader.ends=inclusive",
            ],
            500,
            23_114,
        ),
        # Cut by our own rules, by which two spans are parts of a hyphenated word.
        (["data.reader.tokens=null", "data.reader.misaligned=expand"], 1_442, 23_781),
    ],
)
def test_the_texts_of_fashion_brands_are_read_whole(
    overrides: list[str], sentences: int, tokens: int
) -> None:
    path = real("fashion_brands/fashion_brands_eval.jsonl")
    corpus = load_file(compose_data("data=fashion_brands", *overrides), path)
    found = [spans_of(corpus.sentence_tags(i)) for i in range(len(corpus))]
    assert (len(corpus), len(corpus.tokens)) == (sentences, tokens)
    assert sum(map(len, found)) == 238
    assert set(corpus.labels) == {"FASHION_BRAND"}


@pytest.mark.long
def test_the_splits_of_gmb_are_those_of_blawok() -> None:
    real("gmb/ner_dataset.csv.gz")
    data = compose_data("data=gmb", f"data.dir={DATA / 'gmb'}")
    parts = {name: load_split(data, name) for name in ("train", "dev", "test")}
    assert [len(part) for part in parts.values()] == [38_367, 4_796, 4_796]
    test = parts["test"]
    spans = [spans_of(test.sentence_tags(i)) for i in range(len(test))]
    assert sum(map(len, spans)) == 11_377  # as that project counts them


@pytest.mark.long
def test_equal_sentences_of_gmb_fall_on_one_side() -> None:
    real("gmb/ner_dataset.csv.gz")
    data = compose_data("data=gmb", f"data.dir={DATA / 'gmb'}", "data.split=hash")
    sides: dict[tuple[str, ...], str] = {}
    for name in ("train", "dev", "test"):
        part = load_split(data, name)
        for i in range(len(part)):
            assert sides.setdefault(tuple(part.sentence_tokens(i)), name) == name
