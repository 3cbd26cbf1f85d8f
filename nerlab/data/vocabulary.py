"""Strings to ids: words, characters and tags, all counted on the training split alone."""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nerlab.tags import iobes_tags

PADDING = 0
UNKNOWN = 1
_FIRST_ID = 2
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class Vocabulary:
    """The words, characters and tags a model knows, and how a token becomes one of its words.

    Ids of words and characters begin at 2: 0 is padding, 1 the unknown. Tags are those of
    IOBES over ``labels``, O first, numbered from 0.

    Args:
        words: known words, normalised, the most frequent first.
        characters: known characters.
        labels: entity types.
        singletons: how many words at the end of ``words`` occur once in training; training
            turns some of them into the unknown word, which is how its vector is learned.
        lowercase: words are looked up in lower case (characters never are).
        fold_digits: words are looked up with every digit turned into 0.
        turkic_i: lower case is that of Turkish and Azerbaijani: İ to i, I to ı.
        max_word_length: characters of a longer token beyond this many are not looked at.
    """

    words: tuple[str, ...]
    characters: tuple[str, ...]
    labels: tuple[str, ...]
    singletons: int
    lowercase: bool
    fold_digits: bool
    turkic_i: bool
    max_word_length: int
    _word_ids: dict[str, int] = field(init=False, repr=False, compare=False)
    _character_ids: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words = {word: i for i, word in enumerate(self.words, start=_FIRST_ID)}
        characters = np.full(sys.maxunicode + 1, UNKNOWN, dtype=np.int32)  # by code point
        codes = np.array([ord(character) for character in self.characters], dtype=np.int64)
        characters[codes] = np.arange(_FIRST_ID, self.num_characters)
        object.__setattr__(self, "_word_ids", words)
        object.__setattr__(self, "_character_ids", characters)

    @property
    def num_words(self) -> int:
        """How many word ids there are."""
        return _FIRST_ID + len(self.words)

    @property
    def num_characters(self) -> int:
        """How many character ids there are."""
        return _FIRST_ID + len(self.characters)

    @property
    def tags(self) -> list[str]:
        """The tag of each tag id."""
        return iobes_tags(self.labels)

    @property
    def first_singleton(self) -> int:
        """Ids from here on are words that occur once in training."""
        return self.num_words - self.singletons

    def word_ids(self, tokens: Iterable[str]) -> np.ndarray:
        """Word ids ``(N,)`` of N tokens."""
        ids = self._word_ids
        forms = (self.normalise(token) for token in tokens)
        return np.fromiter((ids.get(form, UNKNOWN) for form in forms), dtype=np.int64)

    def normalise(self, token: str) -> str:
        """The form under which a token is looked up among the words."""
        return normalise(token, self.lowercase, self.fold_digits, self.turkic_i)

    def character_ids(self, codes: np.ndarray) -> np.ndarray:
        """Character ids ``(M,)`` int32 of M characters, given as code points."""
        return self._character_ids[codes]

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which :meth:`from_json` makes an equal vocabulary."""
        return {
            "words": list(self.words),
            "characters": list(self.characters),
            "labels": list(self.labels),
            "singletons": self.singletons,
            "lowercase": self.lowercase,
            "fold_digits": self.fold_digits,
            "turkic_i": self.turkic_i,
            "max_word_length": self.max_word_length,
        }

    @classmethod
    def from_json(cls, path: Path) -> "Vocabulary":
        """Read what :meth:`to_json` gave; ``ValueError`` says what of it is missing or broken."""
        try:
            data = json.loads(path.read_text(encoding="utf-8", errors="surrogatepass"))
            vocabulary = cls(
                words=tuple(data["words"]),
                characters=tuple(data["characters"]),
                labels=tuple(data["labels"]),
                singletons=int(data["singletons"]),
                lowercase=bool(data["lowercase"]),
                fold_digits=bool(data["fold_digits"]),
                turkic_i=bool(data.get("turkic_i", False)),  # earlier checkpoints have no such key
                max_word_length=int(data["max_word_length"]),
            )
            for key, most in (("singletons", vocabulary.num_words), ("max_word_length", 2**31 - 1)):
                if not 0 <= getattr(vocabulary, key) <= most:
                    raise ValueError(f"{key}={data[key]}: expected 0 to {most}")
            return vocabulary
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            problem = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"{path}: no vocabulary of nerlab: {problem}") from None


def normalise(token: str, lowercase: bool, fold_digits: bool, turkic_i: bool) -> str:
    """The form under which a token is looked up among the words, see :class:`Vocabulary`.

    >>> normalise("IŞIQ-2024", lowercase=True, fold_digits=True, turkic_i=True)
    'ışıq-0000'
    """
    if lowercase and turkic_i:
        token = token.replace("I\u0307", "i").replace("İ", "i").replace("I", "ı")
    if lowercase:
        token = token.lower()
    return _DIGIT.sub("0", token) if fold_digits else token


def build_vocabulary(
    token_counts: Iterable[tuple[str, int]],
    labels: Iterable[str],
    lowercase: bool,
    fold_digits: bool,
    turkic_i: bool,
    min_count: int,
    max_word_length: int,
) -> Vocabulary:
    """Count words and characters over the distinct tokens of the training split.

    Words seen fewer than ``min_count`` times, and characters found in one distinct token only,
    are left to the unknown entry (for characters this is how its vector is learned).
    """
    words: Counter[str] = Counter()
    characters: Counter[str] = Counter()
    for token, count in token_counts:
        words[normalise(token, lowercase, fold_digits, turkic_i)] += count
        characters.update(set(token[:max_word_length]))
    known = sorted((w for w in words if words[w] >= min_count), key=lambda w: (-words[w], w))
    return Vocabulary(
        words=tuple(known),
        characters=tuple(sorted(c for c, count in characters.items() if count > 1)),
        labels=tuple(sorted(labels)),
        singletons=sum(words[w] == 1 for w in known),
        lowercase=lowercase,
        fold_digits=fold_digits,
        turkic_i=turkic_i,
        max_word_length=max_word_length,
    )
