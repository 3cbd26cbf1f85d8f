"""Which sentences are tagged together."""

import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import NamedTuple, TypeVar

DOCUMENTS = ("line", "file", "none")
"""What is one document: each text, all texts together, or nothing."""
_SMALL_TOKENS = 500  # of a piece of sentences that could as well be apart
T = TypeVar("T")


class Untagged(NamedTuple):
    """The tokens of a sentence, and the number of its document; None: it is of none."""

    tokens: list[str]
    document: int | None


Piece = list[Untagged]


def pieces_of(
    texts: Sequence[Sequence[list[str]]], document: str, most_tokens: int
) -> Iterator[Piece]:
    """The sentences of some texts in pieces that are tagged together: one text may be a whole
    library. ``document`` is one of :data:`DOCUMENTS`.

    Where a long text is cut depends on nothing but the text.
    """
    piece: Piece = []
    for index, sentences in enumerate(texts):
        number = {"line": index, "file": 0, "none": None}[document]
        tokens = 0
        for sentence in sentences:
            if tokens >= most_tokens:
                yield piece
                piece, tokens = [], 0
            piece.append(Untagged(sentence, number))
            tokens += len(sentence)
    if piece:
        yield piece


def small_pieces(
    texts: Sequence[Sequence[list[str]]], document: str, most_tokens: int, sees_documents: bool
) -> Iterator[Piece]:
    """The same in pieces as small as they may be: all that a model which looks at documents sees
    together is one, of texts in chunks of ``most_tokens``; sentences that may be apart are cut
    anywhere."""
    check_document(document)
    if document == "none" or not sees_documents:
        every = [sentence for text in texts for sentence in text]
        yield from pieces_of([every], "none", _SMALL_TOKENS)
        return
    of_chunk = most_tokens if document == "file" else 0  # of none: each text by itself
    for chunk in chunks_of(((None, text) for text in texts), of_chunk):
        yield from pieces_of([text for _, text in chunk], document, most_tokens)


def check_document(document: str) -> None:
    """``ValueError``: it is none of :data:`DOCUMENTS`."""
    if document not in DOCUMENTS:
        raise ValueError(f"document={document}: expected one of {', '.join(DOCUMENTS)}")


def chunks_of(
    texts: Iterable[tuple[T, Sequence[list[str]]]],
    most_tokens: int,
    is_ready: Callable[[], bool] = lambda: True,
) -> Iterator[list[tuple[T, Sequence[list[str]]]]]:
    """Texts until they hold ``most_tokens``, each with whatever stands beside it; or as many as are
    there while ``is_ready`` says that the next one is not."""
    chunk: list[tuple[T, Sequence[list[str]]]] = []
    tokens = 0
    for text in texts:
        chunk.append(text)
        tokens += 1 + sum(map(len, text[1]))  # empty texts take memory too
        if tokens >= most_tokens or not is_ready():
            yield chunk
            chunk, tokens = [], 0
    yield chunk


def numbered(pieces: Sequence[Piece]) -> Iterator[Untagged]:
    """The sentences of some pieces, of which no two have a document in common. If any is of one, a
    sentence that is of none has one of its own."""
    if all(sentence.document is None for piece in pieces for sentence in piece):
        for piece in pieces:
            yield from piece
        return
    fresh = count()
    for piece in pieces:
        numbers: dict[int | None, int] = {}
        for tokens, document in piece:
            if document is None or document not in numbers:
                numbers[document] = next(fresh)
            yield Untagged(tokens, numbers[document])


def check_text(text: object, index: int) -> str:
    """A text; ``ValueError``: it is none."""
    if not isinstance(text, str):
        found = f"{reprlib.repr(text)} at index {index}, counted from 0"
        raise ValueError(f"predict: expected texts, found {found}; leave it out, or put '' there")
    return text


def as_texts(
    sentences: Iterable[Sequence[str]], method: str
) -> Iterator[tuple[None, list[list[str]]]]:
    """Each sentence of tokens as a text of one sentence; one without tokens as a text of none."""
    for index, sentence in enumerate([sentences] if isinstance(sentences, str) else sentences):
        is_list = isinstance(sentence, Iterable) and not isinstance(sentence, str)
        tokens = list(sentence) if is_list else []
        if not is_list or not all(isinstance(token, str) and token for token in tokens):
            raise ValueError(
                f"{method}: expected lists of tokens, none of them empty, found "
                f"{reprlib.repr(sentence)} at index {index}, counted from 0"
            )
        yield None, [tokens] if tokens else []
