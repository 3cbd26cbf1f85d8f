"""JSON records of texts and the spans in them, as annotation tools export them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from nerlab.data.readers.alignment import Misaligned, align, touched
from nerlab.data.readers.messages import Tally, shown, warn
from nerlab.data.readers.records import Layout, Record, fetch, has, look_up, matches, records
from nerlab.data.readers.texts import Text, TextLayout
from nerlab.data.sentence import Sentence
from nerlab.tags import Span, tags_of

_TOKENS_AROUND = 2  # in a message, on either side of a span
_TOKENS_SHOWN = 8
_PIECES_SHOWN = 100  # more than a message shows: spans may be long, and many


def read(
    path: str | Path,
    layout: Layout,
    encoding: str,
    text: str | None,
    tokens: str | None,
    sentences: str | None,
    spans: str,
    start: str | int,
    end: str | int,
    label: str | int,
    unit: Literal["characters", "tokens"],
    ends: Literal["exclusive", "inclusive"],
    misaligned: Literal["error", "expand", "skip"],
    require_spans: bool,
    keep: Mapping[str, Any] | None = None,
    keep_spans: Mapping[str, Any] | None = None,
) -> Iterator[Sentence]:
    """Yield the sentences of a file; each record is a document, its tags are IOB2.

    A record that lists its tokens with their offsets is taken in these tokens (those of white
    space alone are none), and is one sentence unless it lists its sentences too. The text of any
    other record is cut into tokens and sentences as ``predict.py`` does it. No sentence ends
    inside a span. Records of no token are passed over.

    What the options mean stands in ``conf/data/reader/spans.yaml``. Of spans that overlap, the one
    over more tokens is kept. A span that is empty, out of the text, or overlapped is never
    widened; with ``misaligned`` other than ``error``, one warning counts all that are no spans of
    tokens. Without ``require_spans``, one record of the file must have the list of spans.

    Raises:
        ValueError: a record is no JSON object, or lacks something; a span is misaligned; or a byte
            does not decode.
    """
    text_layout = TextLayout(text, tokens, sentences, unit)
    span_layout = _SpanLayout(spans, start, end, label, ends == "inclusive", keep_spans or {})
    tally = Tally()
    document, annotated = 0, require_spans
    for record in records(path, layout, encoding):
        if keep is not None and not matches(record.value, keep):
            continue
        document += 1
        content = text_layout.read(record)
        marks: list[Span] = []
        if require_spans or has(record.value, spans):
            annotated = True
            marks = span_layout.read(record)
        found_spans, problems = align(
            marks, content.offsets, len(content.pieces), widen=misaligned == "expand"
        )
        for problem in problems:
            description = _describe(problem, content, unit)
            if misaligned == "error":
                raise ValueError(
                    f"{record.where}: {description}; fix it, set data.reader.unit and .ends to "
                    "what its positions count, or data.reader.misaligned=expand or skip"
                )
            kind = f"{problem.kind} ({'widened' if problem.widened else 'left out'})"
            tally.add(kind, f"line {record.line}: {description}")
        tags = tags_of(found_spans, len(content.tokens), "iob2")
        for first, last in _sentences(content, found_spans):
            words = content.tokens[first:last]
            yield Sentence(words, tags[first:last], document, record.line, lines_a_token=0)
    if tally:
        warn(f"{path}: misaligned spans, data.reader.misaligned={misaligned}: {tally}")
    if document and not annotated:
        raise ValueError(
            f"{path}: expected a list under {spans!r}, found none in any record; set "
            "data.reader.spans to where it stands"
        )


class _SpanLayout(NamedTuple):
    """Where the spans stand in a record, and what is where in a span; see :func:`read`."""

    spans: str
    start: str | int
    end: str | int
    label: str | int
    inclusive: bool
    keep: Mapping[str, Any]

    def read(self, record: Record) -> list[Span]:
        """The spans of a record; ``ValueError`` says what one lacks."""
        marks = []
        for number, item in enumerate(fetch(record.value, self.spans, list, "spans", record.where)):
            if not matches(item, self.keep):
                continue
            where = f"{record.where}: {self.spans}.{number}"
            start = fetch(item, self.start, int, "start", where)
            end = fetch(item, self.end, int, "end", where) + self.inclusive
            marks += [Span(start, end, label) for label in self._labels(item, where)]
        return marks

    def _labels(self, item: Any, where: str) -> list[str]:
        try:
            found = look_up(item, self.label)
        except KeyError:
            found = None
        labels = found if isinstance(found, list) else [found]
        for label in labels or [None]:
            if not isinstance(label, str) or not label:
                raise ValueError(
                    f"{where}: expected a label under {str(self.label)!r}, found {shown(label)}; "
                    "fix the record, or set data.reader.label to where it stands"
                )
        return labels


def _sentences(content: Text, spans: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """The tokens of each sentence, half open; a border inside a span is none."""
    inside = {token for span in spans for token in range(span.start + 1, span.end)}
    borders = [border for border in content.borders if border not in inside]
    for first, last in zip([0, *borders], [*borders, len(content.tokens)], strict=True):
        if first < last:
            yield first, last


def _describe(problem: Misaligned, content: Text, unit: str) -> str:
    mark = problem.mark
    begin = max(mark.start, 0)
    covered = content.pieces[begin : max(min(mark.end, begin + _PIECES_SHOWN), 0)]
    spelled = covered if isinstance(covered, str) else " ".join(covered)
    first, last = touched(mark, content.offsets)
    begin = max(first - _TOKENS_AROUND, 0)
    around = content.tokens[begin : min(last + _TOKENS_AROUND, begin + _TOKENS_SHOWN)]
    near = " ".join(map(shown, around)) or "no token"
    return (
        f"span {shown(spelled)} ({unit} {mark.start}:{mark.end}, {shown(mark.label)}) is "
        f"{problem.kind}, near {near}"
    )
