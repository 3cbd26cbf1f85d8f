"""Span counts against seqeval and against the rules of the conlleval script."""

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOBES

from nerlab.evaluation.report import (
    Score,
    SpanCounts,
    count_confusions,
    count_spans,
    strict_spans_of,
)
from nerlab.tags import Span, spans_of, tags_of

LABELS = ("A", "B-C", "D")
Pair = tuple[list[str], list[str]]


def pairs_of(prefixes: str) -> st.SearchStrategy[list[Pair]]:
    """Some sentences with gold and predicted tags, most of them illegal in every scheme."""
    tag = st.sampled_from(["O", *(f"{p}-{label}" for p in prefixes for label in LABELS)])
    both = st.lists(st.tuples(tag, tag), min_size=1, max_size=8)
    return st.lists(both.map(lambda tags: ([g for g, _ in tags], [p for _, p in tags])), max_size=5)


@st.composite
def legal_pairs(draw: st.DrawFn, scheme: str) -> list[Pair]:
    """As :func:`pairs_of`, but legal; half of the predictions are the gold tags."""
    pairs = draw(pairs_of("BI"))
    rewritten = [
        [tags_of(spans_of(tags), len(tags), scheme) for tags in (gold, predicted)]
        for gold, predicted in pairs
    ]
    return [(gold, draw(st.sampled_from([gold, other]))) for gold, other in rewritten]


def unzip(pairs: list[Pair]) -> tuple[list[list[str]], list[list[str]]]:
    return [gold for gold, _ in pairs], [predicted for _, predicted in pairs]


# The steps from one prefix to the next, both of one type, at which conlleval.pl ends and begins a
# chunk. The second rows are ours: the script knows no S, and goes over E to B without a border.
ENDS = {"BB", "BO", "IB", "IO", "EE", "EI", "EO"}
ENDS |= {"BS", "IS", "EB", "ES", "SB", "SI", "SE", "SS", "SO"}
STARTS = {"BB", "IB", "OB", "OI", "OE", "EE", "EI"}
STARTS |= {"OS", "BS", "IS", "EB", "ES", "SB", "SI", "SE", "SS"}


def conlleval(pairs: list[Pair]) -> tuple[int, int, int]:
    """Chunks of gold, predicted and in both: the loop of the script, token by token."""
    gold = predicted = correct = 0
    for sentence in pairs:
        last = [("O", ""), ("O", "")]
        in_correct = False
        for tags in [*zip(*sentence, strict=True), ("O", "O")]:
            now = [(tag.partition("-")[0], tag.partition("-")[2]) for tag in tags]
            both = list(zip(last, now, strict=True))
            ends = [a[0] + b[0] in ENDS or (a[0] != "O" and a[1] != b[1]) for a, b in both]
            starts = [a[0] + b[0] in STARTS or (b[0] != "O" and a[1] != b[1]) for a, b in both]
            if in_correct and all(ends) and last[0][1] == last[1][1]:
                in_correct = False
                correct += 1
            elif in_correct and (ends[0] != ends[1] or now[0][1] != now[1][1]):
                in_correct = False
            if all(starts) and now[0][1] == now[1][1]:
                in_correct = True
            gold += starts[0]
            predicted += starts[1]
            last = now
    return gold, predicted, correct


def totals(counts: SpanCounts) -> tuple[int, int, int]:
    return counts.gold.total(), counts.predicted.total(), counts.correct.total()


@pytest.mark.parametrize("strategy", [pairs_of("BI"), legal_pairs("iob2"), legal_pairs("iob1")])
def test_spans_are_counted_as_seqeval_does_by_default(
    strategy: st.SearchStrategy[list[Pair]],
) -> None:
    @given(strategy)
    def check(pairs: list[Pair]) -> None:
        gold, predicted = unzip(pairs)
        ours = count_spans(gold, predicted).score()
        if pairs:
            theirs = [
                score(gold, predicted, zero_division=0)
                for score in (precision_score, recall_score, f1_score)
            ]
            assert ours[:3] == pytest.approx(theirs)

    check()


@pytest.mark.parametrize(
    "strategy", [pairs_of("BI"), pairs_of("BIES"), legal_pairs("iob1"), legal_pairs("iobes")]
)
def test_spans_are_counted_by_the_rules_of_conlleval_where_each_begin_is_a_border(
    strategy: st.SearchStrategy[list[Pair]],
) -> None:
    @given(strategy)
    def check(pairs: list[Pair]) -> None:
        assert totals(count_spans(*unzip(pairs))) == conlleval(pairs)

    check()


