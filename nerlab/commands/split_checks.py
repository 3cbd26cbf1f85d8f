"""What is wrong in the sentences of one split."""

from collections import defaultdict
from pathlib import Path

from nerlab.commands.characters import has_loose_end, oddities, visible
from nerlab.commands.findings import Cases, Finding, Severity
from nerlab.data.sentence import WHERE_TAGS_STAND, Sentence
from nerlab.messages import counted
from nerlab.schemes import is_tag, violations
from nerlab.tags import Span, spans_of
from nerlab.text import MAX_SENTENCE_TOKENS

# What severity a finding has, and what to do about it.
_Advice = tuple[Severity, str]
_KNOW: _Advice = ("warning", "")
_FIX: _Advice = ("error", "fix the file")
_REPAIRED: _Advice = ("warning", "read by conlleval's rules (data.repair=true)")
_ILLEGAL: _Advice = ("error", "set data.scheme to the scheme of the file, or data.repair=true")
_UNKNOWN: _Advice = ("error", f"{WHERE_TAGS_STAND}; or fix them")


class SplitChecks:
    """Checks a split sentence by sentence.

    Args:
        split: its name.
        path: its file.
        scheme: the tag scheme of the configuration.
        repair: illegal tags are warnings, not errors.
    """

    def __init__(self, split: str, path: Path, scheme: str, repair: bool) -> None:
        self._split, self._path = split, path
        self._scheme, self._repair = scheme, repair
        self._unequal, self._unknown_tags, self._illegal_tags = Cases(), Cases(), Cases()
        self._empty_sentences, self._empty_tokens, self._long = Cases(), Cases(), Cases()
        self._loose_ends = Cases(merge=True)
        self._odd = defaultdict[str, Cases](lambda: Cases(merge=True))

    def add(self, sentence: Sentence) -> list[Span]:
        """Check a sentence; returns its entities, none if a token has no tag of any scheme."""
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
        spans = self._spans(sentence)
        for start, end, label in spans:
            if has_loose_end(tokens[start:end]):
                form = f"'{visible(' '.join(tokens[start:end]))}' {visible(label)}"
                self._loose_ends.add(self._place(sentence, start), form)
        return spans

    def _place(self, sentence: Sentence, position: int = 0) -> str:
        return f"{self._path}:{sentence.line_of(position)}"

    def _spans(self, sentence: Sentence) -> list[Span]:
        tokens, tags = len(sentence.tokens), len(sentence.tags)
        if tokens != tags:
            counts = f"{counted(tokens, 'token')}, but {counted(tags, 'tag')}"
            self._unequal.add(self._place(sentence), counts)
            return []
        readable = True
        for violation in violations(sentence.tags, self._scheme):
            known = is_tag(sentence.tags[violation.position])
            readable = readable and known
            cases = self._illegal_tags if known else self._unknown_tags
            cases.add(self._place(sentence, violation.position), visible(str(violation)))
        return spans_of(sentence.tags) if readable else []

    def findings(self) -> list[Finding]:
        """What has been found so far."""
        illegal = _REPAIRED if self._repair else _ILLEGAL
        long = f"sentences of more than {MAX_SENTENCE_TOKENS} tokens"
        loose = "entities with a loose mark or space at an end"
        rows: list[tuple[str, Cases, str, _Advice]] = [
            ("tag-count", self._unequal, "sentences with more or fewer tags than tokens", _FIX),
            ("unknown-tag", self._unknown_tags, "words in place of a tag", _UNKNOWN),
            ("illegal-tag", self._illegal_tags, f"tags that {self._scheme} forbids", illegal),
            ("empty-sentence", self._empty_sentences, "sentences without a token", _KNOW),
            ("empty-token", self._empty_tokens, "tokens without a character", _KNOW),
            ("long-sentence", self._long, long, _KNOW),
            ("loose-end", self._loose_ends, loose, _KNOW),
        ]
        for oddity, odd in sorted(self._odd.items()):
            name = f"tokens with odd characters, {oddity}"
            rows.append((f"{oddity}-characters", odd, name, _KNOW))
        return [
            finding
            for kind, cases, message, advice in rows
            for finding in cases.finding(kind, self._split, message, *advice)
        ]
