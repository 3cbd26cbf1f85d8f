"""Sentences that occur more than once, in a split or in two."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations_with_replacement
from pathlib import Path

from nerlab.commands.characters import visible
from nerlab.commands.findings import Cases, Finding
from nerlab.data.sentence import Sentence
from nerlab.messages import counted

_SHOWN_CHARACTERS = 60


class Duplicates:
    """Finds sentences that occur again; of each distinct one a digest is kept, not the text.

    Two sentences are the same if their tokens are, whatever their tags.
    """

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counter[bytes]] = defaultdict(Counter)
        self._lines: defaultdict[str, dict[bytes, int]] = defaultdict(dict)
        self._repeated = defaultdict[tuple[str, str], Cases](lambda: Cases(merge=True))

    def add(self, split: str, path: Path, sentence: Sentence) -> None:
        """Note a sentence."""
        text = "\0".join(sentence.tokens).encode("utf-8", "surrogatepass")
        key = hashlib.blake2b(text, digest_size=16).digest()
        for earlier, lines in self._lines.items():
            if key in lines:
                shown = f"'{_beginning(sentence.tokens)}', {earlier} line {lines[key]}"
                self._repeated[earlier, split].add(f"{path}:{sentence.line}", shown)
        self._counts[split][key] += 1
        self._lines[split].setdefault(key, sentence.line)

    def findings(self, splits: Sequence[str]) -> list[Finding]:
        """The findings of these splits, which have been added whole and in this order."""
        findings = []
        for earlier, split in combinations_with_replacement(splits, 2):
            if earlier == split:
                distinct = sum(number > 1 for number in self._counts[split].values())
                kind, message = "duplicate", "sentences that repeat an earlier one"
            else:
                distinct = len(self._counts[earlier].keys() & self._counts[split].keys())
                kind, message = "shared", f"sentences that are in {earlier} too"
            message += f" ({distinct} distinct)"
            findings += self._repeated[earlier, split].finding(kind, split, message, "warning")
        together: Counter[bytes] = Counter()
        for split in splits:
            together.update(self._counts[split])
        if len(splits) > 1 and (count := together.total() - len(together)):
            distinct = sum(number > 1 for number in together.values())
            message = (
                f"all splits taken together, {counted(count, 'sentence')} "
                f"repeat{'s' * (count == 1)} an earlier one ({distinct} distinct)"
            )
            findings.append(Finding("warning", "duplicate", None, message, count))
        return findings


def _beginning(tokens: Sequence[str]) -> str:
    text = visible(" ".join(tokens))
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
