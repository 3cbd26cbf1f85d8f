"""What shows when splits are compared, or counted together."""

from collections import Counter
from collections.abc import Mapping

from nerlab.commands.characters import visible
from nerlab.commands.counts import LabelledForm, SplitCounts, labels_by_form
from nerlab.commands.findings import Finding, listing

RARE = 50


def comparisons(splits: Mapping[str, SplitCounts]) -> list[Finding]:
    """Rare and missing types; forms with several labels, or sometimes with none."""
    labels = {split: counts.labels for split, counts in splits.items()}
    train = labels.get("train", Counter())
    rare = sorted((count, label) for label, count in train.items() if count < RARE)
    lines = [f"{visible(label)}: {count}" for count, label in rare]
    findings = listing("rare-type", "train", f"types with fewer than {RARE} examples", lines)
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
    forms = labels_by_form(entities)
    lines = [
        f"{visible(form)}: {_shares(found)}" for form, found in forms.items() if len(found) > 1
    ]
    findings += listing("ambiguous", None, "entities with several labels", lines)
    # First those where both readings are frequent, which are hardly slips.
    partly = sorted(
        (form for form in forms if form in outside),
        key=lambda form: (-min(forms[form].total(), outside[form]), form),
    )
    lines = [f"{visible(form)}: {_shares(forms[form])}, O {outside[form]}" for form in partly]
    message = "words that are an entity here and outside of any there"
    return findings + listing("partly-labelled", None, message, lines)


def _shares(labels: Counter[str]) -> str:
    return ", ".join(f"{visible(label)} {count}" for label, count in labels.most_common())
