"""What was found, as JSON."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from nerlab.inference.output import entities_of, text_object
from nerlab.inference.predictor import SentenceTags, TaggedSentence, Wanted, tagged_sentence
from nerlab.messages import json_line
from nerlab.serving.requests import Asked
from nerlab.serving.schemas import (
    FormRequest,
    PlainRequest,
    SentenceRequest,
    TextRequest,
    TextsRequest,
)
from nerlab.tags import OUTSIDE, spans_of, split_tag, tags_of
from nerlab.text import MAX_SENTENCE_TOKENS, Token, sentences


class Cut(NamedTuple):
    """A text and the tokens of its sentences."""

    text: str
    sentences: list[list[Token]]


class _Found(NamedTuple):
    """A sentence with its entities of a high enough score, and all that was found in it."""

    tagged: TaggedSentence
    tags: list[str]  # IOB2
    whole: SentenceTags


def cut(asked: Asked) -> list[Cut]:
    """The texts of a request, cut into sentences and tokens."""
    if isinstance(asked, SentenceRequest):
        return [_cut_tokens(asked.sentence)]
    texts = asked.texts if isinstance(asked, TextsRequest) else [asked.text]
    return [Cut(text, list(sentences(text))) for text in texts]


def _cut_tokens(words: Sequence[str]) -> Cut:
    """Tokens with a space between them, in sentences no longer than those of texts."""
    tokens, end = [], 0
    for word in words:
        tokens.append(Token(word, end, end + len(word)))
        end += len(word) + 1
    starts = range(0, len(tokens), MAX_SENTENCE_TOKENS)
    return Cut(" ".join(words), [tokens[i : i + MAX_SENTENCE_TOKENS] for i in starts])


def wanted(asked: Asked) -> Wanted:
    """What of a tagger a request needs beside tags and entities."""
    if isinstance(asked, PlainRequest):
        return Wanted()
    return Wanted(isinstance(asked, SentenceRequest) or asked.tokens, asked.k)


def answer(
    asked: Asked, texts: Sequence[Cut], found: Sequence[SentenceTags], names: Sequence[str]
) -> bytes:
    """The JSON that answers a request.

    Args:
        asked: the request.
        texts: its texts.
        found: what was found in each sentence of the texts.
        names: the K tags, the columns of marginals.
    """
    results = iter(found)
    tagged = [
        [_found(text, tokens, next(results), asked.min_score) for tokens in split]
        for text, split in texts
    ]
    return json_line(_value(asked, texts, tagged, names)).encode()


def _value(
    asked: Asked, texts: Sequence[Cut], tagged: Sequence[list[_Found]], names: Sequence[str]
) -> object:
    if isinstance(asked, TextsRequest):
        results = [
            _text(asked, text, found, names) for (text, _), found in zip(texts, tagged, strict=True)
        ]
        return {"results": results}
    (text, _), found = texts[0], tagged[0]
    if isinstance(asked, PlainRequest):
        return [
            [token.text, tag]
            for f in found
            for token, tag in zip(f.tagged.tokens, f.tags, strict=True)
        ]
    if isinstance(asked, SentenceRequest):
        tags = [tag for f in found for tag in f.tags]
        scores = [score for f in found for score in _scores(f, names)]
        return {"tags": tags, "scores": scores, **_sequences(asked.k, found)}
    if isinstance(asked, FormRequest):
        return {"entities": _by_label(found), **_parts(asked, found, names)}
    return _text(asked, text, found, names)


def _found(text: str, tokens: list[Token], whole: SentenceTags, min_score: float) -> _Found:
    spans = [span for span in whole.spans if span.score >= min_score]
    tagged = tagged_sentence(text, tokens, whole.tags, spans)
    return _Found(tagged, _iob2(tagged.tags), whole)


def _text(
    asked: TextRequest | TextsRequest, text: str, found: Sequence[_Found], names: Sequence[str]
) -> dict[str, object]:
    return {**text_object(text, [f.tagged for f in found]), **_parts(asked, found, names)}


def _by_label(found: Sequence[_Found]) -> dict[str, list[str]]:
    grouped = defaultdict[str, list[str]](list)
    for entity in entities_of(f.tagged for f in found):
        grouped[entity.label].append(entity.text)
    return grouped


def _parts(
    asked: TextRequest | TextsRequest, found: Sequence[_Found], names: Sequence[str]
) -> dict[str, object]:
    """What an answer has beside the entities, if it is asked for."""
    every = [token for f in found for token in _tokens(f, names)] if asked.tokens else []
    return {**({"tokens": every} if asked.tokens else {}), **_sequences(asked.k, found)}


def _tokens(found: _Found, names: Sequence[str]) -> list[dict[str, object]]:
    return [
        {**token._asdict(), "tag": tag, "score": score}
        for token, tag, score in zip(
            found.tagged.tokens, found.tags, _scores(found, names), strict=True
        )
    ]


def _sequences(k: int, found: Sequence[_Found]) -> dict[str, object]:
    if not k:
        return {}
    return {
        "sequences": [
            [
                {"tags": _iob2(tags), "probability": _rounded(probability)}
                for tags, probability in f.whole.sequences
            ]
            for f in found
        ]
    }


def _iob2(tags: Sequence[str]) -> list[str]:
    return tags_of(spans_of(tags), len(tags), "iob2")


def _scores(found: _Found, names: Sequence[str]) -> list[float]:
    """The probability of each tag of IOB2 at its token: ``p(B-X) = p(B) + p(S)``, ``p(I-X) = p(I) +
    p(E)`` of IOBES."""
    marginals = found.whole.marginals
    assert marginals is not None
    of_tag = _columns(tuple(names))
    columns = np.array([of_tag[tag] for tag in found.tags])  # (T, 2)
    both = np.take_along_axis(marginals, columns, axis=1).astype(float)
    is_one = columns[:, 0] == columns[:, 1]
    return [_rounded(p) for p in (both[:, 0] + np.where(is_one, 0.0, both[:, 1])).tolist()]


@lru_cache
def _columns(names: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """The columns of the tags of IOBES that a tag of IOB2 may be; O is one alone."""
    column = {name: number for number, name in enumerate(names)}
    columns = {OUTSIDE: (column[OUTSIDE], column[OUTSIDE])}
    for label in {split_tag(name)[1] for name in names if name != OUTSIDE}:
        b, i, e, s = (column[f"{role}-{label}"] for role in "BIES")
        columns |= {f"B-{label}": (b, s), f"I-{label}": (i, e)}
    return columns


def _rounded(probability: float) -> float:
    """To as many digits as predict.py has; a sum may be a little above 1."""
    return round(min(1.0, probability), 6)
