"""``python -m nerlab check``: what is wrong with a corpus, before it is trained on."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from io import StringIO
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nerlab.commands.counts import SplitCounts, by_frequency
from nerlab.commands.findings import Cases, Finding, Repetitions, compare, describe, faults
from nerlab.config import DataConfig, check_values
from nerlab.data.build import FEWER_LABELS, too_many_labels
from nerlab.data.index import sentences_of
from nerlab.data.load import Source, split_source, splits_of
from nerlab.data.plausibility import cost_of_labels, warnings_of
from nerlab.data.published import MissingFileError
from nerlab.data.readers.messages import collected_warnings
from nerlab.instantiation import trusted_packages
from nerlab.messages import counted, counted_on_terminal, make_console, visible
from nerlab.models.words import normalise
from nerlab.paths import output_file
from nerlab.schemes import is_tag
from nerlab.tags import MAX_LABELS, spans_of

FORMATS = ("text", "json")
_SHOWN_TYPES = 30
Facts = dict[str, Any]


@dataclass(frozen=True)
class CorpusCheck:
    """What check has found: counts and figures of every split that could be read; findings, errors
    first."""

    counts: dict[str, SplitCounts]
    facts: dict[str, Facts]
    findings: list[Finding]

    def count(self, severity: str) -> int:
        """How many findings have this severity."""
        return sum(finding.severity == severity for finding in self.findings)


def run(config: DictConfig) -> None:
    """Check the data that the configuration describes, and print the report or write it to a file.
    ``ValueError``: an option is not one that there is, or the report holds errors.
    """
    if config.format not in FORMATS:
        raise ValueError(f"format={config.format}: expected one of {', '.join(FORMATS)}")
    check_values("data", config.data)
    report = check(config.data, trusted_packages(config.trust))
    text = as_json(report) if config.format == "json" else as_text(report, make_console().width)
    with nullcontext(sys.stdout) if config.output is None else output_file(config.output) as file:
        print(text, end="", file=file)
    if errors := report.count("error"):
        found = f"{counted(errors, 'error')} found in the data"
        raise ValueError(f"{found}, see {config.output or 'above'}")


def check(data: DataConfig, trusted: tuple[str, ...] = ()) -> CorpusCheck:
    """Read every split once, sentence by sentence, and report."""
    findings: list[Finding] = []
    splits: dict[str, SplitCounts] = {}
    repetitions = Repetitions()
    for split in splits_of(data):
        with collected_warnings() as warned:
            try:
                source = split_source(data, split, trusted)
                counts = SplitCounts(str(source.path))
                found = _check_sentences(data, split, source, counts, repetitions)
            except (ValueError, OSError) as error:
                is_missing = isinstance(error, MissingFileError)
                severity = "warning" if is_missing and split == "test" else "error"
                messages = [Finding(severity, "unreadable", split, _reason(error))]
            else:
                splits[split] = counts
                findings += [*found, *repetitions.findings(split), *_implausible(split, counts)]
                messages = [Finding("warning", "reader", split, text) for text in warned]
        # Splits that are cut out of one file share what is said of it.
        said = {finding.message for finding in findings}
        findings += [finding for finding in messages if finding.message not in said]
    findings += compare(splits)
    findings.sort(key=lambda finding: finding.severity)
    train = splits.get("train")
    facts = {split: _facts(counts, train, data.turkic_i) for split, counts in splits.items()}
    return CorpusCheck(splits, facts, findings)


def _check_sentences(
    data: DataConfig, split: str, source: Source, counts: SplitCounts, repetitions: Repetitions
) -> list[Finding]:
    scheme = data.scheme.value
    cases: dict[str, Cases] = {}
    for sentence in counted_on_terminal(sentences_of(source), counts.file, "sentences"):
        tokens, tags = sentence.tokens, sentence.tags
        is_readable = len(tags) == len(tokens) and all(map(is_tag, tags))
        spans = spans_of(tags) if is_readable else []
        counts.add(sentence, spans)
        repetitions.add(split, counts.file, sentence)
        for kind, position, text in faults(sentence, spans, scheme):
            merge = kind == "loose-end" or kind.endswith("-characters")
            place = f"{counts.file}:{sentence.line_of(position)}"
            cases.setdefault(kind, Cases(merge)).add(place, text)
    findings = []
    for kind, found in sorted(cases.items()):
        findings.append(found.finding(kind, split, *describe(kind, scheme, data.repair)))
    return findings


def _reason(error: ValueError | OSError) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def _implausible(split: str, counts: SplitCounts) -> list[Finding]:
    """What was read without an error, but hardly as it was meant."""
    number = len(counts.labels)
    warnings = warnings_of(counts.lengths.items(), counts.words.items(), bool(counts.forms))
    if split == "train":
        warnings += cost_of_labels(number)
    findings = [
        Finding("warning", w.kind, split, w.message, w.cases, remedy=w.remedy) for w in warnings
    ]
    if number > MAX_LABELS:
        message, kind = too_many_labels(number), "too-many-types"
        findings.append(Finding("error", kind, split, message, number, remedy=FEWER_LABELS))
    return findings


def _facts(counts: SplitCounts, train: SplitCounts | None, turkic_i: bool) -> Facts:
    """The figures of a split, as the JSON document holds them.

    ``unseen``: how often it has what ``train`` has not: entities, or entities with this label;
    words in lower case with digits folded, as the word indexer compares them by default. It is
    None for train itself and where train cannot be read.
    """
    unseen = None
    if train is not None and train is not counts:
        look_up = partial(normalise, lowercase=True, fold_digits=True, turkic_i=turkic_i)
        known = {look_up(word) for word in train.words}
        entities = sum(
            n
            for label, forms in counts.forms.items()
            for form, n in forms.items()
            if form not in train.forms.get(label, ())
        )
        words = sum(n for word, n in counts.words.items() if look_up(word) not in known)
        unseen = {"entities": entities, "words": words}
    return counts.figures() | {
        "entities_per_type": by_frequency(counts.labels),
        "sentences_without_entity": counts.entities_per_sentence[0],
        "longest": [{"line": -line, "tokens": tokens} for tokens, line in counts.longest],
        "unseen": unseen,
    }


def as_json(report: CorpusCheck) -> str:
    """The report as one JSON document; ``python -m nerlab check --help`` says what it holds."""
    document = {
        "splits": report.facts,
        "findings": [asdict(finding) for finding in report.findings],
        "errors": report.count("error"),
        "warnings": report.count("warning"),
    }
    return json.dumps(document, indent=2) + "\n"


def as_text(report: CorpusCheck, width: int) -> str:
    """The report for the eye: a table of ``width`` characters, and lines as long as they are."""
    file = StringIO()
    console = Console(file=file, width=width, emoji=False, highlight=False)
    if report.facts:
        console.print(_facts_table(report.facts))
        if any(facts["unseen"] for facts in report.facts.values()):
            console.print("unseen tokens: compared in lower case with digits folded")
        console.print()
    file.writelines(f"{visible(line)}\n" for line in _finding_lines(report))
    return file.getvalue()


def as_line(finding: Finding) -> str:
    """A finding in one line: its first example, what it is, how often, what to do."""
    first = f"{finding.examples[0].where}: {finding.examples[0].text}; " if finding.examples else ""
    return first + _summary(finding)


def _summary(finding: Finding) -> str:
    place = f"{finding.split}: " if finding.split else ""
    count = f": {finding.count}" if finding.examples else ""
    remedy = f"; {finding.remedy}" if finding.remedy else ""
    return f"{place}{finding.message}{count}{remedy}"


def _finding_lines(report: CorpusCheck) -> Iterator[str]:
    for finding in report.findings:
        yield f"{finding.severity:<9}{_summary(finding)}"
        for example in finding.examples:
            yield "         " + (f"{example.where}: " if example.where else "") + example.text
        if finding.more:
            yield f"         and {finding.more} more"
    numbers = [(report.count(severity), severity) for severity in ("error", "warning")]
    yield ", ".join(counted(*number) for number in numbers if number[0]) or "nothing found"


def _facts_table(splits: dict[str, Facts]) -> Table:
    """A column a split; the commonest types at its end."""
    table = Table("", box=None, pad_edge=False)
    for split in splits:
        table.add_column(split, justify="right")
    columns = [_rows(facts) for facts in splits.values()]
    for name in columns[0]:
        table.add_row(name, *(column[name] for column in columns))
    types = [Counter[str](facts["entities_per_type"]) for facts in splits.values()]
    totals = sum(types, Counter[str]())
    for label, _ in totals.most_common(_SHOWN_TYPES):
        counts = [f"{found[label]:,}" for found in types]
        table.add_row("  " + escape(visible(label)), *counts)
    if len(totals) > _SHOWN_TYPES:
        table.add_row(f"  and {len(totals) - _SHOWN_TYPES} more")
    return table


def _rows(facts: Facts) -> dict[str, str]:
    """What the table says of a split."""

    def share(count: int, of: str) -> str:
        return f"{count:,} ({100 * count / max(facts[of], 1):.1f} %)"

    unseen, longest = facts["unseen"], facts["longest"][:3]
    documents = facts["documents"]
    return {
        "sentences": f"{facts['sentences']:,}",
        "documents": "not marked" if documents is None else f"{documents:,}",
        "tokens": f"{facts['tokens']:,}",
        "distinct tokens": f"{facts['distinct_tokens']:,}",
        "tokens unseen in train": share(unseen["words"], "tokens") if unseen else "",
        "longest sentences": ", ".join(str(found["tokens"]) for found in longest),
        "at lines": ", ".join(str(found["line"]) for found in longest),
        "sentences without entity": share(facts["sentences_without_entity"], "sentences"),
        "entities unseen in train": share(unseen["entities"], "entities") if unseen else "",
        "entities": f"{facts['entities']:,}",
    }
