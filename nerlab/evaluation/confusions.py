"""The picture of the confusions of a split."""

import warnings
from collections import Counter
from pathlib import Path

from nerlab.files import new_file

_MOST_LABELS = 40
_LONGEST_NAME = 24


def draw_confusions(confusions: Counter[tuple[str, str]], split: str, path: Path) -> None:
    """Draw how many tokens of each gold label (rows) were given each label (columns)."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    labels = _drawn_labels(confusions)
    counts = [[confusions[gold, predicted] for predicted in labels] for gold in labels]
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    size = 2.5 + 0.6 * len(labels)
    names = [_drawable(label) for label in labels]
    title = f"{_drawable(split)}: tokens"
    # A label may hold anything: $ begins no formula, and a script that the font lacks is boxes.
    with rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure = Figure(figsize=(size, size), layout="constrained")
        axes = figure.add_subplot(xlabel="predicted", ylabel="gold", title=title)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(labels)), names, rotation=90)
        axes.set_yticks(range(len(labels)), names)
        for row, values in enumerate(counts):
            for column, count in enumerate(values):
                shade = "white" if shares[row][column] > 0.5 else "black"
                text = axes.text(
                    column, row, str(count), ha="center", va="center", color=shade, fontsize=8
                )
                text.set_in_layout(False)  # the axes hold it anyway, and thousands take seconds
        with new_file(path) as part:
            figure.savefig(part, dpi=120, format="png")


def _drawn_labels(confusions: Counter[tuple[str, str]]) -> list[str]:
    """The commonest labels in their order, and O; a picture of hundreds shows nothing."""
    sizes: Counter[str] = Counter()
    for pair, count in confusions.items():
        for label in pair:
            sizes[label] += count
    del sizes["O"]
    return [*sorted(label for label, _ in sizes.most_common(_MOST_LABELS)), "O"]


def _drawable(name: str) -> str:
    """A name that fits into a picture, in characters that can be drawn."""
    shortened = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    return "".join(character if character.isprintable() else "�" for character in shortened)
