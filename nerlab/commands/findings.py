"""What check has to say: findings with examples, and what is wrong in a sentence."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from nerlab.commands.characters import has_loose_end, oddities, visible
from nerlab.data.sentence import WHERE_TAGS_STAND, Sentence
from nerlab.messages import counted
from nerlab.schemes import is_tag, violations
from nerlab.tags import Span, spans_of
from nerlab.text import MAX_SENTENCE_TOKENS

EXAMPLES = 10
Severity = Literal["error", "warning"]
# What is said of each kind of faults in a sentence, and what to do about what is an error.
_KINDS = {
    "tag-count": ("sentences with more or fewer tags than tokens", "fix the file"),
    "unknown-tag": ("words in place of a tag", f"{WHERE_TAGS_STAND}; or fix them"),
    "illegal-tag": (
        "tags that {scheme} forbids",
        "set data.scheme to the scheme of the file, or data.repair=true",
    ),
    "empty-sentence": ("sentences without a token", ""),
    "empty-token": ("tokens without a character", ""),
    "long-sentence": (f"sentences of more than {MAX_SENTENCE_TOKENS} tokens", ""),
    "loose-end": ("entities with a loose mark or space at an end", ""),
}


class Example(NamedTuple):
    """One place (``file:line``; None: no single place) and what is found there."""

    where: str | None
    text: str


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or that a person should know.

    Attributes:
        severity: an error stops training; a warning does not.
        kind: its stable name; ``python -m nerlab check --help`` lists them.
        split: where; None: in all of them together.
        message: one line; a name for the cases where there are examples.
        count, examples, more: how many cases there are, some of them, how many are left out.
        remedy: what to do about it; empty: nothing needs to be done.
    """

    severity: Severity
    kind: str
    split: str | None
    message: str
    count: int
    examples: tuple[Example, ...] = ()
    more: int = 0
    remedy: str = ""


class Cases:
    """Counts cases of one kind and keeps examples: the first cases, or, with ``merge``, the most
    frequent texts, each with its first place."""

    def __init__(self, merge: bool = False) -> None:
        self._count = 0
        self._merge = merge
        self._times: Counter[str | int] = Counter()
        self._first: dict[str | int, Example] = {}

    def add(self, where: str | None, text: str) -> None:
        """Count a case."""
        self._count += 1
        if self._merge or self._count <= EXAMPLES:
            key = text if self._merge else self._count
            self._times[key] += 1
            self._first.setdefault(key, Example(where, text))

    def finding(
        self,
        kind: str,
        split: str | None,
        message: str,
        severity: Severity = "warning",
        remedy: str = "",
    ) -> list[Finding]:
        """The finding of these cases; none if there is no case."""
        if not self._count:
            return []
        examples = tuple(
            Example(self._first[key].where, self._first[key].text + f" ({n} times)" * (n > 1))
            for key, n in self._times.most_common(EXAMPLES)
        )
        more = (len(self._times) if self._merge else self._count) - len(examples)
        return [Finding(severity, kind, split, message, self._count, examples, more, remedy)]


def listing(kind: str, split: str | None, message: str, lines: Iterable[str]) -> list[Finding]:
    """A warning whose cases are lines without a place; none if there is no line."""
    cases = Cases()
    for line in lines:
        cases.add(None, line)
    return cases.finding(kind, split, message)


def readable_spans(sentence: Sentence) -> list[Span]:
    """The entities of a sentence; none unless each token has a tag of any scheme."""
    tokens, tags = sentence.tokens, sentence.tags
    return spans_of(tags) if len(tags) == len(tokens) and all(map(is_tag, tags)) else []


def faults(
    sentence: Sentence, spans: Sequence[Span], scheme: str
) -> Iterator[tuple[str, int, str]]:
    """Everything that is wrong in a sentence: the kind, the token, and what is found there."""
    tokens, tags = sentence.tokens, sentence.tags
    if not tokens:
        yield "empty-sentence", 0, "no token"
    if len(tokens) > MAX_SENTENCE_TOKENS:
        yield "long-sentence", 0, counted(len(tokens), "token")
    for position, token in enumerate(tokens):
        if not token:
            yield "empty-token", position, "no character"
        for oddity in oddities(token):
            yield f"{oddity}-characters", position, visible(token)
    if len(tokens) != len(tags):
        yield "tag-count", 0, f"{counted(len(tokens), 'token')}, but {counted(len(tags), 'tag')}"
        return
    for violation in violations(tags, scheme):
        kind = "illegal-tag" if is_tag(tags[violation.position]) else "unknown-tag"
        yield kind, violation.position, visible(str(violation))
    for start, end, label in spans:
        if has_loose_end(tokens[start:end]):
            yield "loose-end", start, f"'{visible(' '.join(tokens[start:end]))}' {visible(label)}"


def describe(kind: str, scheme: str, repair: bool) -> tuple[str, Severity, str]:
    """What is said of a kind of faults: the message, how severe it is, and what to do."""
    oddity, _, suffix = kind.rpartition("-")
    if suffix == "characters":
        return f"tokens with odd characters, {oddity}", "warning", ""
    message, remedy = _KINDS[kind]
    message = message.format(scheme=scheme)
    if kind == "illegal-tag" and repair:
        return message, "warning", "read by conlleval's rules (data.repair=true)"
    return message, "error" if remedy else "warning", remedy
