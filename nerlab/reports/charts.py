"""Line charts as SVG: where everything lies; ``chart.html`` writes it down."""

import math
from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 38
_MOST_POINTS = 300
_DOTS = 12  # lines of so few points show these
Point = tuple[float, float]


class Line(NamedTuple):
    """A curve; ``color`` is one of style.css. A line of few points shows these as ``dots``."""

    name: str
    points: Sequence[Point]
    color: str
    dashed: bool = False
    dots: bool = False


class Tick(NamedTuple):
    """A number on an axis, and where it stands in the picture."""

    at: float
    text: str


class Chart(NamedTuple):
    """A picture: the lines and the ticks of both axes in its coordinates."""

    name: str
    x_name: str
    lines: Sequence[Line]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]


def chart(
    name: str,
    x_name: str,
    lines: Sequence[Line],
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
) -> Chart | None:
    """Lay out a chart over the ranges, or over what the lines take; None if they have no points."""
    lines = [
        line._replace(
            points=thinned(line.points), dots=not line.dashed and len(line.points) <= _DOTS
        )
        for line in lines
        if line.points
    ]
    if not lines:
        return None
    x_low, x_high = x_range or _range([x for line in lines for x, _ in line.points])
    y_low, y_high = y_range or _range([y for line in lines for _, y in line.points])

    def x_at(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (x - x_low) / (x_high - x_low)

    def y_at(y: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - y_low) / (y_high - y_low)

    placed = [
        line._replace(points=[(round(x_at(x), 1), round(y_at(y), 1)) for x, y in line.points])
        for line in lines
    ]
    x_ticks = [Tick(round(x_at(x), 1), f"{x:,g}") for x in ticks(x_low, x_high)]
    y_ticks = [Tick(round(y_at(y), 1), f"{y:,g}") for y in ticks(y_low, y_high)]
    return Chart(name, x_name, placed, x_ticks, y_ticks)


def thinned(points: Sequence[Point]) -> Sequence[Point]:
    """Few enough points to draw: where there are more, the means of neighbours."""
    step = -(-len(points) // _MOST_POINTS)
    if step <= 1:
        return points
    groups = [points[first : first + step] for first in range(0, len(points), step)]
    return [
        (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group))
        for group in groups
    ]


def ticks(low: float, high: float) -> list[float]:
    """Three to nine round numbers within a range."""
    power = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(s for s in (power, 2 * power, 5 * power, 10 * power) if (high - low) / s <= 8)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """From the least to the largest, with a little room; never empty."""
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 0.5 * abs(high) or 1.0
    return (low - room if low - room > 0 or low < 0 else 0.0), high + room
