"""Tagged texts for people: a table on a terminal, a page."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.color import parse_rgb_hex
from rich.style import Style
from rich.text import Text

from nerlab.inference.output import Tagged, entities_of
from nerlab.inference.predictor import TaggedSentence
from nerlab.messages import escape_controls
from nerlab.reports.look import Piece, Span, colors_of, cut_text, environment


def table(texts: Iterable[Tagged], labels: Sequence[str]) -> Iterator[Text]:
    """A text whose entities are coloured, and under it a line an entity."""
    styles = {label: _style(color) for label, color in colors_of(labels).items()}
    for text, tagged in texts:
        shown = Text()
        for piece in _pieces(text, tagged):
            style = None if piece.label is None else styles[piece.label]
            shown.append(escape_controls(piece.text, keep="\t\n"), style)
        shown.append("\n")
        for entity in entities_of(tagged):
            shown.append("  ")
            shown.append(f"{escape_controls(entity.label):<8}", styles[entity.label])
            name = escape_controls(" ".join(entity.text.split()))
            shown.append(f" {entity.score:.3f}  {f'{entity.start}-{entity.end}':>9}  {name}\n")
        yield shown


def page(texts: Iterable[Tagged], labels: Sequence[str], title: str) -> Iterator[str]:
    """The parts of a page with every text, its entities marked in the colours of their labels.

    A text is in memory no longer than it takes to write it.
    """
    counts = Counter[str]()
    template = environment().get_template("prediction.html")
    yield from template.generate(
        title=title, colors=colors_of(labels), texts=_counted(texts, counts), counts=counts
    )


def _counted(texts: Iterable[Tagged], counts: Counter[str]) -> Iterator[list[Piece]]:
    for text, tagged in texts:
        counts.update(entity.label for entity in entities_of(tagged))
        yield _pieces(text, tagged)


def _pieces(text: str, tagged: Sequence[TaggedSentence]) -> list[Piece]:
    return cut_text(text, (Span(e.start, e.end, e.label, e.score) for e in entities_of(tagged)))


def _style(color: str) -> Style:
    """What is written on a colour so that it can be read: white, or black where that is light."""
    red, green, blue = ((value / 255) ** 2.2 for value in parse_rgb_hex(color.removeprefix("#")))
    is_light = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18  # the luminance of WCAG 2
    return Style(color="#000000" if is_light else "#ffffff", bgcolor=color)
