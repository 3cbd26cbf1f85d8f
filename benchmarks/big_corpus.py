"""A corpus of any size, made up: words by Zipf's law, sentences of twenty tokens, IOB2."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nerlab.data.sentence import Sentence
from nerlab.messages import conll_sentence

_SYLLABLES = [c + v for c in "bcdfghjklmnprstvz" for v in "aeiou"]
_LABELS = ("PER", "LOC", "ORG", "MISC")
_LEXICON = 400_000  # more than a newspaper of this size has: each is a row of the word table
_BLOCK = 1_000_000  # tokens


def make_corpus(tokens: int, seed: int = 0) -> Iterator[Sentence]:
    """Sentences of at least so many tokens in all; the same for the same seed."""
    rng = np.random.default_rng(seed)
    words = [_spell(number) for number in range(_LEXICON)]
    cumulative = np.cumsum(1 / np.arange(10, _LEXICON + 10))  # frequencies by rank
    line = 1
    for _ in range(0, tokens, _BLOCK):
        n = min(_BLOCK, tokens)
        ranks = np.searchsorted(cumulative, rng.random(n) * cumulative[-1])
        begins = rng.random(n) < 0.1
        goes_on = rng.random(n) < 0.35
        labels = rng.integers(0, len(_LABELS), n).tolist()
        lengths = np.clip(rng.gamma(4.0, 5.0, n).astype(int), 1, 120)  # more than are needed
        chosen = [words[rank] for rank in ranks.tolist()]
        tags = _tags(begins.tolist(), goes_on.tolist(), labels)
        start = 0
        for length in lengths.tolist():
            end = min(start + length, n)
            first = tags[start]
            own = [first.replace("I-", "B-"), *tags[start + 1 : end]]
            yield Sentence(chosen[start:end], own, line=line)
            line += end - start + 1
            start = end
            if start == n:
                break


def _spell(number: int) -> str:
    """Another pronounceable word for every number, the shorter the smaller it is."""
    word = ""
    number += 1
    while number:
        number, syllable = divmod(number - 1, len(_SYLLABLES))
        word = _SYLLABLES[syllable] + word
    return word.capitalize() if len(word) % 4 == 0 else word


def _tags(begins: list[bool], goes_on: list[bool], labels: list[int]) -> list[str]:
    tags = []
    label = ""
    for begin, inside, number in zip(begins, goes_on, labels, strict=True):
        if label and inside:
            tags.append(f"I-{label}")
        elif begin:
            label = _LABELS[number]
            tags.append(f"B-{label}")
        else:
            label = ""
            tags.append("O")
    return tags


def write_columns(sentences: Iterator[Sentence], path: Path) -> None:
    """A token and its tag a line, a blank line after each sentence."""
    with path.open("w", encoding="utf-8") as file:
        for sentence in sentences:
            file.write(conll_sentence(sentence.tokens, sentence.tags))
