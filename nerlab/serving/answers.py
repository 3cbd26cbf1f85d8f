"""What was found, as JSON."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from nerlab.inference.output import entities_of, entity_object
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

_SLICE = 500  # items of a list that are written at once


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
    tagged = (
        (text, [_found(text, tokens, next(results), asked.min_score) for tokens in split])
        for text, split in texts
    )
    if isinstance(asked, TextsRequest):
        answers = (_object(_text(asked, text, split, names)) for text, split in tagged)
        return f'{{"results": [{", ".join(answers)}]}}'.encode()
    ((text, split),) = tagged
    if isinstance(asked, PlainRequest):
        return _array(_pairs(split)).encode()
    if isinstance(asked, SentenceRequest):
        value = _sentence(asked, split, names)
    elif isinstance(asked, FormRequest):
        value = {"entities": _by_label(split), **_parts(asked, split, names)}
    else:
        value = _text(asked, text, split, names)
    return _object(value).encode()


def _found(text: str, tokens: list[Token], whole: SentenceTags, min_score: float) -> _Found:
    spans = [span for span in whole.spans if span.score >= min_score]
    tagged = tagged_sentence(text, tokens, whole.tags, spans)
    return _Found(tagged, _iob2(tagged.tags), whole)


def _text(
    asked: TextRequest | TextsRequest, text: str, found: Sequence[_Found], names: Sequence[str]
) -> dict[str, object]:
    entities = map(entity_object, entities_of(f.tagged for f in found))
    return {"text": text, "entities": entities, **_parts(asked, found, names)}


def _pairs(found: Sequence[_Found]) -> Iterator[tuple[str, str]]:
    for f in found:
        yield from zip((token.text for token in f.tagged.tokens), f.tags, strict=True)


def _sentence(
    asked: SentenceRequest, found: Sequence[_Found], names: Sequence[str]
) -> dict[str, object]:
    tags = chain.from_iterable(f.tags for f in found)
    scores = chain.from_iterable(_scores(f, names) for f in found)
    return {"tags": tags, "scores": scores, **_sequences(asked.k, found)}


def _by_label(found: Sequence[_Found]) -> dict[str, list[str]]:
    grouped = defaultdict[str, list[str]](list)
    for entity in entities_of(f.tagged for f in found):
        grouped[entity.label].append(entity.text)
    return grouped


def _parts(
    asked: TextRequest | TextsRequest, found: Sequence[_Found], names: Sequence[str]
) -> dict[str, object]:
    """What an answer has beside the entities, if it is asked for."""
    tokens = {"tokens": _tokens(found, names)} if asked.tokens else {}
    return {**tokens, **_sequences(asked.k, found)}


def _tokens(found: Sequence[_Found], names: Sequence[str]) -> Iterator[dict[str, object]]:
    for f in found:
        for token, tag, score in zip(f.tagged.tokens, f.tags, _scores(f, names), strict=True):
            yield {**token._asdict(), "tag": tag, "score": score}


def _sequences(k: int, found: Sequence[_Found]) -> dict[str, object]:
    if not k:
        return {}
    best = (
        [{"tags": _iob2(tags), "probability": _rounded(p)} for tags, p in f.whole.sequences]
        for f in found
    )
    return {"sequences": best}


def _object(fields: Mapping[str, object]) -> str:
    """JSON of some fields. A list that may be long is given as an iterator, and neither made nor
    written at once: other threads wait for the interpreter meanwhile."""
    parts = (
        f"{json_line(name)}: {_array(value) if isinstance(value, Iterator) else json_line(value)}"
        for name, value in fields.items()
    )
    return f"{{{', '.join(parts)}}}"


def _array(values: Iterator[object]) -> str:
    slices = iter(lambda: list(islice(values, _SLICE)), [])
    return f"[{', '.join(json_line(part)[1:-1] for part in slices)}]"


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
