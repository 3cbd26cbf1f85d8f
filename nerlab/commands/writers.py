"""Sentences as CoNLL columns and as JSON lines, one text a sentence; nothing of them is lost."""

import json
import re
from collections.abc import Callable, Iterable, Iterator

from nerlab.data.readers.conll import DOCUMENT_MARK
from nerlab.data.sentence import Sentence
from nerlab.messages import conll_sentence

_BYTE_ORDER_MARK = "\ufeff"
_UNWRITABLE = re.compile(r"[ \t\r\n\ud800-\udfff]")
_SURROGATE_PAIR = re.compile(r"[\ud800-\udbff][\udc00-\udfff]")


def conll(sentences: Iterable[Sentence], source: str) -> Iterator[str]:
    r"""A line a token with its tag behind a tab, a blank line after each sentence.

    :mod:`nerlab.data.readers.conll` separates columns at tabs and spaces alone, so ``\x85`` and
    the no-break space come back as they were. A ``-DOCSTART-`` line stands wherever another
    document begins. A sentence without tokens is left out. ``ValueError``: a token or tag is
    empty, holds a space, a tab, a line break or half a surrogate pair, or is ``-DOCSTART-``.
    """
    document = None
    # A reader drops a byte order mark that a file begins with, but not a second one.
    first = _BYTE_ORDER_MARK
    for sentence in sentences:
        if not sentence.tokens:
            continue
        _check(sentence, source, _column_problem)
        text = conll_sentence(sentence.tokens, sentence.tags, separator="\t")
        if sentence.document != document:
            text = f"{DOCUMENT_MARK}\tO\n\n{text}"
        document = sentence.document
        yield first + text if text.startswith(_BYTE_ORDER_MARK) else text
        first = ""


def jsonl(sentences: Iterable[Sentence], source: str) -> Iterator[str]:
    """A line a sentence, ``{"tokens": [...], "tags": [...], "document": 0}``; without ``document``
    where the corpus marks none. ``ValueError``: a token or tag holds the two halves of a surrogate
    pair as two characters, which JSON reads as one."""
    for sentence in sentences:
        _check(sentence, source, _json_problem)
        record: dict[str, object] = {"tokens": sentence.tokens, "tags": sentence.tags}
        if sentence.document is not None:
            record["document"] = sentence.document
        # Half a surrogate pair is no UTF-8, but JSON has an escape for it.
        line = json.dumps(record, ensure_ascii=False)
        yield line.encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


WRITERS = {"conll": conll, "jsonl": jsonl}


def _check(sentence: Sentence, source: str, problem: Callable[[str], str]) -> None:
    for position, pair in enumerate(zip(sentence.tokens, sentence.tags, strict=True)):
        if message := problem(pair[0]) or problem(pair[1]):
            raise ValueError(f"{source}:{sentence.line_of(position)}: {message}")


def _column_problem(text: str) -> str:
    match = _UNWRITABLE.search(text)
    if text and text != DOCUMENT_MARK and not match:
        return ""
    found = f"{match[0]!r} inside {text[:40]!r}" if match else f"the token {text!r}"
    return f"columns cannot hold {found}; set format=jsonl"


def _json_problem(text: str) -> str:
    match = _SURROGATE_PAIR.search(text)
    halves = "two halves of a surrogate pair that are two characters"
    return f"JSON cannot hold {match[0]!r}, {halves}; fix the token" if match else ""