def test_an_orphan_inside_tag_begins_an_entity() -> None:
    counts = count_spans([["O", "B-A", "I-A"]], [["O", "I-A", "I-A"]])
    assert counts.score() == (1, 1, 1, 1)


@pytest.mark.parametrize("strategy", [pairs_of("BIES"), legal_pairs("iobes")])
def test_strict_spans_are_counted_as_seqeval_does_with_its_scheme(
    strategy: st.SearchStrategy[list[Pair]],
) -> None:
    @given(strategy)
    def check(pairs: list[Pair]) -> None:
        gold, predicted = unzip(pairs)
        ours = count_spans(gold, predicted, strict_spans_of).score()
        if pairs:
            theirs = [
                score(gold, predicted, mode="strict", scheme=IOBES, zero_division=0)
                for score in (precision_score, recall_score, f1_score)
            ]
            assert ours[:3] == pytest.approx(theirs)

    check()


def test_strict_counting_takes_no_span_with_wrong_tags() -> None:
    gold, predicted = [["B-A", "E-A"]], [["B-A", "I-A"]]
    assert count_spans(gold, predicted).score().f1 == 1
    assert count_spans(gold, predicted, strict_spans_of).score().f1 == 0


@given(pairs_of("BIES"), st.randoms(use_true_random=False))
def test_counts_add_up_over_sentences_in_any_order(pairs: list[Pair], rng: random.Random) -> None:
    whole = count_spans(*unzip(pairs))
    rng.shuffle(pairs)
    added = SpanCounts()
    for gold, predicted in pairs:
        added.add(iter(spans_of(gold)), spans_of(predicted))
    assert added == whole
    assert added.score() == whole.score()


@pytest.mark.parametrize("tags", [[], [[]], [["O", "O"], ["O"]]])
def test_nothing_to_count_gives_zeros(tags: list[list[str]]) -> None:
    for counts in (count_spans(tags, tags), count_spans(tags, tags, strict_spans_of)):
        assert counts.labels == []
        assert counts.score() == Score(0.0, 0.0, 0.0, 0)
        assert counts.score("PER") == Score(0.0, 0.0, 0.0, 0)


@given(pairs_of("BIES"))
@example([(["S-A"], ["O"])])
@example([(["O"], ["S-A"])])
def test_scores_are_fractions_of_the_counts(pairs: list[Pair]) -> None:
    counts = count_spans(*unzip(pairs))
    for label in counts.labels:
        score = counts.score(label)
        agreeing = counts.correct[label]
        assert score.support == counts.gold[label]
        assert score.precision * counts.predicted[label] == pytest.approx(agreeing)
        assert score.recall * counts.gold[label] == pytest.approx(agreeing)
        if agreeing:
            harmonic = 2 / (1 / score.precision + 1 / score.recall)
            assert score.f1 == pytest.approx(harmonic)
        else:
            assert score.f1 == 0


def test_a_span_is_right_only_with_its_borders_and_its_label() -> None:
    counts = SpanCounts()
    counts.add(
        [Span(0, 2, "A"), Span(3, 4, "A"), Span(5, 6, "A")],
        [Span(0, 2, "A"), Span(3, 5, "A"), Span(5, 6, "D")],
    )
    assert totals(counts) == (3, 3, 1)
    assert counts.labels == ["A", "D"]


@given(pairs_of("BIES"))
def test_confusions_count_every_token_once(pairs: list[Pair]) -> None:
    confusions = count_confusions(*unzip(pairs))
    assert confusions.total() == sum(len(gold) for gold, _ in pairs)
    labels = [tag[2:] or "O" for gold, _ in pairs for tag in gold]
    for label in {*labels}:
        assert sum(n for (g, _), n in confusions.items() if g == label) == labels.count(label)
    for gold, predicted in pairs:
        for g, p in zip(gold, predicted, strict=True):
            assert confusions[g[2:] or "O", p[2:] or "O"] > 0


def test_sequences_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        count_spans([["O"]], [["O"], ["O"]])
    with pytest.raises(ValueError, match="zip"):
        count_confusions([["O", "O"]], [["O"]])
