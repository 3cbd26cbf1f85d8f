"""What shows when splits are held against each other, or all counted together."""

from collections import Counter
from collections.abc import Iterator, Mapping

from nerlab.commands.characters import visible
from nerlab.commands.counts import Entity, SplitCounts, ambiguous
from nerlab.commands.findings import Finding, listing

RARE = 50


def comparisons(splits: Mapping[str, SplitCounts]) -> Iterator[Finding]:
    """Rare and missing types; forms with several labels, or sometimes with none."""
    if "train" in splits:
        labels = splits["train"].labels
        rare = sorted((count, label) for label, count in labels.items() if count < RARE)
        if rare:
            lines = [f"{visible(label)}: {count}" for count, label in rare]
            yield listing("rare-type", "train", f"types with fewer than {RARE} examples", lines)
    yield from _missing_types({split: counts.labels for split, counts in splits.items()})
    entities: Counter[Entity] = Counter()
    outside: Counter[str] = Counter()
    for counts in splits.values():
        entities.update(counts.entities)
        outside.update(counts.outside)
    if forms := ambiguous(entities):
        lines = [f"{visible(text)}: {_shares(labels)}" for text, labels in forms]
        yield listing("ambiguous", None, "entities with several labels", lines)
    if lines := _partly_labelled(entities, outside):
        message = "words that are an entity here and outside of any there"
        yield listing("partly-labelled", None, message, lines)


def _missing_types(splits: Mapping[str, Counter[str]]) -> Iterator[Finding]:
    everywhere: Counter[str] = Counter()
    for labels in splits.values():
        everywhere.update(labels)
    for split, labels in splits.items():
        missing = sorted(everywhere.keys() - labels.keys())
        if missing:
            message = "types without an example"
            lines = [
                f"{visible(label)}: "
                + ", ".join(f"{count[label]} in {name}" for name, count in splits.items())
                for label in missing
            ]
            yield listing("missing-type", split, message, lines)


def _partly_labelled(entities: Counter[Entity], outside: Counter[str]) -> list[str]:
    labelled: dict[str, Counter[str]] = {}
    for (text, label), count in entities.items():
        if text in outside:
            labelled.setdefault(text, Counter())[label] = count
    # First those where neither reading is a slip.
    order = sorted(labelled, key=lambda text: (-min(labelled[text].total(), outside[text]), text))
    return [f"{visible(text)}: {_shares(labelled[text])}, O {outside[text]}" for text in order]


def _shares(labels: Counter[str]) -> str:
    return ", ".join(f"{visible(label)} {count}" for label, count in labels.most_common())
