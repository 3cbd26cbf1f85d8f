"""``python -m nerlab check``: what is wrong with a corpus, before it is trained on."""

from omegaconf import DictConfig

from nerlab.commands.check_report import CorpusCheck, as_json, as_text, facts_of
from nerlab.commands.comparisons import Duplicates, comparisons
from nerlab.commands.counts import SplitCounts
from nerlab.commands.findings import Cases, Finding, Severity, describe, faults, readable_spans
from nerlab.config import DataConfig, check_numbers
from nerlab.data.build import FEWER_LABELS, too_many_labels
from nerlab.data.load import Source, split_source, splits_of
from nerlab.data.missing import MissingFileError
from nerlab.data.plausibility import cost_of_labels, warnings_of
from nerlab.data.reader_warnings import collected_warnings
from nerlab.instantiation import trusted_packages
from nerlab.messages import counted, counted_on_terminal, make_console
from nerlab.paths import output_file
from nerlab.tags import MAX_LABELS

FORMATS = ("text", "json")


def run(config: DictConfig) -> None:
    """Check the data that the configuration describes, and print the report or write it to a file.
    ``ValueError``: an option is not one that there is, or the report holds errors.
    """
    if config.format not in FORMATS:
        raise ValueError(f"format={config.format}: expected one of {', '.join(FORMATS)}")
    check_numbers("data", config.data)
    report = check(config.data, trusted_packages(config.trust))
    text = as_json(report) if config.format == "json" else as_text(report, make_console().width)
    if config.output is None:
        print(text, end="")
    else:
        with output_file(config.output) as file:
            file.write(text)
    if errors := report.count("error"):
        found = f"{counted(errors, 'error')} found in the data"
        raise ValueError(f"{found}, see {config.output or 'above'}")


def check(data: DataConfig, trusted: tuple[str, ...] = ()) -> CorpusCheck:
    """Read every split once, sentence by sentence, and report."""
    findings: list[Finding] = []
    splits: dict[str, SplitCounts] = {}
    duplicates = Duplicates()
    for split in splits_of(data):
        with collected_warnings() as warned:
            try:
                source = split_source(data, split, trusted)
                counts, found = _check_split(data, split, source, duplicates)
            except (ValueError, OSError) as error:
                is_missing = isinstance(error, MissingFileError)
                severity: Severity = "warning" if is_missing and split == "test" else "error"
                findings += _new(severity, "unreadable", split, [_reason(error)], findings)
                continue
        splits[split] = counts
        findings += found
        findings += _new("warning", "reader", split, warned, findings)
        findings += _implausible(split, counts)
    findings += comparisons(splits)
    findings += duplicates.findings(list(splits))
    findings.sort(key=lambda finding: finding.severity)
    train = splits.get("train")
    facts = {split: facts_of(counts, train, data.turkic_i) for split, counts in splits.items()}
    return CorpusCheck(facts, findings)


def _check_split(
    data: DataConfig, split: str, source: Source, duplicates: Duplicates
) -> tuple[SplitCounts, list[Finding]]:
    counts = SplitCounts(str(source.path))
    cases: dict[str, Cases] = {}
    for sentence in counted_on_terminal(source.sentences(), counts.file, "sentences"):
        spans = readable_spans(sentence)
        counts.add(sentence, spans)
        duplicates.add(split, counts.file, sentence)
        for kind, position, text in faults(sentence, spans, data.scheme.value):
            is_repeated = kind == "loose-end" or kind.endswith("-characters")
            place = f"{counts.file}:{sentence.line_of(position)}"
            cases.setdefault(kind, Cases(merge=is_repeated)).add(place, text)
    findings = []
    for kind, found in sorted(cases.items()):
        findings += found.finding(kind, split, *describe(kind, data.scheme.value, data.repair))
    return counts, findings


def _reason(error: ValueError | OSError) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())


def _new(
    severity: Severity, kind: str, split: str, messages: list[str], findings: list[Finding]
) -> list[Finding]:
    """Those that have not been said: splits that are cut out of one file share what is said."""
    said = {finding.message for finding in findings}
    return [Finding(severity, kind, split, text, 1) for text in messages if text not in said]


def _implausible(split: str, counts: SplitCounts) -> list[Finding]:
    """What was read without an error, but hardly as it was meant."""
    number = len(counts.labels)
    warnings = warnings_of(counts.lengths.items(), counts.words.items(), bool(counts.entities))
    if split == "train":
        warnings += cost_of_labels(number)
    findings = [
        Finding("warning", w.kind, split, w.message, w.cases, remedy=w.remedy) for w in warnings
    ]
    if number > MAX_LABELS:
        message, kind = too_many_labels(number), "too-many-types"
        findings.append(Finding("error", kind, split, message, number, remedy=FEWER_LABELS))
    return findings
