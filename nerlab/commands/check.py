"""``python -m nerlab check``: what is wrong with a corpus, before it is trained on."""

from functools import partial

from omegaconf import DictConfig

from nerlab.commands.check_report import Report, as_json, as_text
from nerlab.commands.compare import comparisons
from nerlab.commands.counts import SplitCounts
from nerlab.commands.duplicates import Duplicates
from nerlab.commands.facts import Facts, facts_of, unseen_in
from nerlab.commands.faults import SplitFaults
from nerlab.commands.findings import Finding, Severity
from nerlab.config import DataConfig, check_numbers
from nerlab.console import counted_on_terminal, make_console
from nerlab.data.build import FEWER_LABELS, too_many_labels
from nerlab.data.load import split_source, splits_of
from nerlab.data.missing import MissingFileError
from nerlab.data.plausibility import cost_of_labels, warnings_of
from nerlab.data.reader_warnings import collected_warnings
from nerlab.data.vocabulary import normalise
from nerlab.instantiation import trusted_packages
from nerlab.paths import output_file
from nerlab.tags import MAX_LABELS

FORMATS = ("text", "json")


def run(config: DictConfig) -> None:
    """Check the data that the configuration describes, and print the report or write it to a file.

    Raises:
        ValueError: the format or a number is not one that there is, or the report holds errors.
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
        found = f"{errors} error{'s' * (errors != 1)} found in the data"
        raise ValueError(f"{found}, see {config.output or 'above'}")


def check(data: DataConfig, trusted: tuple[str, ...] = ()) -> Report:
    """Read every split once, sentence by sentence, and report."""
    findings: list[Finding] = []
    counts: dict[str, SplitCounts] = {}
    files: dict[str, str] = {}
    duplicates = Duplicates()
    for split in splits_of(data):
        with collected_warnings() as warned:
            try:
                source = split_source(data, split, trusted)
                path, sentences = source.path, source.sentences()
                faults = SplitFaults(split, path, data.scheme.value, data.repair)
                read = SplitCounts()
                for sentence in counted_on_terminal(sentences, f"{split} {path}", "sentences"):
                    read.add(sentence, faults.add(sentence))
                    duplicates.add(split, path, sentence)
            except (ValueError, OSError) as error:
                is_needed = split != "test" or not isinstance(error, MissingFileError)
                severity: Severity = "error" if is_needed else "warning"  # training does without it
                findings += _new(severity, "unreadable", split, [_reason(error)], findings)
                continue
        files[split], counts[split] = str(path), read
        findings += faults.findings()
        findings += _new("warning", "reader", split, warned, findings)
        findings += [
            Finding("warning", w.kind, split, w.message, w.cases, remedy=w.remedy)
            for w in [
                *warnings_of(read.lengths.items(), read.words.items(), bool(read.entities)),
                *(cost_of_labels(len(read.labels)) if split == "train" else ()),
            ]
        ]
        if (number := len(read.labels)) > MAX_LABELS:
            text = too_many_labels(number)
            findings.append(
                Finding("error", "too-many-types", split, text, number, remedy=FEWER_LABELS)
            )
    findings += comparisons(counts)
    findings += duplicates.findings(list(counts))
    findings.sort(key=lambda finding: finding.severity)
    return Report(_facts(data, files, counts), findings)


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


def _facts(
    data: DataConfig, files: dict[str, str], counts: dict[str, SplitCounts]
) -> dict[str, Facts]:
    look_up = partial(
        normalise,
        lowercase=data.lowercase,
        fold_digits=data.fold_digits,
        turkic_i=data.turkic_i,
    )
    train = counts.get("train")
    return {
        split: facts_of(
            files[split],
            read,
            None if train is None or read is train else unseen_in(train, read, look_up),
        )
        for split, read in counts.items()
    }
