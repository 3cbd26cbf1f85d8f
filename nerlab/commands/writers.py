"""Sentences as CoNLL columns and as JSON lines, one text a sentence; nothing of them is lost."""

import json
import re
from collections.abc import Callable, Iterable, Iterator

from nerlab.conll import conll_sentence
from nerlab.data.readers.conll import DOCUMENT_MARK
from nerlab.data.sentence import Sentence

_BYTE_ORDER_MARK = "\ufeff"
_UNWRITABLE = re.compile(r"[ \t\r\n\ud800-\udfff]")
_HALVES = re.compile(r"[\ud800-\udbff][\udc00-\udfff]")
_SHOWN_CHARACTERS = 40


def conll(sentences: Iterable[Sentence], source: str) -> Iterator[str]:
    r"""A line a token with its tag behind a tab, a blank line after each sentence.

    The tab, because :mod:`nerlab.data.readers.conll` takes tabs and spaces for borders, and
    nothing else: ``\x85`` and the no-break space come back as they were. A ``-DOCSTART-`` line
    stands wherever another document begins. A sentence without tokens is left out.

    Args:
        sentences: the sentences.
        source: the file they stand in, for messages.

    Raises:
        ValueError: columns cannot hold a token or tag: it is empty, holds a space, a tab, a line
            break or half a surrogate pair, or is the token ``-DOCSTART-``.
    """
    document = None
    is_first = True
    for sentence in sentences:
        if not sentence.tokens:
            continue
        mark = f"{DOCUMENT_MARK}\tO\n\n" if sentence.document != document else ""
        document = sentence.document
        rows = list(zip(sentence.tokens, sentence.tags, strict=True))
        for position, (token, tag) in enumerate(rows):
            if problem := _problem(token) or _problem(tag):
                where = f"{source}:{sentence.line_of(position)}"
                raise ValueError(f"{where}: columns cannot hold {problem}; set format=jsonl")
        text = mark + conll_sentence(sentence.tokens, sentence.tags, separator="\t")
        # A reader takes the first byte order mark of a file for one, and the second for text.
        yield _BYTE_ORDER_MARK + text if is_first and text[0] == _BYTE_ORDER_MARK else text
        is_first = False


def _problem(text: str) -> str:
    if not text:
        return "an empty token"
    if text == DOCUMENT_MARK:
        return f"the token {text!r}, which begins a document there"
    if match := _UNWRITABLE.search(text):
        return f"{match[0]!r} inside {text[:_SHOWN_CHARACTERS]!r}"
    return ""


def jsonl(sentences: Iterable[Sentence], source: str) -> Iterator[str]:
    """A line a sentence, ``{"tokens": [...], "tags": [...], "document": 0}``; without documents
    where the corpus marks none.

    Args:
        sentences: the sentences.
        source: the file they stand in, for messages.

    Raises:
        ValueError: the two halves of a surrogate pair stand side by side in a token or tag, each
            a character of its own; JSON knows them as the one character that they make up.
    """
    for sentence in sentences:
        record: dict[str, object] = {"tokens": sentence.tokens, "tags": sentence.tags}
        if sentence.document is not None:
            record["document"] = sentence.document
        line = json.dumps(record, ensure_ascii=False)
        if match := _HALVES.search(line):
            pairs = zip(sentence.tokens, sentence.tags, strict=True)
            position = next(i for i, pair in enumerate(pairs) if _HALVES.search("\n".join(pair)))
            raise ValueError(
                f"{source}:{sentence.line_of(position)}: JSON cannot hold {match[0]!r}, two halves "
                "of a surrogate pair that are two characters; mend the token"
            )
        # Half a surrogate pair is no UTF-8, but JSON can spell it.
        yield line.encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


WRITERS: dict[str, Callable[[Iterable[Sentence], str], Iterator[str]]] = {
    "conll": conll,
    "jsonl": jsonl,
}
