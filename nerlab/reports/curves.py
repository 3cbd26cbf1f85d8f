"""The learning curves of a run, from its ``metrics.jsonl``."""

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

from nerlab.paths import check_file
from nerlab.reports.charts import Chart, Line, Point, chart

_LARGEST = 2**26  # bytes of a file that is read
_LOSSES = {"train/loss": ("train", "var(--strong)"), "dev/loss": ("dev", "var(--bad)")}
_SCORES = {
    "dev/f1": ("F1", "var(--strong)"),
    "dev/precision": ("precision", "var(--good)"),
    "dev/recall": ("recall", "var(--bad)"),
}


def curves(run: Path) -> list[Chart]:
    """Charts of the losses and of the scores on dev, as far as there are such numbers.

    The file may come from somebody else: a line that is not as a run writes it is passed over.
    """
    path = run / "metrics.jsonl"
    points = defaultdict[str, list[Point]](list)
    try:
        check_file(path, _LARGEST)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):
        lines = []
    for line in lines:
        found = _object(line)
        step = _number(found.get("step"))
        for name in (*_LOSSES, *_SCORES):
            if (value := _number(found.get(name))) is not None and step is not None:
                points[name].append((step, value if name in _LOSSES else 100 * value))
    charts = [
        chart(title, "step", [Line(names[key][0], points[key], names[key][1]) for key in names])
        for title, names in (("Loss, nats a token", _LOSSES), ("Dev, percent", _SCORES))
    ]
    return [found for found in charts if found is not None]


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and math.isfinite(value) and abs(value) < 1e12
    return float(value) if is_number else None  # type: ignore[arg-type]
