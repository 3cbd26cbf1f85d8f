"""The files of a scored split, ``evaluation/<split>/``: written, and read again."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nerlab.evaluation.predictions import Prediction, ScoredSpan, predictions_of
from nerlab.evaluation.report import Report, metrics
from nerlab.files import write_file
from nerlab.messages import as_column, conll_sentence, json_line
from nerlab.tags import Span, spans_of, tags_of

METRICS = "metrics.json"
PREDICTIONS = "predictions.jsonl"


def write_report(report: Report, directory: Path) -> None:
    """Write ``metrics.json``, ``predictions.jsonl`` and, for the conlleval script,
    ``predictions.conll`` into a folder."""
    write_file(directory / METRICS, json.dumps(metrics(report), indent=2) + "\n")
    write_file(directory / PREDICTIONS, "".join(map(_line, predictions_of(report))))
    sentences = []
    for tokens, *both in zip(report.tokens, report.gold, report.predicted, strict=True):
        columns = (tokens, *(tags_of(spans_of(tags), len(tags), "iob2") for tags in both))
        sentences.append(conll_sentence(*(map(as_column, column) for column in columns)))
    write_file(directory / "predictions.conll", "".join(sentences))


def _line(prediction: Prediction) -> str:
    plain = prediction._asdict()
    for name in ("gold", "predicted", "outside"):
        plain[name] = [span._asdict() for span in plain[name]]
    return json_line(plain) + "\n"


def read_predictions(path: Path) -> list[Prediction]:
    """Read ``predictions.jsonl``, an object a line::

        {"sentence": 0, "document": null, "tokens": ["Anna", "Smith", "flew"],
         "gold": [{"start": 0, "end": 2, "label": "PER"}],
         "predicted": [{"start": 0, "end": 2, "label": "PER", "score": 0.993}], "outside": []}

    ``outside`` are the gold spans of whose words none is in a predicted one, in the form of
    ``predicted``: the score is the probability of that.

    Raises:
        ValueError: the file is not there, or not as it was written.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return list(_parsed(file, path))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; evaluate.py writes it") from None


def _parsed(lines: Iterable[str], path: Path) -> Iterator[Prediction]:
    number = 0
    try:
        for number, line in enumerate(lines):
            found = json.loads(line)
            found["gold"] = [Span(**span) for span in found["gold"]]
            for name in ("predicted", "outside"):
                found[name] = [ScoredSpan(**span) for span in found[name]]
            prediction = Prediction(**found)
            _check(prediction, number)
            yield prediction
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        problem = f"{path}, line {number + 1}: not as evaluate.py writes it ({reason})"
        raise ValueError(f"{problem}; run it again") from None


def _check(prediction: Prediction, number: int) -> None:
    """Raise ``ValueError`` or ``TypeError`` unless sentences are numbered from 0, words and labels
    are strings, and spans follow each other within the sentence."""
    if prediction.sentence != number:
        raise ValueError(f"expected sentence {number}, found {prediction.sentence!r}")
    both: tuple[Any, ...] = (prediction.gold, prediction.predicted)
    "".join([*prediction.tokens, *(span.label for spans in both for span in spans)])
    for spans in both:
        end = 0
        for span in spans:
            if not end <= span.start < span.end <= len(prediction.tokens):
                raise ValueError(f"{span} overlaps another one, or leaves the sentence")
            end = span.end
    if not {span.span for span in prediction.outside} <= set(prediction.gold):
        raise ValueError("expected gold spans in outside")
    if any(not 0 <= s.score <= 1 for s in (*prediction.predicted, *prediction.outside)):
        raise ValueError("expected scores from 0 to 1")
