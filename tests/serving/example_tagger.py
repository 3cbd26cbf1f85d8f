"""A tagger that finds what the examples of the documentation have, with their probabilities."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from nerlab.evaluation.predictions import ScoredSpan
from nerlab.inference.pieces import Piece
from nerlab.inference.predictor import Predictor, SentenceTags, TagSequence, Wanted, load
from nerlab.serving.batching import Limits
from nerlab.tags import OUTSIDE, tags_of

LIMITS = Limits(window=0.0, batch_tokens=4096, queue_tokens=500_000, queue_requests=2000)
_PLACES = ("Berlin", "Paris")
_PERSON, _PLACE, _NONE = 0.9998, 0.9981, 0.9999


class ExampleTagger(Predictor):
    """Knows Angela Merkel, Berlin and Paris."""

    def __init__(self, run: Path) -> None:
        super().__init__(load(run, device="cpu").checkpoints)

    def tag_pieces(self, pieces: Sequence[Piece], wanted: Wanted) -> list[list[SentenceTags]]:
        return [[self._tagged(sentence.tokens, wanted) for sentence in piece] for piece in pieces]

    def _tagged(self, tokens: list[str], wanted: Wanted) -> SentenceTags:
        spans = list(_spans(tokens))
        tags = tags_of([span.span for span in spans], len(tokens))
        marginals = np.zeros((len(tokens), len(self.tags)), np.float32)
        marginals[range(len(tokens)), [self.tags.index(tag) for tag in tags]] = _NONE
        for span in spans:
            marginals[span.start : span.end] *= span.score / _NONE
        best = [TagSequence(tags, 0.998), TagSequence([OUTSIDE] * len(tags), 0.001)]
        found = marginals if wanted.marginals else None
        return SentenceTags(tags, spans, found, best[: wanted.sequences])


def _spans(tokens: list[str]) -> Iterator[ScoredSpan]:
    for start, token in enumerate(tokens):
        if tokens[start : start + 2] == ["Angela", "Merkel"]:
            yield ScoredSpan(start, start + 2, "PER", _PERSON)
        if token in _PLACES:
            yield ScoredSpan(start, start + 1, "LOC", _PLACE)
