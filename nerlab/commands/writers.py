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
_SHOWN_CHARACTERS = 40


def conll(sentences: Iterable[Sentence], source: str) -> Iterator[str]:
    r"""A line a token with its tag behind a tab, a blank line after each sentence.

    :mod:`nerlab.data.readers.conll` separates columns at tabs and spaces alone, so ``\x85`` and
    the no-break space come back as they were. A ``-DOCSTART-`` line stands wherever another
    document begins. A sentence without tokens is left out.

    Raises:
        ValueError: columns cannot hold a token or tag: it is empty, holds a space, a tab, a line
            break or half a surrogate pair, or is the token ``-DOCSTART-``; ``source`` is the file
            that is named.
    """
    document = None
    is_first = True
    for sentence in sentences:
        if not sentence.tokens:
            continue
        mark = f"{DOCUMENT_MARK}\tO\n\n" if sentence.document != document else ""
        document = sentence.document
        for position, pair in enumerate(zip(sentence.tokens, sentence.tags, strict=True)):
            if problem := _problem(pair[0]) or _problem(pair[1]):
                where = f"{source}:{sentence.line_of(position)}"
                raise ValueError(f"{where}: columns cannot hold {problem}; set format=jsonl")
        text = mark + conll_sentence(sentence.tokens, sentence.tags, separator="\t")
        # A reader drops a byte order mark that a file begins with, but not a second one.
        yield _BYTE_ORDER_MARK + text if is_first and text[0] == _BYTE_ORDER_MARK else text
        is_first = False


def _problem(text: str) -> str:
    if not text:
        return "an empty token"
    if text == DOCUMENT_MARK:
        return f"the token {text!r}, which begins a document there"
    match = _UNWRITABLE.search(text)
    return f"{match[0]!r} inside {text[:_SHOWN_CHARACTERS]!r}" if match else ""


def jsonl(sentences: Iterable[Sentence], source: str) -> Iterator[str]:
    """A line a sentence, ``{"tokens": [...], "tags": [...], "document": 0}``; without ``document``
    where the corpus marks none.

    Raises:
        ValueError: a token or tag holds the two halves of a surrogate pair as two characters,
            which JSON reads as one; ``source`` is the file that is named.
    """
    for sentence in sentences:
        record: dict[str, object] = {"tokens": sentence.tokens, "tags": sentence.tags}
        if sentence.document is not None:
            record["document"] = sentence.document
        for position, pair in enumerate(zip(sentence.tokens, sentence.tags, strict=True)):
            if match := _SURROGATE_PAIR.search("\n".join(pair)):
                raise ValueError(
                    f"{source}:{sentence.line_of(position)}: JSON cannot hold {match[0]!r}, two "
                    "halves of a surrogate pair that are two characters; fix the token"
                )
        # Half a surrogate pair is no UTF-8, but JSON has an escape for it.
        line = json.dumps(record, ensure_ascii=False)
        yield line.encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


WRITERS: dict[str, Callable[[Iterable[Sentence], str], Iterator[str]]] = {
    "conll": conll,
    "jsonl": jsonl,
}
