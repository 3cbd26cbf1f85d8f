"""Span counts against seqeval and against the rules of the conlleval script."""

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOBES

from nerlab.evaluation.report import Report, Score, score_spans, strict_spans_of
from nerlab.tags import spans_of, tags_of

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


@pytest.mark.parametrize("strategy", [pairs_of("BI"), legal_pairs("iob2"), legal_pairs("iob1")])
def test_spans_are_counted_as_seqeval_does_by_default(
    strategy: st.SearchStrategy[list[Pair]],
) -> None:
    @given(strategy)
    def check(pairs: list[Pair]) -> None:
        gold, predicted = unzip(pairs)
        ours = score_spans(gold, predicted).total
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
        gold, predicted, correct = conlleval(pairs)
        found = score_spans(*unzip(pairs)).total
        assert found.support == gold
        assert found.precision == (correct / predicted if predicted else 0)
        assert found.recall == (correct / gold if gold else 0)

    check()


def test_an_orphan_inside_tag_begins_an_entity() -> None:
    scores = score_spans([["O", "B-A", "I-A"]], [["O", "I-A", "I-A"]])
    assert scores == ((1, 1, 1, 1), {"A": (1, 1, 1, 1)})


@pytest.mark.parametrize("strategy", [pairs_of("BIES"), legal_pairs("iobes")])
def test_strict_spans_are_counted_as_seqeval_does_with_its_scheme(
    strategy: st.SearchStrategy[list[Pair]],
) -> None:
    @given(strategy)
    def check(pairs: list[Pair]) -> None:
        gold, predicted = unzip(pairs)
        ours = score_spans(gold, predicted, strict_spans_of).total
        if pairs:
            theirs = [
                score(gold, predicted, mode="strict", scheme=IOBES, zero_division=0)
                for score in (precision_score, recall_score, f1_score)
            ]
            assert ours[:3] == pytest.approx(theirs)

    check()


def test_strict_counting_takes_no_span_with_wrong_tags() -> None:
    gold, predicted = [["B-A", "E-A"]], [["B-A", "I-A"]]
    assert score_spans(gold, predicted).total.f1 == 1
    assert score_spans(gold, predicted, strict_spans_of).total.f1 == 0


@given(pairs_of("BIES"), st.randoms(use_true_random=False))
def test_the_order_of_the_sentences_changes_nothing(pairs: list[Pair], rng: random.Random) -> None:
    scores = score_spans(*unzip(pairs))
    rng.shuffle(pairs)
    assert score_spans(*unzip(pairs)) == scores


@pytest.mark.parametrize("tags", [[], [[]], [["O", "O"], ["O"]]])
def test_nothing_to_count_gives_zeros(tags: list[list[str]]) -> None:
    for scores in (score_spans(tags, tags), score_spans(tags, tags, strict_spans_of)):
        assert scores == (Score(0.0, 0.0, 0.0, 0), {})


@given(pairs_of("BIES"))
@example([(["S-A"], ["O"])])
@example([(["O"], ["S-A"])])
def test_the_score_of_a_type_is_that_of_its_spans_alone(pairs: list[Pair]) -> None:
    scores = score_spans(*unzip(pairs))
    assert scores.total.support == sum(score.support for score in scores.per_type.values())
    for label, score in scores.per_type.items():
        alone = [
            [
                tags_of([s for s in spans_of(tags) if s.label == label], len(tags), "iobes")
                for tags in both
            ]
            for both in pairs
        ]
        assert score_spans(*unzip([(gold, predicted) for gold, predicted in alone])).total == score
        if score.precision and score.recall:
            assert score.f1 == pytest.approx(2 / (1 / score.precision + 1 / score.recall))
        else:
            assert score.f1 == 0


def test_a_span_is_right_only_with_its_borders_and_its_label() -> None:
    gold = [["B-A", "E-A", "O", "S-A", "O", "S-A"]]
    predicted = [["B-A", "E-A", "O", "B-A", "E-A", "S-D"]]
    assert score_spans(gold, predicted).total == pytest.approx((1 / 3, 1 / 3, 1 / 3, 3))
    assert list(score_spans(gold, predicted).per_type) == ["A", "D"]


@given(pairs_of("BIES"))
def test_confusions_count_every_token_once(pairs: list[Pair]) -> None:
    gold_tags, predicted_tags = unzip(pairs)
    confusions = Report("dev", [], gold_tags, predicted_tags, []).confusions
    assert confusions.total() == sum(len(gold) for gold, _ in pairs)
    labels = [tag[2:] or "O" for gold, _ in pairs for tag in gold]
    for label in {*labels}:
        assert sum(n for (g, _), n in confusions.items() if g == label) == labels.count(label)
    for gold, predicted in pairs:
        for g, p in zip(gold, predicted, strict=True):
            assert confusions[g[2:] or "O", p[2:] or "O"] > 0


def test_sequences_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        score_spans([["O"]], [["O"], ["O"]])
    with pytest.raises(ValueError, match="zip"):
        Report("dev", [["x", "y"]], [["O", "O"]], [["O"]], []).confusions  # noqa: B018
