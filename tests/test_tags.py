"""Tag schemes, held against enumeration, the perl script conlleval and seqeval."""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import pytest
from helpers import check
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from nerlab.schemes import TagError, may_follow, violations
from nerlab.tags import SCHEMES, Span, iobes_constraints, iobes_tags, spans_of, split_tag, tags_of

LABELS = ("PER", "PER.NOM", "WORK-OF-ART", "-B")


@st.composite
def annotations(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Spans that do not overlap, often adjacent, and the length of their sentence."""
    spans: list[Span] = []
    length = 0
    parts = st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(LABELS))
    for gap, width, label in draw(st.lists(parts, max_size=6)):
        spans.append(Span(length + gap, length + gap + width, label))
        length += gap + width
    return spans, length + draw(st.integers(0, 2))


def all_annotations(length: int, start: int = 0) -> Iterator[list[Span]]:
    """Every way to put spans of the labels X and Y on the tokens from ``start`` on."""
    yield []
    for begin in range(start, length):
        for end in range(begin + 1, length + 1):
            for label in "XY":
                for rest in all_annotations(length, end):
                    yield [Span(begin, end, label), *rest]


def legal_sequences(scheme: str, length: int) -> set[tuple[str, ...]]:
    return {tuple(tags_of(spans, length, scheme)) for spans in all_annotations(length)}


def sequences(prefixes: str, length: int) -> Iterator[tuple[str, ...]]:
    """Every sequence of up to ``length`` tags with these prefixes over the labels X and Y."""
    tags = ["O"] + [f"{prefix}-{label}" for prefix in prefixes for label in "XY"]
    for n in range(length + 1):
        yield from product(tags, repeat=n)


# The predicates of conlleval.pl (2004-01-26) as pairs of previous and current prefix.
CONLLEVAL_ENDS = {"BB", "BO", "IB", "IO", "EE", "EI", "EO"}
CONLLEVAL_STARTS = {"BB", "IB", "OB", "OI", "EE", "EI", "OE"}


def conlleval(tags: Sequence[str]) -> list[Span]:
    """The chunks of the script, which looks at two tags at a time."""
    found: list[Span] = []
    start: int | None = None
    previous, previous_type = "O", ""
    for position, tag in enumerate([*tags, "O"]):
        prefix, _, kind = tag.partition("-")
        pair, other_type = previous + prefix, previous_type != kind
        if start is not None and (pair in CONLLEVAL_ENDS or (previous != "O" and other_type)):
            found.append(Span(start, position, previous_type))
            start = None
        if pair in CONLLEVAL_STARTS or (prefix != "O" and other_type):
            start = position
        previous, previous_type = prefix, kind
    return found


def seqeval_spans(tags: Sequence[str]) -> list[Span]:
    return [Span(start, last + 1, label) for label, start, last in get_entities(list(tags))]


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("iob1", "I-P I-P I-P B-P O I-L I-P I-P"),
        ("iob2", "B-P I-P I-P B-P O B-L B-P I-P"),
        ("iobes", "B-P I-P E-P S-P O S-L B-P E-P"),
        ("bmes", "B-P M-P E-P S-P O S-L B-P E-P"),
        ("bilou", "B-P I-P L-P U-P O U-L B-P L-P"),
    ],
)
def test_each_scheme_writes_and_reads_its_own_prefixes(scheme: str, expected: str) -> None:
    spans = [Span(0, 3, "P"), Span(3, 4, "P"), Span(5, 6, "L"), Span(6, 8, "P")]
    assert tags_of(spans, 8, scheme) == expected.split()
    assert spans_of(expected.split()) == spans


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=50)
@given(annotation=annotations(), random=st.randoms())
def test_spans_come_back_from_the_tags_of_every_scheme(
    scheme: str, annotation: tuple[list[Span], int], random: object
) -> None:
    spans, length = annotation
    shuffled = list(spans)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    tags = tags_of(shuffled, length, scheme)
    assert len(tags) == length
    assert spans_of(tags) == spans
    check(tags, scheme)


def test_spans_are_those_of_conlleval_on_legal_and_illegal_sequences() -> None:
    for tags in sequences("BI", 6):
        assert spans_of(tags) == conlleval(tags), tags


def test_constraints_are_those_of_every_pair_of_tags() -> None:
    outside = ("O", "")
    tags = [*iobes_tags(["A", "B-C", "D"]), "U-A", "M-D", "L-B-C"]
    start, transitions, end = iobes_constraints(tags)
    for i, tag in enumerate(tags):
        assert start[i] == may_follow(outside, split_tag(tag), "iobes")
        assert end[i] == may_follow(split_tag(tag), outside, "iobes")
        for j, following in enumerate(tags):
            assert transitions[i, j] == may_follow(split_tag(tag), split_tag(following), "iobes")


def test_with_end_tags_spans_are_those_of_conlleval_cut_before_each_begin() -> None:
    for tags in sequences("BIE", 5):
        expected = []
        for start, end, label in conlleval(tags):
            begins = [i for i in range(start + 1, end) if tags[i].startswith("B")]
            assert all(tags[i - 1].startswith("E") for i in begins), tags
            borders = [start, *begins, end]
            expected += [Span(a, b, label) for a, b in zip(borders, borders[1:], strict=False)]
        assert spans_of(tags) == expected, tags


@pytest.mark.parametrize(("ours", "single"), [("BIES", "S"), ("BMES", "S"), ("BILU", "U")])
def test_every_scheme_is_read_alike_on_legal_and_illegal_sequences(ours: str, single: str) -> None:
    names = dict(zip(ours, "BIES", strict=True)) | {"O": "O"}
    for tags in sequences(ours, 4):
        spans = spans_of(tags)
        assert spans == seqeval_spans([names[tag[0]] + tag[1:] for tag in tags]), tags
        singles = [i for i, tag in enumerate(tags) if tag.startswith(single)]
        assert all(Span(i, i + 1, tags[i][2:]) in spans for i in singles)


@pytest.mark.parametrize("prefixes", ["BI", "BIES"])
def test_spans_are_those_of_seqeval_on_legal_and_illegal_sequences(prefixes: str) -> None:
    for tags in sequences(prefixes, 4):
        assert spans_of(tags) == seqeval_spans(tags), tags


@settings(max_examples=50)
@given(annotations())
def test_seqeval_reads_the_spans_that_were_written(annotation: tuple[list[Span], int]) -> None:
    spans, length = annotation
    for scheme in ("iob2", "iobes"):
        assert seqeval_spans(tags_of(spans, length, scheme)) == spans


@pytest.mark.parametrize("scheme", SCHEMES)
def test_check_accepts_exactly_what_spans_can_be_written_as(scheme: str) -> None:
    accepted: dict[int, set[tuple[str, ...]]] = {n: set() for n in range(4)}
    for tags in sequences("BIESMLU", 3):
        try:
            check(tags, scheme)
        except TagError:
            continue
        accepted[len(tags)].add(tags)
    assert accepted == {n: legal_sequences(scheme, n) for n in range(4)}


@pytest.mark.parametrize(
    ("scheme", "tags", "position", "message"),
    [
        ("iob1", "O B-X", 1, "tag 'B-X' follows 'O', which iob1 forbids and iob2,"),
        ("iob1", "I-Y B-X", 1, "tag 'B-X' follows 'I-Y', which iob1 forbids"),
        ("iob2", "O O I-X O", 2, "tag 'I-X' follows 'O', which iob2 forbids"),
        ("iob2", "B-X I-Y I-X", 1, "tag 'I-Y' follows 'B-X', which iob2 forbids"),
        ("iobes", "S-X E-X", 1, "tag 'E-X' follows 'S-X', which iobes forbids"),
        ("iobes", "O B-X I-X", 2, "tag 'I-X' ends the sentence, which iobes forbids"),
        ("bilou", "B-X O", 1, "tag 'O' follows 'B-X', which bilou forbids"),
        ("bmes", "M-X", 0, "tag 'M-X' follows 'O', which bmes forbids"),
        ("iob2", "O S-X", 1, "tag 'S-X': iob2 knows the prefixes B I and the tag O"),
        ("iob1", "S-X", 0, "tag 'S-X': iob1 knows the prefixes B I and the tag O"),
        ("bilou", "O O E-X", 2, "tag 'E-X': bilou knows the prefixes B I L U and the tag O"),
        ("iob2", "O B-X X", 2, "tag 'X' is neither 'O' nor a prefix of"),
    ],
)
def test_an_illegal_tag_is_named_with_its_position(
    scheme: str, tags: str, position: int, message: str
) -> None:
    with pytest.raises(TagError) as caught:
        check(tags.split(), scheme)
    assert caught.value.position == position
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("tag", ["", "B", "B-", "-X", "O-X", "b-X", "Z-X", "o", "BI-X", "B_X"])
def test_a_tag_that_is_none_raises(tag: str) -> None:
    with pytest.raises(ValueError, match=f"tag '{tag}' is neither"):
        spans_of(["O", tag])
    with pytest.raises(TagError, match=f"tag '{tag}' is neither") as caught:
        check(["O", tag], "iob2")
    assert caught.value.position == 1


@pytest.mark.parametrize(
    ("tag", "role", "label"),
    [
        ("O", "O", ""),
        ("B-WORK-OF-ART", "B", "WORK-OF-ART"),
        ("M-PER.NOM", "I", "PER.NOM"),
        ("U--", "S", "-"),
    ],
)
def test_a_tag_splits_at_its_first_hyphen(tag: str, role: str, label: str) -> None:
    assert split_tag(tag) == (role, label)


@pytest.mark.parametrize(
    "span", [Span(-1, 1, "X"), Span(-2, -1, "X"), Span(2, 4, "X"), Span(3, 4, "X"), Span(1, 1, "X")]
)
def test_spans_that_do_not_lie_within_the_sentence_raise_and_are_named(span: Span) -> None:
    with pytest.raises(ValueError, match="does not lie within a sentence of 3 tokens") as caught:
        tags_of([Span(0, 1, "Y"), span], 3)
    assert str(span) in str(caught.value)


@pytest.mark.parametrize("other", [Span(2, 5, "X"), Span(0, 6, "X"), Span(3, 4, "Y")])
def test_spans_that_overlap_raise_and_are_named(other: Span) -> None:
    with pytest.raises(ValueError, match="overlap") as caught:
        tags_of([other, Span(3, 4, "X")], 6)
    assert str(other) in str(caught.value)


def test_the_tag_set_is_o_and_then_four_tags_a_label_in_order() -> None:
    assert iobes_tags(["Y", "X"]) == ["O", "B-Y", "I-Y", "E-Y", "S-Y", "B-X", "I-X", "E-X", "S-X"]
    assert iobes_tags([]) == ["O"]


@pytest.mark.parametrize("labels", ["", "X", "XY"])
def test_constraints_allow_exactly_what_occurs_in_some_legal_sequence(labels: str) -> None:
    tags = iobes_tags(labels)
    legal = [s for s in legal_sequences("iobes", 4) if set(s) <= set(tags)]
    pairs = {pair for s in legal for pair in zip(s, s[1:], strict=False)}
    start, transitions, end = iobes_constraints(tags)
    np.testing.assert_array_equal(start, [tag in {s[0] for s in legal} for tag in tags])
    np.testing.assert_array_equal(end, [tag in {s[-1] for s in legal} for tag in tags])
    np.testing.assert_array_equal(transitions, [[(a, b) in pairs for b in tags] for a in tags])


def test_constraints_over_no_tags_are_empty() -> None:
    shapes = [part.shape for part in iobes_constraints([])]
    assert shapes == [(0,), (0, 0), (0,)]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_violation_is_a_pair_that_no_legal_sequence_holds(scheme: str) -> None:
    legal = {
        pair
        for tags in legal_sequences(scheme, 4)
        for pair in zip(("start", *tags), (*tags, "end"), strict=True)
    }
    prefixes = {tag[0] for pair in legal for tag in pair if "-" in tag}
    for tags in sequences("".join(sorted(prefixes)), 3):
        pairs = list(zip(("start", *tags), (*tags, "end"), strict=True))
        expected = [min(i, len(tags) - 1) for i, pair in enumerate(pairs) if pair not in legal]
        if tags:
            assert [violation.position for violation in violations(tags, scheme)] == expected


def test_a_word_that_is_no_tag_is_a_violation_and_the_next_begins_anew() -> None:
    found = [violation.position for violation in violations(["B-X", "X", "I-X", "B-X"], "iob2")]
    assert found == [1, 2]
