"""Strings to ids: words, characters and tags, all counted on the training split alone."""

import json
import re
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
        max_word_length: characters of a longer token beyond this many are not looked at.
    """

    words: tuple[str, ...]
    characters: tuple[str, ...]
    labels: tuple[str, ...]
    singletons: int
    lowercase: bool
    fold_digits: bool
    max_word_length: int
    _word_ids: dict[str, int] = field(init=False, repr=False, compare=False)
    _character_ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words = {word: i for i, word in enumerate(self.words, start=_FIRST_ID)}
        characters = {c: i for i, c in enumerate(self.characters, start=_FIRST_ID)}
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
        return np.fromiter(
            (ids.get(normalise(t, self.lowercase, self.fold_digits), UNKNOWN) for t in tokens),
            dtype=np.int64,
        )

    def character_ids(self, token: str) -> list[int]:
        """The ids of a token's characters, at most ``max_word_length`` of them."""
        ids = self._character_ids
        return [ids.get(character, UNKNOWN) for character in token[: self.max_word_length]]

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which :meth:`from_json` makes an equal vocabulary."""
        return {
            "words": list(self.words),
            "characters": list(self.characters),
            "labels": list(self.labels),
            "singletons": self.singletons,
            "lowercase": self.lowercase,
            "fold_digits": self.fold_digits,
            "max_word_length": self.max_word_length,
        }

    @classmethod
    def from_json(cls, path: Path) -> "Vocabulary":
        """Read what :meth:`to_json` gave; ``ValueError`` says what of it is missing or broken."""
        try:
            data = json.loads(path.read_text(encoding="utf-8", errors="surrogatepass"))
            return cls(
                words=tuple(data["words"]),
                characters=tuple(data["characters"]),
                labels=tuple(data["labels"]),
                singletons=int(data["singletons"]),
                lowercase=bool(data["lowercase"]),
                fold_digits=bool(data["fold_digits"]),
                max_word_length=int(data["max_word_length"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            problem = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"{path}: no vocabulary of nerlab: {problem}") from None


def normalise(token: str, lowercase: bool, fold_digits: bool) -> str:
    """The form under which a token is looked up among the words."""
    if lowercase:
        token = token.lower()
    return _DIGIT.sub("0", token) if fold_digits else token


def build_vocabulary(
    token_counts: Iterable[tuple[str, int]],
    labels: Iterable[str],
    lowercase: bool,
    fold_digits: bool,
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
        words[normalise(token, lowercase, fold_digits)] += count
        characters.update(set(token[:max_word_length]))
    known = sorted((w for w in words if words[w] >= min_count), key=lambda w: (-words[w], w))
    return Vocabulary(
        words=tuple(known),
        characters=tuple(sorted(c for c, count in characters.items() if count > 1)),
        labels=tuple(sorted(labels)),
        singletons=sum(words[w] == 1 for w in known),
        lowercase=lowercase,
        fold_digits=fold_digits,
        max_word_length=max_word_length,
    )
