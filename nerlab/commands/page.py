"""The exploratory look as one page of HTML that needs nothing else."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

from nerlab.commands import pictures
from nerlab.commands.characters import visible
from nerlab.commands.statistics import (
    TOP_LABELS,
    Distribution,
    Frequency,
    SplitStatistics,
    Statistics,
)

Splits = Mapping[str, SplitStatistics]

_STYLE = """\
body { font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; }
p { max-width: 46rem; } nav ol { columns: 2; max-width: 40rem; }
a { color: #0072b2; }
.wide { overflow-x: auto; } .beside { display: flex; flex-wrap: wrap; gap: 0 2.5rem;
          align-items: flex-start; }
.beside > div { max-width: 100%; }
table { border-collapse: collapse; margin: .5rem 0 1rem; font-size: .88rem;
        font-variant-numeric: tabular-nums; }
th, td { padding: .14rem .55rem; text-align: left; border-bottom: 1px solid #e8e8e8; }
thead th { border-bottom: 1px solid #888; vertical-align: bottom; }
td.n, th.n { text-align: right; } td.text { overflow-wrap: break-word; max-width: 24rem; }
.beside td.text { max-width: 12rem; }
.heat td, .heat th { padding: .2rem .35rem; font-weight: normal; }
.heat thead th { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left;
                 white-space: nowrap; }
.bar { display: inline-block; height: .6rem; background: #0072b2; }
svg { max-width: 100%; height: auto; } figure { margin: .5rem 0; }
.bar, .heat td { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
@media print { body { margin: 0; max-width: none; } nav { display: none; }
               figure, tr, .heat { break-inside: avoid; } h2, h3 { break-after: avoid; } }
"""


def page(statistics: Statistics, title: str) -> str:
    """The page; every number on it is one of ``statistics``."""
    splits = statistics.splits
    sections = [
        ("Overview", _overview(splits)),
        ("Types of entities", _types(splits)),
        ("Length of sentences", _sentence_lengths(splits)),
        ("Entities per sentence", _entities_per_sentence(splits)),
        ("Length of entities", _entity_lengths(splits)),
        ("Tags", _tags(splits)),
        ("Frequency of words", _zipf(splits)),
        ("Coverage", _coverage(splits)),
        ("Types in the same sentence", _together(splits)),
        ("Most frequent entities", _frequent_entities(splits)),
        ("Ambiguous forms", _ambiguous(statistics)),
    ]
    contents = "".join(
        f'<li><a href="#section-{i}">{name}</a></li>' for i, (name, _) in enumerate(sections, 1)
    )
    body = "".join(
        f'<section id="section-{i}"><h2>{name}</h2>\n{html}</section>\n'
        for i, (name, html) in enumerate(sections, 1)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_written(title)}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{_written(title)}</h1>\n<nav><ol>{contents}</ol></nav>\n{body}</body>\n</html>\n"
    )


def _overview(splits: Splits) -> str:
    rows: list[tuple[str, Callable[[SplitStatistics], str]]] = [
        ("file", lambda s: _text(Path(s.file).name)),
        ("sentences", lambda s: _number(s.sentences)),
        ("documents", lambda s: _text("–") if s.documents is None else _number(s.documents)),
        ("tokens", lambda s: _number(s.tokens)),
        ("distinct words", lambda s: _number(s.words)),
        ("words seen once", lambda s: _number(s.words_seen_once)),
        ("entities", lambda s: _number(s.entities)),
    ]
    cells = [[_text(name), *(cell(split) for split in splits.values())] for name, cell in rows]
    return _table(["", *splits], cells)


def _types(splits: Splits) -> str:
    frequencies = [split.labels for split in splits.values()]
    return _side_by_side("type", splits, frequencies, with_bars=True)


def _tags(splits: Splits) -> str:
    text = "<p>As they stand in the file.</p>"
    return text + _side_by_side("tag", splits, [split.tags for split in splits.values()])


def _sentence_lengths(splits: Splits) -> str:
    text = "<p>In tokens. The last step of the picture holds all that are longer.</p>"
    rows = _summaries("", {name: split.sentence_lengths for name, split in splits.items()})
    picture = _figure("length of sentences", pictures.sentence_lengths(splits))
    return text + _beside(picture, rows)


def _entities_per_sentence(splits: Splits) -> str:
    rows = _summaries("", {name: split.entities_per_sentence for name, split in splits.items()})
    picture = _figure("entities per sentence", pictures.entities_per_sentence(splits))
    return _beside(picture, rows)


def _entity_lengths(splits: Splits) -> str:
    tables = [
        _summaries(name, {"all": split.entity_lengths} | split.entity_lengths_by_label)
        for name, split in splits.items()
    ]
    picture = _figure("length of entities", pictures.entity_lengths(splits))
    return "<p>In tokens.</p>" + picture + _beside(*tables)


def _labels(splits: Splits) -> list[str]:
    """The labels of all splits, in the order of the first that has them."""
    return list(dict.fromkeys(f.name for split in splits.values() for f in split.labels))


def _zipf(splits: Splits) -> str:
    text = (
        "<p>How often the word of each rank occurs. On these axes Zipf's law, a frequency in "
        "inverse proportion to the rank, is a straight line.</p>"
    )
    words = [split.frequent_words for split in splits.values()]
    lists = _lists("word", splits, words)
    return text + _figure("frequency by rank", pictures.zipf(splits)) + lists


def _coverage(splits: Splits) -> str:
    text = "<p>Which share of the tokens the most frequent words of a split make up.</p>"
    shares = [{c.words: c.share for c in split.coverage} for split in splits.values()]
    steps = sorted({step for share in shares for step in share if _is_round(step)})
    rows = [[_number(step), *(_percent(share.get(step)) for share in shares)] for step in steps]
    table = _table(["words", *splits], rows, text_columns=())
    return text + _beside(_figure("coverage", pictures.coverage(splits)), table)


def _is_round(step: int) -> bool:
    return str(step).strip("0") in ("1", "2", "5")


def _together(splits: Splits) -> str:
    text = (
        "<p>In how many sentences two types occur together, and a type at all where it meets "
        "itself. The darker, the larger the share of the sentences with the type of the row. "
        f"The {TOP_LABELS} most frequent types at most.</p>"
    )
    maps = [f"<h3>{_written(name)}</h3>{_heat_map(split)}" for name, split in splits.items()]
    return text + _beside(*maps)


def _heat_map(split: SplitStatistics) -> str:
    labels = split.together.labels
    header = "".join(f"<th><bdi>{_written(label)}</bdi></th>" for label in labels)
    rows = []
    for place, (label, counts) in enumerate(zip(labels, split.together.sentences, strict=True)):
        cells = "".join(_heat(count, count / max(counts[place], 1)) for count in counts)
        rows.append(f"<tr><th><bdi>{_written(label)}</bdi></th>{cells}</tr>")
    return (
        f'<div class="wide"><table class="heat"><thead><tr><th></th>{header}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _heat(count: int, share: float) -> str:
    ink = "#fff" if share > 0.6 else "#1a1a1a"
    style = f"background:rgba(0,114,178,{share:.2f});color:{ink}"
    return f'<td class="n" style="{style}">{count:,}</td>'


def _frequent_entities(splits: Splits) -> str:
    tables = []
    for label in _labels(splits):
        lists = [split.frequent_entities.get(label, []) for split in splits.values()]
        tables.append(f"<h3><bdi>{_written(label)}</bdi></h3>{_lists('entity', splits, lists)}")
    return "<p>Shares are those of the type in the split.</p>" + "".join(tables)


def _ambiguous(statistics: Statistics) -> str:
    text = (
        f"<p>Of {statistics.forms:,} different surface forms, over all splits together, "
        f"{statistics.ambiguous_forms:,} carry several labels. The most frequent:</p>"
    )
    rows = [
        [
            _text(form.name),
            _number(form.count),
            _text(", ".join(f"{label} {count:,}" for label, count in form.labels.items())),
        ]
        for form in statistics.ambiguous
    ]
    return text + _table(["form", "times", "labels"], rows, text_columns=(0, 2))


def _summaries(title: str, distributions: Mapping[str, Distribution | None]) -> str:
    rows = [
        [
            _text(name),
            _decimal(distribution.mean),
            _number(distribution.median),
            _number(distribution.percentile_95),
            _number(distribution.maximum),
        ]
        for name, distribution in distributions.items()
        if distribution is not None
    ]
    return _table([title, "mean", "median", "95 % at most", "maximum"], rows)


def _side_by_side(
    what: str, splits: Splits, lists: Sequence[list[Frequency]], with_bars: bool = False
) -> str:
    """A row a name, counts and shares of every split in its columns."""
    names = dict.fromkeys(frequency.name for frequencies in lists for frequency in frequencies)
    by_name = [{frequency.name: frequency for frequency in frequencies} for frequencies in lists]
    rows = []
    for name in names:
        row = [_text(name)]
        for frequencies in by_name:
            frequency = frequencies.get(name, Frequency(name, 0, 0.0))
            row += [_number(frequency.count), _percent(frequency.share)]
            row += [_bar(frequency.share)] if with_bars else []
        rows.append(row)
    header = [what]
    for split in splits:
        header += [split, "share"] + [""] * with_bars
    return _table(header, rows)


def _lists(what: str, splits: Splits, lists: Sequence[list[Frequency]]) -> str:
    """The most frequent ones of every split, a table each, beside each other."""
    return _beside(
        *(
            _table(
                [f"{split}: {what}", "times", "share"],
                [[_text(f.name), _number(f.count), _percent(f.share)] for f in frequencies],
            )
            for split, frequencies in zip(splits, lists, strict=True)
        )
    )


def _beside(*blocks: str) -> str:
    return '<div class="beside">' + "".join(f"<div>{block}</div>\n" for block in blocks) + "</div>"


def _table(
    header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: Sequence[int] = (0,)
) -> str:
    heads = "".join(
        f"<th>{_written(name)}</th>"
        if i in text_columns
        else f'<th class="n">{_written(name)}</th>'
        for i, name in enumerate(header)
    )
    body = "".join(f"<tr>{''.join(row)}</tr>\n" for row in rows)
    table = f"<table><thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody></table>"
    return f'<div class="wide">{table}</div>\n'


def _figure(name: str, svg: str) -> str:
    return f'<figure role="img" aria-label="{name}">{svg}</figure>\n'


def _written(text: str) -> str:
    return escape(visible(text))


def _text(text: str) -> str:
    return f'<td class="text"><bdi>{_written(text)}</bdi></td>'


def _number(number: int | None) -> str:
    return f'<td class="n">{"" if number is None else f"{number:,}"}</td>'


def _percent(share: float | None) -> str:
    return f'<td class="n">{"" if share is None else f"{100 * share:.1f} %"}</td>'


def _decimal(number: float) -> str:
    return f'<td class="n">{number:.2f}</td>'


def _bar(share: float) -> str:
    return f'<td><span class="bar" style="width:{6 * share:.2f}rem"></span></td>'
