"""What shows when splits are compared, or counted together."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement

from nerlab.commands.characters import visible
from nerlab.commands.counts import SplitCounts, labels_by_form
from nerlab.commands.findings import Cases, Finding, listing
from nerlab.data.sentence import Sentence
from nerlab.messages import counted

RARE = 50
_SHOWN_CHARACTERS = 60


def comparisons(splits: Mapping[str, SplitCounts]) -> list[Finding]:
    """Rare and missing types; forms with several labels, or sometimes with none."""
    labels = {split: counts.labels for split, counts in splits.items()}
    rare = sorted((n, label) for label, n in labels.get("train", Counter()).items() if n < RARE)
    lines = [f"{visible(label)}: {count}" for count, label in rare]
    findings = listing("rare-type", "train", f"types with fewer than {RARE} examples", lines)
    everywhere = sorted(set().union(*labels.values()))
    for split, found in labels.items():
        lines = [
            f"{visible(label)}: " + ", ".join(f"{n[label]} in {name}" for name, n in labels.items())
            for label in everywhere
            if label not in found
        ]
        findings += listing("missing-type", split, "types without an example", lines)
    outside: Counter[str] = Counter()
    for counts in splits.values():
        outside.update(counts.outside)
    forms = labels_by_form(splits.values())
    shown = {
        form: f"{visible(form)}: "
        + ", ".join(f"{visible(label)} {count}" for label, count in found.most_common())
        for form, found in forms.items()
        if len(found) > 1 or form in outside
    }
    lines = [text for form, text in shown.items() if len(forms[form]) > 1]
    findings += listing("ambiguous", None, "entities with several labels", lines)
    # First those where both readings are frequent, which are hardly slips.
    partly = sorted(
        (form for form in shown if form in outside),
        key=lambda form: (-min(forms[form].total(), outside[form]), form),
    )
    lines = [f"{shown[form]}, O {outside[form]}" for form in partly]
    message = "words that are an entity here and outside of any there"
    return findings + listing("partly-labelled", None, message, lines)


class Duplicates:
    """Finds sentences that occur again; of each distinct one a digest is kept, not the text.

    Two sentences are the same if their tokens are, whatever their tags.
    """

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counter[bytes]] = defaultdict(Counter)
        self._lines: defaultdict[str, dict[bytes, int]] = defaultdict(dict)
        self._repeated = defaultdict[tuple[str, str], Cases](lambda: Cases(merge=True))

    def add(self, split: str, file: str, sentence: Sentence) -> None:
        """Note a sentence."""
        text = "\0".join(sentence.tokens).encode("utf-8", "surrogatepass")
        key = hashlib.blake2b(text, digest_size=16).digest()
        for earlier, lines in self._lines.items():
            if key in lines:
                shown = visible(" ".join(sentence.tokens))
                if len(shown) > _SHOWN_CHARACTERS:
                    shown = shown[: _SHOWN_CHARACTERS - 1] + "…"
                shown = f"'{shown}', {earlier} line {lines[key]}"
                self._repeated[earlier, split].add(f"{file}:{sentence.line}", shown)
        self._counts[split][key] += 1
        self._lines[split].setdefault(key, sentence.line)

    def findings(self, splits: Sequence[str]) -> list[Finding]:
        """The findings of these splits, which have been added whole and in this order."""
        findings = []
        for earlier, split in combinations_with_replacement(splits, 2):
            if earlier == split:
                distinct = _repeated(self._counts[split])
                kind, message = "duplicate", "sentences that repeat an earlier one"
            else:
                distinct = len(self._counts[earlier].keys() & self._counts[split].keys())
                kind, message = "shared", f"sentences that are in {earlier} too"
            message += f" ({distinct} distinct)"
            findings += self._repeated[earlier, split].finding(kind, split, message)
        together: Counter[bytes] = Counter()
        for split in splits:
            together.update(self._counts[split])
        if len(splits) > 1 and (count := together.total() - len(together)):
            message = (
                f"all splits taken together, {counted(count, 'sentence')} "
                f"repeat{'s' * (count == 1)} an earlier one ({_repeated(together)} distinct)"
            )
            findings.append(Finding("warning", "duplicate", None, message, count))
        return findings


def _repeated(counts: Counter[bytes]) -> int:
    return sum(number > 1 for number in counts.values())
