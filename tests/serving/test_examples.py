"""Example sentences in the languages of a tagger."""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest
from published_folders import SIZES

from nerlab.data.vocabulary import Indexed, Indexer, Vocabulary
from nerlab.models.characters import CharacterIndexer
from nerlab.models.pretrained import PretrainedIndexer
from nerlab.models.subwords import SubwordIndexer, train_subwords
from nerlab.models.words import WordIndexer
from nerlab.serving.examples import EXAMPLES, Example, examples_for
from nerlab.text import sentences, tokenize

LANGUAGES = sorted({example.language for example in EXAMPLES})


class Shapes:
    """An indexer of somebody's own, which knows no words."""

    def fit(self, counts: Iterable[tuple[str, int]]) -> None:
        pass

    def index(self, tokens: Sequence[str]) -> Indexed:
        raise AssertionError("its arrays say nothing of words")

    def files(self) -> dict[str, bytes]:
        return {}

    def load(self, files: Mapping[str, bytes]) -> None:
        pass


def sentences_in(*languages: str) -> list[Example]:
    return [example for example in EXAMPLES if example.language in languages]


def fitted(indexer: Indexer, examples: Iterable[Example]) -> Indexer:
    words = [token.text for example in examples for token in tokenize(example.text)]
    indexer.fit(Counter(words).items())
    return indexer


def words_of(*languages: str) -> Indexer:
    options = {"lowercase": True, "fold_digits": True, "turkic_i": False}
    indexer = WordIndexer(**options, min_count=1, vectors=None)
    return fitted(indexer, sentences_in(*languages))


def offered(**indexers: Indexer) -> list[Example]:
    return examples_for(Vocabulary(("PER",), indexers))


def test_the_examples_are_sentences_of_many_languages_and_scripts() -> None:
    assert len(LANGUAGES) >= 15
    assert len(set(EXAMPLES)) == len(EXAMPLES)
    for _, text in EXAMPLES:
        assert len(list(sentences(text))) == 1, text
        assert unicodedata.is_normalized("NFC", text)
        assert text.isprintable()
    letters = {unicodedata.name(e.text[-5]).split()[0] for e in EXAMPLES}
    assert len(letters) >= 10, letters


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_tagger_of_one_language_is_offered_its_sentences_alone(language: str) -> None:
    assert offered(words=words_of(language)) == sentences_in(language)


def test_of_several_languages_each_has_its_first_sentence_before_any_has_its_second() -> None:
    found = offered(words=words_of("en", "az", "ko"))
    languages = " ".join(language for language, _ in found)
    assert languages == "en az ko en az en az en"
    assert set(found) == set(sentences_in("en", "az", "ko"))


def test_not_more_are_offered_than_one_looks_at() -> None:
    found = offered(words=words_of(*LANGUAGES))
    assert len(found) == 24
    assert {example.language for example in found} == set(LANGUAGES)


def test_every_indexer_must_know_the_words() -> None:
    latin = fitted(CharacterIndexer(max_word_length=64), sentences_in("en", "nl", "it"))
    assert {"en", "nl", "it"} <= {e.language for e in offered(characters=latin)}
    assert not {"el", "ru", "zh"} & {e.language for e in offered(characters=latin)}
    assert offered(characters=latin, words=words_of("en", "ru")) == sentences_in("en")


def test_words_of_few_pieces_are_known(tmp_path: Path) -> None:
    words = (token.text for example in sentences_in("tr", "ru") for token in tokenize(example.text))
    file = tmp_path / "subwords.model"
    file.write_bytes(train_subwords(Counter(words).items(), 400, "bpe", coverage=1.0))
    pieces = SubwordIndexer(str(file), vocab_size=0, coverage=1.0)
    pieces.fit([])
    assert {example.language for example in offered(pieces=pieces)} == {"tr", "ru"}


def test_a_published_model_is_offered_the_languages_of_its_tokenizer(tmp_path: Path) -> None:
    """It has the letters of all alphabets, and the words of two languages."""
    used = {c for example in EXAMPLES for c in example.text if c.isalpha()}
    letters = sorted(c for c in used if c < "\u3000")  # no words by themselves
    known = {token.text for example in sentences_in("en", "he") for token in tokenize(example.text)}
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    pieces += sorted(known.difference(letters))
    (tmp_path / "vocab.txt").write_text("\n".join([*pieces, ""]), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    config = {**SIZES, "model_type": "bert", "vocab_size": len(pieces)}
    (tmp_path / "config.json").write_text(json.dumps(config))
    indexer = PretrainedIndexer(str(tmp_path))
    indexer.fit([])
    assert set(offered(pretrained=indexer)) == set(sentences_in("en", "he"))


def test_who_knows_no_language_is_offered_nothing() -> None:
    nothing = fitted(words_of(), [])
    assert offered(words=nothing) == []
    assert offered() == []
    assert offered(shapes=Shapes()) == []
    assert offered(shapes=Shapes(), words=words_of("fa")) == sentences_in("fa")
