"""What readers yield."""

from collections.abc import Sequence
from typing import NamedTuple

from nerlab.messages import counted
from nerlab.schemes import is_tag, violations

WHERE_TAGS_STAND = (
    "set the key of data.reader that says where the tags stand (tag_column, say), or, if this line "
    "is a comment, data.reader.comment to what comments begin with"
)


class Sentence(NamedTuple):
    """Tokens, one tag each, and the document that they stand in.

    ``tags`` are in the scheme of the file. ``document`` is a number, at least 0, that changes
    where another document begins; None in all sentences of a file that marks no documents.
    ``line`` is the line (from 1) of the first token, for error messages, and ``lines_a_token``
    how many further each token is: 0 where a sentence stands on one line.
    """

    tokens: Sequence[str]
    tags: Sequence[str]
    document: int | None = None
    line: int = 1
    lines_a_token: int = 1

    def line_of(self, position: int) -> int:
        """The line of a token, counted from 0, in the file."""
        return self.line + self.lines_a_token * position


def check_tags(sentence: Sentence, scheme: str, repair: bool, source: str) -> None:
    """Raise ``ValueError``, with file, line and remedy, unless there is one tag a token and they
    are a sequence of the scheme; with ``repair``, of any scheme. ``source`` is the file."""
    if len(sentence.tags) != len(sentence.tokens):
        counts = (
            f"{counted(len(sentence.tokens), 'token')}, but {counted(len(sentence.tags), 'tag')}"
        )
        raise ValueError(f"{source}:{sentence.line}: {counts} in this sentence; fix the file")
    for violation in violations(sentence.tags, scheme):
        remedy = "set data.scheme to the scheme of the file, or data.repair=true"
        if not is_tag(sentence.tags[violation.position]):
            remedy = WHERE_TAGS_STAND
        elif repair:
            continue
        raise ValueError(f"{source}:{sentence.line_of(violation.position)}: {violation}; {remedy}")
