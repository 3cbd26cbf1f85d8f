"""The text of a JSON record in tokens: those that the record lists, or our own."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from nerlab.data.readers.records import Record, fetch, has
from nerlab.text import Token
from nerlab.text import sentences as cut_sentences


class Text(NamedTuple):
    """The tokens of a text, and where they stand in it.

    Attributes:
        tokens: the tokens; white space alone is none.
        offsets: start and end of each, half open: positions in ``pieces``.
        pieces: the whole text as positions count it: its characters, or the listed tokens.
        borders: the tokens before which the text may be cut into sentences.
    """

    tokens: list[str]
    offsets: list[tuple[int, int]]
    pieces: Sequence[str]
    borders: list[int]


class TextLayout(NamedTuple):
    """Where the text, its tokens and sentences stand in a record, and whether positions count
    ``characters`` or ``tokens``; see :func:`nerlab.data.readers.spans.read`."""

    text: str | None
    tokens: str | None
    sentences: str | None
    unit: str

    def read(self, record: Record) -> Text:
        """The text of a record; ``ValueError`` says what it lacks."""
        if self.text is None:
            text, listed = self._joined(record)
        else:
            text = fetch(record.value, self.text, str, "text", record.where)
            if self.tokens is None or not has(record.value, self.tokens):
                return self._cut(text, record)
            listed = _pieces(record, self.tokens, "tokens", text)
        numbered = [(i, token) for i, token in enumerate(listed) if token.text.strip()]
        tokens = [token for _, token in numbered]
        borders = []
        if self.sentences is not None and has(record.value, self.sentences):
            begins = [s.start for s in _pieces(record, self.sentences, "sentences", text)]
            borders = _borders(tokens, begins)
        words = [token.text for token in tokens]
        if self.unit == "tokens":
            pieces = [token.text for token in listed]
            return Text(words, [(i, i + 1) for i, _ in numbered], pieces, borders)
        return Text(words, [(token.start, token.end) for token in tokens], text, borders)

    def _cut(self, text: str, record: Record) -> Text:
        if self.unit == "tokens":
            raise ValueError(
                f"{record.where}: expected the tokens that positions count, found none; set "
                "data.reader.tokens to where they stand, or data.reader.unit=characters"
            )
        groups = list(cut_sentences(text))
        return Text(
            tokens=[token.text for group in groups for token in group],
            offsets=[(token.start, token.end) for group in groups for token in group],
            pieces=text,
            borders=list(accumulate(map(len, groups)))[:-1],
        )

    def _joined(self, record: Record) -> tuple[str, list[Token]]:
        """Tokens that are strings, as a text with a space between any two."""
        if self.tokens is None:
            raise ValueError("data.reader.text: expected a path, or data.reader.tokens to be one")
        listed = fetch(record.value, self.tokens, list, "tokens", record.where)
        words = [fetch(listed, i, str, "tokens", record.where) for i in range(len(listed))]
        ends = accumulate(len(word) + 1 for word in words)
        tokens = [
            Token(word, end - 1 - len(word), end - 1) for word, end in zip(words, ends, strict=True)
        ]
        return " ".join(words), tokens


def _pieces(record: Record, path: str, option: str, text: str) -> list[Token]:
    """The pieces of a text that a record lists with their offsets, in order."""
    pieces = []
    before = 0
    for number, item in enumerate(fetch(record.value, path, list, option, record.where)):
        where = f"{record.where}: {path}.{number}"
        start = fetch(item, "start", int, option, where)
        end = fetch(item, "end", int, option, where)
        if not before <= start <= end <= len(text):
            raise ValueError(
                f"{where}: expected a piece of the {len(text)} characters of the text from "
                f"{before} on, found {start}:{end}; fix the record, or set "
                f"data.reader.{option}=null"
            )
        pieces.append(Token(text[start:end], start, end))
        before = end
    return pieces


def _borders(tokens: Sequence[Token], begins: Sequence[int]) -> list[int]:
    starts = [token.start for token in tokens]
    return sorted({bisect_left(starts, begin) for begin in begins})
