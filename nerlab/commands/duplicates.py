"""Sentences that occur more than once, in a split or in two."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from nerlab.commands.characters import visible
from nerlab.commands.findings import Finding, Forms
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
        self._met: defaultdict[tuple[str, str], Forms] = defaultdict(Forms)

    def add(self, split: str, path: Path, sentence: Sentence) -> None:
        """Note a sentence."""
        text = "\0".join(sentence.tokens).encode("utf-8", "surrogatepass")
        key = hashlib.blake2b(text, digest_size=16).digest()
        for earlier, lines in self._lines.items():
            if key in lines:
                form = f"'{_beginning(sentence.tokens)}', {earlier} line {lines[key]}"
                self._met[earlier, split].add(f"{path}:{sentence.line}", form)
        self._counts[split][key] += 1
        self._lines[split].setdefault(key, sentence.line)

    def findings(self, splits: Sequence[str]) -> Iterator[Finding]:
        """The findings of these splits, which have been added whole and in this order."""
        for split in splits:
            counts = self._counts[split]
            if count := self._met[split, split].count:
                distinct = sum(n > 1 for n in counts.values())
                message = f"sentences that repeat an earlier one ({distinct} distinct)"
                yield self._met[split, split].finding("warning", "duplicate", split, message)
        for earlier, split in combinations(splits, 2):
            if self._met[earlier, split].count:
                distinct = len(self._counts[earlier].keys() & self._counts[split].keys())
                message = f"sentences that are in {earlier} too ({distinct} distinct)"
                yield self._met[earlier, split].finding("warning", "shared", split, message)
        together: Counter[bytes] = Counter()
        for split in splits:
            together.update(self._counts[split])
        if len(splits) > 1 and (count := together.total() - len(together)):
            distinct = sum(n > 1 for n in together.values())
            message = (
                f"all splits taken together, {counted(count, 'sentence')} "
                f"repeat{'s' * (count == 1)} an earlier one ({distinct} distinct)"
            )
            yield Finding("warning", "duplicate", None, message, count)


def _beginning(tokens: Sequence[str]) -> str:
    text = visible(" ".join(tokens))
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
