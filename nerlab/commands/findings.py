"""What check has to say: of a sentence, of sentences that repeat, of splits side by side."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nerlab.commands.characters import has_loose_end, oddities
from nerlab.commands.counts import SplitCounts, labels_by_form
from nerlab.data.sentence import WHERE_TAGS_STAND, Sentence
from nerlab.messages import counted
from nerlab.schemes import is_tag, violations
from nerlab.tags import Span
from nerlab.text import MAX_SENTENCE_TOKENS

EXAMPLES = 10
RARE = 50
_SHOWN_CHARACTERS = 60
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


@dataclass(frozen=True)
class Example:
    """One place (``file:line``; None: no single place) and what is found there."""

    where: str | None
    text: str


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or that a person should know.

    Attributes:
        severity: ``error``: it stops training; ``warning``: it does not.
        kind: its stable name; ``python -m nerlab check --help`` lists them.
        split: where; None: in all of them together.
        message: one line; a name for the cases where there are examples.
        count, examples, more: how many cases there are, some of them, how many are left out.
        remedy: what to do about it; empty: nothing needs to be done.
    """

    severity: str
    kind: str
    split: str | None
    message: str
    count: int = 1
    examples: tuple[Example, ...] = ()
    more: int = 0
    remedy: str = ""


class Cases:
    """Counts cases of one kind and keeps examples: the first cases, or, with ``merge``, the most
    frequent texts, each with its first place."""

    def __init__(self, merge: bool = False) -> None:
        self.count = 0
        self.times: Counter[str | int] = Counter()
        self._merge = merge
        self._first: dict[str | int, Example] = {}

    def add(self, where: str | None, text: str) -> None:
        """Count a case."""
        self.count += 1
        if self._merge or self.count <= EXAMPLES:
            key = text if self._merge else self.count
            self.times[key] += 1
            self._first.setdefault(key, Example(where, text))

    def finding(
        self, kind: str, split: str, severity: str, message: str, remedy: str = ""
    ) -> Finding:
        """The finding of these cases."""
        examples = tuple(
            Example(self._first[key].where, self._first[key].text + f" ({n} times)" * (n > 1))
            for key, n in self.times.most_common(EXAMPLES)
        )
        more = (len(self.times) if self._merge else self.count) - len(examples)
        return Finding(severity, kind, split, message, self.count, examples, more, remedy)


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
            yield f"{oddity}-characters", position, token
    if len(tokens) != len(tags):
        yield "tag-count", 0, f"{counted(len(tokens), 'token')}, but {counted(len(tags), 'tag')}"
        return
    for violation in violations(tags, scheme):
        kind = "illegal-tag" if is_tag(tags[violation.position]) else "unknown-tag"
        yield kind, violation.position, str(violation)
    for start, end, label in spans:
        if has_loose_end(tokens[start:end]):
            yield "loose-end", start, f"'{' '.join(tokens[start:end])}' {label}"


def describe(kind: str, scheme: str, repair: bool) -> tuple[str, str, str]:
    """What is said of a kind of faults: how severe it is, the message, and what to do."""
    if kind.endswith("-characters"):
        return "warning", f"tokens with odd characters, {kind.removesuffix('-characters')}", ""
    message, remedy = _KINDS[kind]
    message = message.format(scheme=scheme)
    if kind == "illegal-tag" and repair:
        return "warning", message, "read by conlleval's rules (data.repair=true)"
    return "error" if remedy else "warning", message, remedy


class Repetitions:
    """Finds sentences that occur again; of each a hash of its tokens is kept, not the text.

    Two sentences are the same if their tokens are, whatever their tags.
    """

    def __init__(self) -> None:
        self._lines: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self._repeated = defaultdict[tuple[str, str], Cases](lambda: Cases(merge=True))

    def add(self, split: str, file: str, sentence: Sentence) -> None:
        """Note a sentence."""
        key = hash(tuple(sentence.tokens))
        for earlier, lines in self._lines.items():
            if key in lines:
                text = " ".join(sentence.tokens)
                if len(text) > _SHOWN_CHARACTERS:
                    text = text[: _SHOWN_CHARACTERS - 1] + "…"
                text = f"'{text}', {earlier} line {lines[key]}"
                self._repeated[split, earlier].add(f"{file}:{sentence.line}", text)
        self._lines[split].setdefault(key, sentence.line)

    def findings(self, split: str) -> Iterator[Finding]:
        """What this split repeats of itself and of those that were added before it."""
        for (later, earlier), cases in self._repeated.items():
            if later == split:
                is_own = earlier == split
                kind = "duplicate" if is_own else "shared"
                what = "repeat an earlier one" if is_own else f"are in {earlier} too"
                message = f"sentences that {what} ({len(cases.times)} distinct)"
                yield cases.finding(kind, split, "warning", message)


def compare(splits: Mapping[str, SplitCounts]) -> Iterator[Finding]:
    """Rare and missing types; forms with several labels, or sometimes with none."""
    labels = {split: counts.labels for split, counts in splits.items()}
    found = sorted((n, label) for label, n in labels.get("train", Counter()).items() if n < RARE)
    rare = [f"{label}: {count}" for count, label in found]
    yield from _listing("rare-type", "train", f"types with fewer than {RARE} examples", rare)
    everywhere = sorted(set().union(*labels.values()))
    for split in splits:
        missing = [
            f"{label}: " + ", ".join(f"{n[label]} in {name}" for name, n in labels.items())
            for label in everywhere
            if label not in labels[split]
        ]
        yield from _listing("missing-type", split, "types without an example", missing)
    outside = sum((counts.outside for counts in splits.values()), Counter[str]())
    ambiguous, partly = [], []
    for form, counts in labels_by_form(splits.values()).items():
        text = f"{form}: " + ", ".join(f"{label} {n}" for label, n in counts.most_common())
        if len(counts) > 1:
            ambiguous.append(text)
        if form in outside:
            # First those where both readings are frequent, which are hardly slips.
            partly.append((-min(counts.total(), outside[form]), f"{text}, O {outside[form]}"))
    yield from _listing("ambiguous", None, "entities with several labels", ambiguous)
    message = "words that are an entity here and outside of any there"
    yield from _listing("partly-labelled", None, message, [text for _, text in sorted(partly)])


def _listing(kind: str, split: str | None, message: str, lines: list[str]) -> Iterator[Finding]:
    """A warning whose cases are lines without a place; none if there is no line."""
    if lines:
        examples = tuple(Example(None, line) for line in lines[:EXAMPLES])
        more = len(lines) - len(examples)
        yield Finding("warning", kind, split, message, len(lines), examples, more)
