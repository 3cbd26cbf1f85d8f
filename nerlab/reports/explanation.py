"""An explained entity for people and programs: in the terminal, as a page, as JSON."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nerlab.evaluation.report import marked
from nerlab.inference.explain import Explanation
from nerlab.inference.predictor import Entity
from nerlab.messages import visible
from nerlab.reports.look import Span, colors_of, cut_text, cut_tokens, environment
from nerlab.tags import spans_of

TITLES = {"lime": "LIME", "occlusion": "occlusion", "gradients": "gradients"}
# Told apart by colour-blind eyes (Okabe and Ito 2008): what speaks for the entity, and against it.
_FOR, _AGAINST = (0, 114, 178), (213, 94, 0)
_FAINTEST = 0.08  # of the largest value; below it a word is not coloured in the terminal


class Row(NamedTuple):
    """The words of a sentence by one method: their values, and the share that each is of the
    largest, with its sign."""

    title: str
    note: str
    values: list[float]
    shares: list[float]


def rows_of(explanation: Explanation) -> list[Row]:
    """A row a method."""
    notes = {"occlusion": "each word masked in turn"}
    if explanation.lime is not None:
        _, _, r_squared, samples = explanation.lime
        notes["lime"] = f"R² {r_squared:.3f} over {samples:,} masked sentences"
    if explanation.gradients is not None:
        parts, gap, steps = explanation.gradients
        notes["gradients"] = f"sum {parts.sum():+.3f}, completeness gap {gap:+.1e}, {steps} steps"
    rows = []
    for name, values in explanation.values.items():
        largest = max(map(abs, values)) or 1.0
        rows.append(Row(TITLES[name], notes[name], values, [v / largest for v in values]))
    return rows


def show(explanation: Explanation, console: Console) -> None:
    """Print an explanation for the eye: coloured words, their values, the best tag sequences."""
    tokens, span, number = explanation.target
    for index, found in enumerate(explanation.entities):
        console.print(f"{'*' if index == number else ' '} {index}  {_line(found)}")
    if number is None:
        console.print(f"* -  {_line(explanation.entity)}  not found")
    log_p = f"log p {explanation.log_probability:.3g}"
    console.print(f"\n* {log_p}; {explanation.masked:.4g} with every word masked\n")
    words = [visible(token.text) for token in tokens]
    rows = rows_of(explanation)
    if console.color_system is not None:
        for row in rows:
            coloured = (Text(w, _style(share)) for w, share in zip(words, row.shares, strict=True))
            console.print(Text(" ").join([Text(f"{row.title:<10}"), *coloured]))
        console.print()
    console.print(_table(words, rows, range(span.start, span.end)))
    console.print()
    for row in rows:
        console.print(f"{row.title:<10} {row.note}")
    console.print("\n     p  best tag sequences")
    best = explanation.sequences[0].tags
    for tags, probability in explanation.sequences:
        entities = marked(words, tags) if tags is best else difference(words, best, tags)
        console.print(f"{probability:.4f}  {entities}")


def signed(value: float, digits: int) -> str:
    """A number with its sign, which what rounds to 0 has not.

    >>> signed(1.204, 2), signed(-0.001, 2)
    ('+1.20', '0.00')
    """
    rounded = f"{value:+.{digits}f}"
    return rounded if float(rounded) else rounded[1:]


def difference(words: Sequence[str], best: Sequence[str], tags: Sequence[str]) -> str:
    """The entities that tags have more than the best ones, and those that they lack.

    >>> difference(["In", "Paris"], ["O", "S-LOC"], ["O", "S-PER"])
    '+[Paris PER]  -[Paris LOC]'
    """
    found, expected = set(spans_of(tags)), set(spans_of(best))
    changes = [("+", s) for s in sorted(found - expected)]
    changes += [("-", s) for s in sorted(expected - found)]
    parts = (
        f"{sign}[{' '.join(words[s.start : s.end])} {visible(s.label)}]" for sign, s in changes
    )
    return "  ".join(parts) or "the same entities by other tags"


def _line(entity: Entity) -> str:
    name = visible(" ".join(entity.text.split()))
    return f"{visible(entity.label):<8} {entity.score:.3f}  {name}"


def _table(words: list[str], rows: list[Row], explained: range) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("word")
    for row in rows:
        table.add_column(row.title, justify="right")
    for t, word in enumerate(words):
        cells = (Text(signed(row.values[t], 3), _style(row.shares[t])) for row in rows)
        table.add_row(Text(word, "bold" if t in explained else ""), *cells)
    return table


def _style(share: float) -> str:
    """The colour behind a word: the stronger, the larger its share of the largest value."""
    if abs(share) < _FAINTEST:
        return ""
    strength = 0.75 * abs(share)
    mixed = (round(255 + strength * (c - 255)) for c in (_FOR if share > 0 else _AGAINST))
    return f"black on #{''.join(f'{c:02x}' for c in mixed)}"


def page(explanation: Explanation) -> str:
    """One HTML page that needs nothing else."""
    tokens, span, _ = explanation.target
    words = [token.text for token in tokens]
    found = [Span(e.start, e.end, e.label, e.score) for e in explanation.entities]
    best = explanation.sequences[0].tags
    sequences = [
        {
            "probability": probability,
            "pieces": cut_tokens(words, [Span(*s) for s in spans_of(tags)]),
            "difference": "" if tags is best else difference(words, best, tags),
        }
        for tags, probability in explanation.sequences
    ]
    labels = {span.label} | {s.label for tags, _ in explanation.sequences for s in spans_of(tags)}
    return (
        environment()
        .get_template("explanation.html")
        .render(
            title=f"Explanation: {explanation.entity.text}, {span.label}",
            explanation=explanation,
            entity=explanation.entity,
            words=words,
            explained=range(span.start, span.end),
            rows=rows_of(explanation),
            signed=signed,
            pieces=cut_text(explanation.text, found),
            sequences=sequences,
            colors=colors_of(labels | {entity.label for entity in explanation.entities}),
        )
    )


def as_json(explanation: Explanation) -> str:
    """Every number of an explanation; ``docs/results.md`` says what the keys hold."""
    tokens, span, number = explanation.target
    lime, gradients = explanation.lime, explanation.gradients
    document: dict[str, Any] = {
        "text": explanation.text,
        "entities": [entity._asdict() for entity in explanation.entities],
        "explained": {
            **explanation.entity._asdict(),
            "number": number,
            "tokens": [span.start, span.end],
            "tags": list(span.tags),
            "log_probability": explanation.log_probability,
            "masked_log_probability": explanation.masked,
        },
        "tokens": [token._asdict() for token in tokens],
        "values": explanation.values,
        "lime": lime and {key: v for key, v in lime._asdict().items() if key != "values"},
        "gradients": gradients and {"gap": gradients.gap, "steps": gradients.steps},
        "sequences": [sequence._asdict() for sequence in explanation.sequences],
    }
    return json.dumps(document, indent=1) + "\n"
