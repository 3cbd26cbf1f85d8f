"""What is wrong in the sentences of one split, each looked at by itself."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from nerlab.commands.characters import has_loose_end, oddities, visible
from nerlab.commands.findings import Cases, Finding, Forms, Severity
from nerlab.data.sentence import WHERE_TAGS_STAND, Sentence
from nerlab.messages import counted
from nerlab.schemes import is_tag, violations
from nerlab.tags import Span, spans_of
from nerlab.text import MAX_SENTENCE_TOKENS


class SplitFaults:
    """Collects the faults of a split, sentence by sentence.

    Args:
        split: its name.
        path: its file.
        scheme: the tag scheme that the file is said to have.
        repair: illegal tags are only worth a warning.
    """

    def __init__(self, split: str, path: Path, scheme: str, repair: bool) -> None:
        self._split, self._path = split, path
        self._scheme, self._repair = scheme, repair
        self._unequal = Cases()
        self._unknown_tags = Cases()
        self._illegal_tags = Cases()
        self._loose_ends = Forms()
        self._odd: defaultdict[str, Forms] = defaultdict(Forms)
        self._long = Cases()
        self._empty_sentences = Cases()
        self._empty_tokens = Cases()

    def add(self, sentence: Sentence) -> list[Span]:
        """Look at a sentence; returns its entities, none if not every token has a tag that can be
        read."""
        self._look_at_tokens(sentence)
        spans = self._spans(sentence)
        for start, end, label in spans:
            words = sentence.tokens[start:end]
            if has_loose_end(words):
                form = f"'{visible(' '.join(words))}' {visible(label)}"
                self._loose_ends.add(self._place(sentence, start), form)
        return spans

    def _place(self, sentence: Sentence, position: int = 0) -> str:
        return f"{self._path}:{sentence.line_of(position)}"

    def _spans(self, sentence: Sentence) -> list[Span]:
        tokens, tags = len(sentence.tokens), len(sentence.tags)
        if tokens != tags:
            self._unequal.add(
                self._place(sentence), f"{counted(tokens, 'token')}, but {counted(tags, 'tag')}"
            )
            return []
        readable = True
        for violation in violations(sentence.tags, self._scheme):
            known = is_tag(sentence.tags[violation.position])
            readable = readable and known
            cases = self._illegal_tags if known else self._unknown_tags
            cases.add(self._place(sentence, violation.position), visible(str(violation)))
        return spans_of(sentence.tags) if readable else []

    def _look_at_tokens(self, sentence: Sentence) -> None:
        tokens = sentence.tokens
        if not tokens:
            self._empty_sentences.add(self._place(sentence), "no token")
        if len(tokens) > MAX_SENTENCE_TOKENS:
            self._long.add(self._place(sentence), counted(len(tokens), "token"))
        for position, token in enumerate(tokens):
            if not token:
                self._empty_tokens.add(self._place(sentence, position), "no character")
            for oddity in oddities(token):
                self._odd[oddity].add(self._place(sentence, position), visible(token))

    def findings(self) -> Iterator[Finding]:
        """What has been found so far."""
        split, scheme, long = self._split, self._scheme, MAX_SENTENCE_TOKENS
        if self._unequal.count:
            message = "sentences with more or fewer tags than tokens"
            yield self._unequal.finding("error", "tag-count", split, message, "mend the file")
        if self._unknown_tags.count:
            remedy = f"{WHERE_TAGS_STAND}; or mend them"
            message = "words in place of a tag"
            yield self._unknown_tags.finding("error", "unknown-tag", split, message, remedy)
        if self._illegal_tags.count:
            severity: Severity = "warning" if self._repair else "error"
            remedy = (
                "read by conlleval's rules (data.repair=true)"
                if self._repair
                else "set data.scheme to the scheme of the file, or data.repair=true"
            )
            message = f"tags that {scheme} forbids"
            yield self._illegal_tags.finding(severity, "illegal-tag", split, message, remedy)
        others: list[tuple[str, Cases | Forms, str]] = [
            ("empty-sentence", self._empty_sentences, "sentences without a token"),
            ("empty-token", self._empty_tokens, "tokens without a character"),
            ("long-sentence", self._long, f"sentences of more than {long} tokens"),
            ("loose-end", self._loose_ends, "entities with a loose mark or space at an end"),
        ]
        for oddity, forms in sorted(self._odd.items()):
            others.append((f"{oddity}-characters", forms, f"tokens with odd characters, {oddity}"))
        for kind, cases, message in others:
            if cases.count:
                yield cases.finding("warning", kind, split, message)
