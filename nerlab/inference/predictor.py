"""Raw text to entities."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from nerlab.data.build import build_corpus
from nerlab.data.sentence import Sentence
from nerlab.device import choose_device
from nerlab.evaluation.predictions import ScoredSpan
from nerlab.inference.pieces import (
    Piece,
    as_texts,
    check_document,
    check_text,
    chunks_of,
    numbered,
    pieces_of,
    small_pieces,
)
from nerlab.instantiation import trusted_packages
from nerlab.messages import counted
from nerlab.models.decoded import Decoder, Details
from nerlab.models.ensemble import decoder_of, load_checkpoints
from nerlab.models.loading import Checkpoint
from nerlab.tags import OUTSIDE, spans_of, tags_of
from nerlab.text import Token, sentences

T = TypeVar("T")
R = TypeVar("R")


class Entity(NamedTuple):
    """``text[start:end]`` in characters of the original string, and the model's probability of the
    whole span with this label."""

    text: str
    label: str
    start: int
    end: int
    score: float


class TaggedSentence(NamedTuple):
    """A sentence of a text: its tokens, their tags in IOBES, its entities."""

    tokens: list[Token]
    tags: list[str]
    entities: list[Entity]


class Wanted(NamedTuple):
    """What is asked for beside tags and entities: ``p(y_t = k)`` of every tag, and how many of the
    best tag sequences."""

    marginals: bool = False
    sequences: int = 0


class TagSequence(NamedTuple):
    """The tags of a whole sentence, in IOBES, and their probability."""

    tags: list[str]
    probability: float


class SentenceTags(NamedTuple):
    """The tags of a sentence of T tokens in IOBES, its entities in tokens; where they are wanted
    ``marginals (T, K)``, and the best tag sequences, the best first; fewer where there are no more.
    """

    tags: list[str]
    spans: list[ScoredSpan]
    marginals: np.ndarray | None = None
    sequences: Sequence[TagSequence] = ()


class Predictor:
    """A loaded tagger, or several as an ensemble, for text and for tokens.

    An ensemble has the mean probabilities of its members and the tags of which most are expected
    to be right, see :class:`nerlab.models.ensemble.EnsembleDecoder`.

    Texts are taken in until they hold ``chunk_tokens``, then tagged together, in batches of
    ``batch_tokens`` (None: as in training's scores).
    """

    def __init__(
        self,
        checkpoints: Sequence[Checkpoint],
        chunk_tokens: int = 32_000,
        batch_tokens: int | None = None,
    ) -> None:
        self.checkpoints = checkpoints
        self._chunk_tokens = chunk_tokens
        self._batch_tokens = batch_tokens or int(checkpoints[0].config.trainer.decode_tokens)
        self._sees_documents = any(checkpoint.by_document for checkpoint in checkpoints)

    def __repr__(self) -> str:
        runs = ", ".join(str(checkpoint.run) for checkpoint in self.checkpoints)
        parameters = [p for c in self.checkpoints for p in c.tagger.parameters()]
        size = counted(sum(p.numel() for p in parameters), "parameter")
        return f"<Predictor {runs}: {' '.join(self.labels)}; {size}, {parameters[0].device}>"

    @property
    def labels(self) -> tuple[str, ...]:
        """The types of entities that it knows."""
        return self.checkpoints[0].vocabulary.labels

    @property
    def tags(self) -> list[str]:
        """The K tags in IOBES, O first: the columns of :meth:`marginals`."""
        return self.checkpoints[0].vocabulary.tags

    def predict(
        self, texts: Iterable[str], document: str = "line", min_score: float = 0.0
    ) -> list[list[Entity]]:
        """The entities of each text with a score of at least ``min_score``, in the text's order.

        ``document`` says which of them a model that looks at documents sees together: ``line``: the
        sentences of each text; ``file``: all; ``none``: no two sentences. ``ValueError``: it is
        none of these, or something in ``texts`` is no text.
        """
        if isinstance(texts, str):
            raise ValueError(
                "predict: expected a list of texts, found one string; put it in a list"
            )
        checked = (check_text(text, index) for index, text in enumerate(texts))
        return [
            [entity for sentence in tagged for entity in sentence.entities]
            for _, tagged in self.stream(checked, document, min_score)
        ]

    def predict_tokens(
        self, sentences: Iterable[Sequence[str]], document: str = "line", min_score: float = 0.0
    ) -> list[list[ScoredSpan]]:
        """The same for sentences of tokens: start and end of an entity, which is
        ``sentence[start:end]``, its label and score. Each sentence counts as a text.

        >>> tagger.predict_tokens([["Angela", "Merkel", "flew"]])    # doctest: +SKIP
        [[ScoredSpan(start=0, end=2, label='PER', score=0.99)]]
        """
        texts = as_texts(sentences, "predict_tokens")
        return [
            [span for sentence in tagged for span in sentence.spans if span.score >= min_score]
            for _, tagged in self._chunks(texts, document, self._tag)
        ]

    def marginals(
        self, sentences: Iterable[Sequence[str]], document: str = "line"
    ) -> list[np.ndarray]:
        """The probability of each tag at each token, given the whole sentence: ``p(y_t = k)``,
        ``(tokens, K)``, for every sentence of tokens. Rows sum to 1, columns are :attr:`tags`.

        The tokens of a raw text are ``[token.text for token in nerlab.text.tokenize(text)]``.
        """
        found = self._chunks(as_texts(sentences, "marginals"), document, self._marginals)
        none = np.zeros((0, len(self.tags)), np.float32)
        return [rows[0] if rows else none for _, rows in found]

    def pieces(self, texts: Sequence[Sequence[list[str]]], document: str) -> list[Piece]:
        """The sentences of tokens of some texts in pieces for :meth:`tag_pieces`.

        What a model that looks at documents sees together is one piece, as :meth:`predict` cuts it;
        other pieces are small, so that those of several callers can take turns.
        """
        return list(small_pieces(texts, document, self._chunk_tokens, self._sees_documents))

    def tag_pieces(self, pieces: Sequence[Piece], wanted: Wanted) -> list[list[SentenceTags]]:
        """What is found in each sentence of each piece, all of which are decoded together; a model
        that looks at documents sees no two pieces as one. ``ValueError``: sequences are wanted of
        an ensemble, or a sentence does not fit into memory."""
        decoder, borders = self._decoder(pieces)
        details = decoder.details(*wanted)
        found = (
            self._sentence_tags(details, number, slice(first, last))
            for number, (first, last) in enumerate(pairwise(borders))
        )
        return [[next(found) for _ in piece] for piece in pieces]

    def stream(
        self,
        texts: Iterable[str],
        document: str = "line",
        min_score: float = 0.0,
        is_ready: Callable[[], bool] = lambda: True,
    ) -> Iterator[tuple[str, list[TaggedSentence]]]:
        """Each text with its tagged sentences, in order; what they take is that of :meth:`predict`.

        Memory stays bounded however many texts there are; a document that is larger than a chunk
        is cut between sentences. While ``is_ready`` says that the next text is not there yet,
        those that are there are tagged and returned, unless they are part of a larger document.
        """
        cut = ((text, list(sentences(text))) for text in texts)
        words = ((pair, [[token.text for token in s] for s in pair[1]]) for pair in cut)
        for (text, split), tagged in self._chunks(words, document, self._tag, is_ready):
            yield (
                text,
                [
                    tagged_sentence(
                        text, tokens, tags, [span for span in spans if span.score >= min_score]
                    )
                    for tokens, (tags, spans, _, _) in zip(split, tagged, strict=True)
                ],
            )

    def _chunks(
        self,
        texts: Iterable[tuple[T, list[list[str]]]],
        document: str,
        work: Callable[[Piece], list[R]],
        is_ready: Callable[[], bool] = lambda: True,
    ) -> Iterator[tuple[T, list[R]]]:
        """Whatever stands beside the sentences of a text, with what ``work`` makes of each."""
        check_document(document)
        is_ready = is_ready if document != "file" else lambda: True
        for chunk in chunks_of(texts, self._chunk_tokens, is_ready):
            pieces = pieces_of([words for _, words in chunk], document, self._chunk_tokens)
            results = (result for piece in pieces for result in work(piece))
            for given, words in chunk:
                yield given, [next(results) for _ in words]

    def _tag(self, piece: Piece) -> list[SentenceTags]:
        return self.tag_pieces([piece], Wanted())[0]

    def _marginals(self, piece: Piece) -> list[np.ndarray]:
        decoder, borders = self._decoder([piece])
        return np.split(decoder.marginals(), borders[1:-1])

    def _decoder(self, pieces: Sequence[Piece]) -> tuple[Decoder, list[int]]:
        """What decodes the sentences of some pieces, and where each begins and the last ends."""
        untagged = (
            Sentence(tokens, [OUTSIDE] * len(tokens), number) for tokens, number in numbered(pieces)
        )
        corpus = build_corpus(untagged, scheme="iobes", repair=False, source="text")
        has_documents = bool((corpus.documents >= 0).any())
        decoder = decoder_of(self.checkpoints, corpus, self._batch_tokens, has_documents)
        return decoder, corpus.offsets.tolist()

    def _sentence_tags(self, found: Details, number: int, tokens: slice) -> SentenceTags:
        """What was found in a sentence: its number and where its tokens are in the corpus."""
        tags = self._names(found.scored.tags[tokens])
        spans = spans_of(tags)
        scores = found.scored.probabilities(tokens, spans)
        return SentenceTags(
            tags,
            [ScoredSpan(*span, score) for span, score in zip(spans, scores, strict=True)],
            None if found.marginals is None else found.marginals[tokens],
            [] if found.sequences is None else self._sequences(*found.sequences[number]),
        )

    def _sequences(self, tags: np.ndarray, probabilities: np.ndarray) -> list[TagSequence]:
        return list(map(TagSequence, map(self._names, tags), probabilities.tolist()))

    def _names(self, tags: np.ndarray) -> list[str]:
        names = self.tags
        return [names[tag] for tag in tags.tolist()]


def tagged_sentence(
    text: str, tokens: list[Token], tags: list[str], spans: list[ScoredSpan]
) -> TaggedSentence:
    """A sentence with the entities that are kept, and no other in its tags."""
    kept = [span.span for span in spans]
    entities = []
    for span in spans:
        start, end = tokens[span.start].start, tokens[span.end - 1].end
        entities.append(Entity(text[start:end], span.label, start, end, span.score))
    if kept != spans_of(tags):
        tags = tags_of(kept, len(tags))
    return TaggedSentence(tokens, tags, entities)


def load(
    path: str | Path | Sequence[str | Path],
    device: str = "auto",
    trust: str | Sequence[str] | None = None,
) -> Predictor:
    """Load a tagger from a run directory or a checkpoint folder, or an ensemble of several.

    Args:
        path: the folder, or a list of folders whose taggers know the same labels; ``ValueError``:
            they do not, or one holds no checkpoint that is whole and trusted.
        device: ``cpu``, ``cuda``, ``cuda:1`` ...; ``auto`` takes a GPU if there is one.
        trust: a package of your own, or several, whose classes the checkpoint may name. Whoever
            wrote the checkpoint chooses which of them are made, and with what arguments.

    >>> tagger = load("runs/latest")                            # doctest: +SKIP
    >>> tagger.predict(["Angela Merkel flew to Paris ."])       # doctest: +SKIP
    [[Entity(text='Angela Merkel', label='PER', start=0, end=13, score=0.9998...), ...]]
    """
    return Predictor(load_checkpoints(path, choose_device(device), trusted_packages(trust)))
