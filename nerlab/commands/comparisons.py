"""What shows when splits are compared, or counted together."""

from collections import Counter
from collections.abc import Mapping

from nerlab.commands.characters import visible
from nerlab.commands.counts import LabelledForm, SplitCounts, ambiguous_forms
from nerlab.commands.findings import Finding, listing

RARE = 50


def comparisons(splits: Mapping[str, SplitCounts]) -> list[Finding]:
    """Rare and missing types; forms with several labels, or sometimes with none."""
    labels = {split: counts.labels for split, counts in splits.items()}
    train = labels.get("train", Counter())
    rare = sorted((count, label) for label, count in train.items() if count < RARE)
    lines = [f"{visible(label)}: {count}" for count, label in rare]
    name = f"types with fewer than {RARE} examples"
    findings = listing("rare-type", "train", name, lines)
    everywhere = sorted(set().union(*labels.values()))
    for split in splits:
        lines = [
            f"{visible(label)}: "
            + ", ".join(f"{counts[label]} in {name}" for name, counts in labels.items())
            for label in everywhere
            if label not in labels[split]
        ]
        findings += listing("missing-type", split, "types without an example", lines)
    entities: Counter[LabelledForm] = Counter()
    outside: Counter[str] = Counter()
    for counts in splits.values():
        entities.update(counts.entities)
        outside.update(counts.outside)
    several = ambiguous_forms(entities)
    lines = [f"{visible(form)}: {_shares(counts)}" for form, counts in several.items()]
    findings += listing("ambiguous", None, "entities with several labels", lines)
    lines = _partly_labelled(entities, outside)
    name = "words that are an entity here and outside of any there"
    return findings + listing("partly-labelled", None, name, lines)


def _partly_labelled(entities: Counter[LabelledForm], outside: Counter[str]) -> list[str]:
    labels: dict[str, Counter[str]] = {}
    for (form, label), count in entities.items():
        if form in outside:
            labels.setdefault(form, Counter())[label] = count
    # First those where both readings are frequent, which are hardly slips.
    order = sorted(labels, key=lambda form: (-min(labels[form].total(), outside[form]), form))
    return [f"{visible(form)}: {_shares(labels[form])}, O {outside[form]}" for form in order]


def _shares(labels: Counter[str]) -> str:
    return ", ".join(f"{visible(label)} {count}" for label, count in labels.most_common())
