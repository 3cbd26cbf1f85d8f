"""Raw text to entities."""

import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress, count, pairwise
from pathlib import Path
from typing import NamedTuple

from nerlab.data.batch import Batcher
from nerlab.data.build import build_corpus
from nerlab.data.documents import DocumentBatcher
from nerlab.data.sentence import Sentence
from nerlab.device import choose_device
from nerlab.instantiation import trusted_packages
from nerlab.models.decoding import CorpusDecoder
from nerlab.models.loading import Checkpoint, load_checkpoint
from nerlab.tags import OUTSIDE, Span, spans_of, tags_of
from nerlab.text import Token, sentences

DOCUMENTS = ("line", "file", "none")
"""What is one document: each text, all texts together, or nothing."""


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


_Text = tuple[str, list[list[Token]]]  # a text and its sentences


class _Untagged(NamedTuple):
    """A sentence, the text that it is of, and its document."""

    text: str
    tokens: list[Token]
    document: int | None


class Predictor:
    """A loaded tagger for raw text.

    Texts are taken in until they hold ``chunk_tokens``, then tagged together, in batches of
    ``batch_tokens`` (None: as in training's scores).
    """

    def __init__(
        self, checkpoint: Checkpoint, chunk_tokens: int = 32_000, batch_tokens: int | None = None
    ) -> None:
        self._checkpoint = checkpoint
        self._chunk_tokens = chunk_tokens
        self._batch_tokens = batch_tokens or int(checkpoint.config.trainer.decode_tokens)

    @property
    def labels(self) -> tuple[str, ...]:
        """The types of entities that it knows."""
        return self._checkpoint.vocabulary.labels

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
        return [
            [entity for sentence in tagged for entity in sentence.entities]
            for _, tagged in self.stream(map(_checked, texts, count()), document, min_score)
        ]

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
        if document not in DOCUMENTS:
            raise ValueError(f"document={document}: expected one of {', '.join(DOCUMENTS)}")
        chunk: list[_Text] = []
        tokens = 0
        for text in texts:
            chunk.append((text, list(sentences(text))))
            tokens += 1 + sum(map(len, chunk[-1][1]))  # empty texts take memory too
            if tokens >= self._chunk_tokens or (document != "file" and not is_ready()):
                yield from self._tag_chunk(chunk, document, min_score)
                chunk, tokens = [], 0
        yield from self._tag_chunk(chunk, document, min_score)

    def _tag_chunk(
        self, chunk: list[_Text], document: str, min_score: float
    ) -> Iterator[tuple[str, list[TaggedSentence]]]:
        pieces = _pieces(chunk, document, self._chunk_tokens)
        tagged = (sentence for piece in pieces for sentence in self._tag(piece))
        for text, split in chunk:
            yield text, [_at_least(min_score, next(tagged)) for _ in split]

    def _tag(self, piece: list[_Untagged]) -> list[TaggedSentence]:
        vocabulary = self._checkpoint.vocabulary
        untagged = (
            Sentence([token.text for token in tokens], [OUTSIDE] * len(tokens), number)
            for _, tokens, number in piece
        )
        corpus = build_corpus(untagged, scheme="iobes", repair=False, source="text")
        by_document = self._checkpoint.by_document and piece[0].document is not None
        make_batcher = DocumentBatcher if by_document else Batcher
        batcher = make_batcher(corpus, vocabulary, with_tags=False)
        scored = CorpusDecoder(self._checkpoint.tagger, batcher, self._batch_tokens).scored_tags()
        results = []
        for (text, tokens, _), (first, last) in zip(piece, pairwise(corpus.offsets), strict=True):
            tags = [vocabulary.tags[tag] for tag in scored.tags[first:last]]
            spans = spans_of(tags)
            probabilities = scored.probabilities(slice(first, last), spans)
            results.append(
                TaggedSentence(tokens, tags, _entities(text, tokens, spans, probabilities))
            )
        return results


def _checked(text: object, index: int) -> str:
    if not isinstance(text, str):
        found = f"{reprlib.repr(text)} at index {index}, counted from 0"
        raise ValueError(f"predict: expected texts, found {found}; leave it out, or put '' there")
    return text


def _pieces(chunk: list[_Text], document: str, most_tokens: int) -> Iterator[list[_Untagged]]:
    """The sentences that are tagged together: one text may be a whole library.

    Where a long text is cut depends on nothing but the text.
    """
    piece: list[_Untagged] = []
    for index, (text, split) in enumerate(chunk):
        number = {"line": index, "file": 0, "none": None}[document]
        tokens = 0
        for sentence in split:
            if tokens >= most_tokens:
                yield piece
                piece, tokens = [], 0
            piece.append(_Untagged(text, sentence, number))
            tokens += len(sentence)
    if piece:
        yield piece


def _at_least(min_score: float, sentence: TaggedSentence) -> TaggedSentence:
    """The sentence without the entities of a lower score."""
    kept = [entity.score >= min_score for entity in sentence.entities]
    if all(kept):
        return sentence
    spans = compress(spans_of(sentence.tags), kept)
    entities = list(compress(sentence.entities, kept))
    return TaggedSentence(sentence.tokens, tags_of(spans, len(sentence.tokens)), entities)


def _entities(
    text: str, tokens: list[Token], spans: list[Span], probabilities: list[float]
) -> list[Entity]:
    entities = []
    for span, probability in zip(spans, probabilities, strict=True):
        start, end = tokens[span.start].start, tokens[span.end - 1].end
        entities.append(Entity(text[start:end], span.label, start, end, probability))
    return entities


def load(
    path: str | Path, device: str = "auto", trust: str | Sequence[str] | None = None
) -> Predictor:
    """Load a tagger from a run directory or a checkpoint folder.

    Args:
        path: the folder; ``ValueError``: it holds no checkpoint that is whole and trusted.
        device: ``cpu``, ``cuda``, ``cuda:1`` ...; ``auto`` takes a GPU if there is one.
        trust: a package of your own, or several, whose classes the checkpoint may name. Whoever
            wrote the checkpoint chooses which of them are made, and with what arguments.

    >>> tagger = load("runs/latest")                            # doctest: +SKIP
    >>> tagger.predict(["Angela Merkel flew to Paris ."])       # doctest: +SKIP
    [[Entity(text='Angela Merkel', label='PER', start=0, end=13, score=0.99), ...]]
    """
    return Predictor(load_checkpoint(path, choose_device(device), trusted_packages(trust)))
