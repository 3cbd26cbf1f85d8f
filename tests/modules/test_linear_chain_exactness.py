"""Every quantity of the chain against recursions in float64 log space where -inf is -inf: long
sentences, events of any size, -inf in every argument, offsets; and all ways against each other."""

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from chains import NEVER, Scores, every_path, random_scores, taking, with_gradients
from helpers import one_in
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nerlab.modules.linear_chain import FORBIDDEN, LinearChain, Spans, recursions

_WAYS = ["scaled", "log space", "with a gradient"]
every_way = pytest.mark.parametrize("way", _WAYS)


class Truth:
    """One sentence ``(T, K)``: log-probabilities by the recursions as they are written down."""

    def __init__(self, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> None:
        peak = emissions.amax(1, keepdim=True)
        emissions = emissions - peak
        alpha, after = [start + emissions[0]], [end]
        for scores in emissions[1:]:
            alpha.append(torch.logsumexp(alpha[-1][:, None] + transitions, 0) + scores)
        for scores in emissions[1:].flip(0):
            after.append(torch.logsumexp(transitions + scores + after[-1], 1))
        after.reverse()
        log_z = torch.logsumexp(alpha[-1] + end, 0)
        beta = emissions + torch.stack(after)
        following = transitions + beta[1:, None]  # (T - 1, from, to)
        self.marginal = torch.stack(alpha) + torch.stack(after) - log_z  # (T, K)
        self.pair = torch.stack(alpha)[:-1, :, None] + following - log_z
        follows = following - torch.stack(after)[:-1, :, None]
        self.conditional = torch.where(following > NEVER, follows, NEVER)
        self.log_partition = log_z + peak.sum()

    @property
    def entropy(self) -> Tensor:
        first, pair = self.marginal[0], self.pair
        steps = torch.where(pair > NEVER, pair.exp() * self.conditional, 0.0)
        return torch.special.entr(first.exp()).sum() - steps.sum()


def truth(scores: Scores, b: int, length: int) -> Truth:
    return Truth(scores[0][b, :length], *scores[1:])


@st.composite
def wild_chains(draw: st.DrawFn) -> tuple[Scores, Tensor, Tensor]:
    """Scores of any size, -inf in all of them; lengths; a path of each sentence that is not
    forbidden."""
    B, T, K = draw(st.integers(1, 3)), draw(st.integers(1, 40)), draw(st.integers(2, 4))
    lengths = torch.tensor(draw(st.lists(st.integers(1, T), min_size=B, max_size=B)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    sizes = st.sampled_from([0.0, 1.0, 20.0, 100.0, 1e3, 1e5])
    path = torch.randint(K, (B, T), generator=generator)

    def scores(*shape: int) -> Tensor:
        values = draw(sizes) * torch.randn(*shape, generator=generator, dtype=torch.float64)
        share = draw(st.sampled_from([0.0, 0.0, 0.3, 0.6]))
        return values.masked_fill(torch.rand(*shape, generator=generator) < share, NEVER)

    def possible(values: Tensor, *index: Tensor) -> None:
        values[index] = values[index].clamp(min=-1e3)

    emissions, transitions, start, end = scores(B, T, K), scores(K, K), scores(K), scores(K)
    possible(emissions.view(-1, K), torch.arange(B * T), path.flatten())
    possible(transitions, path[:, :-1], path[:, 1:])
    possible(start, path[:, 0])
    possible(end, path[torch.arange(B), lengths - 1])
    emissions += draw(st.sampled_from([0.0, -1e4, 1e6]))
    return (emissions, transitions, start, end), lengths, path


def take(way: str, scores: Scores, lengths: Tensor) -> tuple[LinearChain, object]:
    if way == "with a gradient":
        return LinearChain(*with_gradients(scores), lengths), nullcontext()
    return LinearChain(*scores, lengths), taking(way)


def assert_same_logs(found: Tensor, expected: Tensor) -> None:
    """-inf at the same places, and else the same numbers; T 1e5 leaves 1e-9 to float64."""
    found = found.detach()
    assert torch.equal(found == NEVER, expected == NEVER)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-6)


def assert_same_probabilities(found: Tensor, expected_log: Tensor) -> None:
    """Down to the smallest normal float64, and 0 where it is forbidden."""
    torch.testing.assert_close(found.detach(), expected_log.exp(), rtol=1e-5, atol=1e-307)
    assert not found[expected_log == NEVER].any()


@settings(max_examples=40, deadline=None)
@given(wild_chains(), st.integers(0, 2**31))
def test_every_quantity_is_exact_for_events_of_any_size(
    chain: tuple[Scores, Tensor, Tensor], seed: int
) -> None:
    scores, lengths, path = chain
    B, T, K = scores[0].shape
    generator = torch.Generator().manual_seed(seed)
    tags = torch.randint(K, (B, T), generator=generator)  # possible or not
    allowed = torch.rand(B, T, K, generator=generator) < 0.6
    allowed.scatter_(2, path[..., None], True)
    starts = (torch.rand(B, generator=generator) * lengths).long()
    spans = Spans(torch.arange(B), starts, lengths - starts, allowed.flip(0))

    exact = [truth(scores, b, n) for b, n in enumerate(lengths.tolist())]
    expected_admitted, expected_in_spans = torch.full((2, B), NEVER, dtype=torch.float64)
    for b, n in enumerate(lengths.tolist()):
        admitted = scores[0][b, :n].masked_fill(~allowed[b, :n], NEVER)
        log_z = Truth(admitted, *scores[1:]).log_partition
        expected_admitted[b] = log_z - exact[b].log_partition
        in_span = scores[0][b, :n].clone()
        in_span[starts[b] :].masked_fill_(~spans.allowed[b, : n - starts[b]], NEVER)
        if not (in_span == NEVER).all(1).any():
            log_z = Truth(in_span, *scores[1:]).log_partition
            expected_in_spans[b] = log_z - exact[b].log_partition

    for way in _WAYS:
        ours, context = take(way, scores, lengths)
        with context:  # type: ignore[attr-defined]
            marginals, pairs, entropy = ours.marginals, ours.pair_marginals, ours.entropy
            log_z, log_p, counts = ours.log_partition, ours.log_prob(tags), ours.expected_moves
            assert_same_logs(ours.log_prob_allowed(allowed), expected_admitted)
            assert_same_logs(ours.span_log_prob(spans), expected_in_spans)
            marginal, conditional = ours.path_log_probabilities(tags)
            best, samples = ours.max, ours.sample(3)
        for b, n in enumerate(lengths.tolist()):
            this = exact[b]
            assert_same_logs(log_z[b], this.log_partition)
            assert_same_probabilities(marginals[b, :n], this.marginal)
            assert_same_probabilities(pairs[b, : n - 1], this.pair)
            expected_counts = this.pair.exp().sum(0)
            torch.testing.assert_close(counts[b].detach(), expected_counts, rtol=1e-5, atol=1e-9)
            torch.testing.assert_close(entropy[b].detach(), this.entropy, rtol=0, atol=1e-5)
            here = tags[b, :n]
            assert_same_logs(marginal[b, :n], this.marginal[torch.arange(n), here])
            steps = this.conditional[torch.arange(n - 1), here[:-1], here[1:]]
            assert_same_logs(conditional[b, 1:n], steps)
            assert_same_logs(conditional[b, 0], this.marginal[0, here[0]])
            assert_same_logs(log_p[b], this.marginal[0, here[0]] + steps.sum())
            assert (this.marginal[torch.arange(n), samples[:, b, :n]] > NEVER).all()
            assert (best[b] - log_z[b]).detach() <= 1e-6
            assert not ours.argmax[b, n:].any()


@every_way
def test_events_of_any_size_keep_their_probability(way: str) -> None:
    """Tags that never meet, one of them 20 a token behind: e^-400 after 20 tokens."""
    T = 20
    emissions = torch.zeros(1, T, 2, dtype=torch.float64)
    apart = torch.tensor([[0.0, NEVER], [NEVER, 0.0]], dtype=torch.float64)
    zeros, no_start = torch.zeros(2, dtype=torch.float64), torch.tensor([0.0, NEVER]).double()
    sentence, token, one = torch.tensor([[0], [T - 1], [1]])
    last = Spans(sentence, token, one, torch.tensor([[[False, True]]]))
    forbidden, context = take(way, (emissions, apart, no_start, zeros), torch.tensor([T]))
    with context:  # type: ignore[attr-defined]
        assert not forbidden.marginals[..., 1].any()
        assert forbidden.span_log_prob(last).item() == NEVER
        assert forbidden.path_log_probabilities(torch.ones(1, T).long())[0].max() == NEVER
    emissions[..., 1] = -20.0
    behind, context = take(way, (emissions, apart, zeros, zeros), torch.tensor([T]))
    with context:  # type: ignore[attr-defined]
        assert behind.span_log_prob(last).item() == pytest.approx(-400.0)
        marginal, conditional = behind.path_log_probabilities(torch.tensor([[1] * 19 + [0]]))
    assert marginal[0, :19].tolist() == pytest.approx([-400.0] * 19)
    assert conditional[0, 1:].tolist() == pytest.approx([0.0] * 18 + [NEVER])


@every_way
def test_a_tag_with_nothing_possible_after_it_has_conditionals_of_minus_infinity(way: str) -> None:
    scores = random_scores(1, 3, 2)
    scores[1][0, :] = NEVER  # from tag 0 nothing follows
    chain, context = take(way, scores, torch.tensor([3]))
    with context:  # type: ignore[attr-defined]
        marginal, conditional = chain.path_log_probabilities(torch.tensor([[0, 1, 0]]))
    assert (marginal == NEVER).tolist() == [[True, False, False]]
    assert (conditional == NEVER).tolist() == [[True, True, False]]


def test_minus_infinity_in_the_emissions_is_a_constraint_for_the_best_paths_too() -> None:
    emissions = torch.tensor([[[0.0, NEVER], [1.0, NEVER], [2.0, 0.0]]])
    chain = LinearChain(
        emissions, torch.zeros(2, 2), torch.zeros(2), torch.zeros(2), torch.tensor([3])
    )
    assert chain.argmax.tolist() == [[0, 0, 0]]
    assert chain.max.tolist() == [3.0]
    paths, scores = chain.topk(3)
    assert scores.flatten().tolist() == [3.0, 1.0, NEVER]
    assert paths[:2, 0].tolist() == [[0, 0, 0], [0, 0, 1]]


@settings(max_examples=60, deadline=None)
@given(wild_chains())
def test_best_paths_obey_constraints_on_the_emissions(chain: tuple[Scores, Tensor, Tensor]) -> None:
    scores, lengths, _ = chain
    T = min(scores[0].shape[1], 5)
    scores, lengths = (scores[0][:, -T:].clone(), *scores[1:]), lengths.clamp(max=T)
    ours = LinearChain(*scores, lengths)
    for b, n in enumerate(lengths.tolist()):
        totals = every_path(scores, b, n)[1]
        if totals.max() == NEVER:
            return  # cut off, this sentence has no path left
    paths, found = ours.topk(3)
    for b, n in enumerate(lengths.tolist()):
        every, totals = every_path(scores, b, n)
        best = totals.sort(descending=True).values[:3]
        size = float(totals.abs().where(totals > NEVER, 0.0).max())
        torch.testing.assert_close(found[: len(best), b], best, rtol=0, atol=1e-12 * size + 1e-9)
        torch.testing.assert_close(ours.max[b], best[0], rtol=0, atol=1e-12 * size + 1e-9)
        for path in (ours.argmax[b, :n], paths[0, b, :n]):
            assert totals[(every == path).all(1)].item() >= best[0] - 1e-12 * size - 1e-9


@pytest.mark.parametrize("name", ["entropy", "log_partition", "marginals"])
def test_gradients_under_constraints_are_finite_and_those_of_the_possible_paths(name: str) -> None:
    lengths = torch.tensor([4, 2])
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        scores = random_scores(2, 4, 3)
        for values in scores:
            values.masked_fill_(torch.rand(values.shape, generator=generator) < 0.25, NEVER)
            values.view(-1, 3)[:, 0] = 0.5

        def enumerated(*inputs: Tensor) -> Tensor:
            quantities = []
            for b, n in enumerate(lengths.tolist()):
                paths, totals = every_path(inputs, b, n)  # type: ignore[arg-type]
                paths, totals = paths[totals > NEVER], totals[totals > NEVER]
                p = totals.softmax(0)
                first_tags = torch.stack([p[paths[:, 0] == k].sum() for k in range(3)])
                quantities.append(
                    {
                        "entropy": torch.special.entr(p).sum(),
                        "log_partition": totals.logsumexp(0),
                        "marginals": (first_tags * torch.arange(3)).sum(),
                    }[name]
                )
            return torch.stack(quantities).sum()

        inputs = with_gradients(scores)
        found = getattr(LinearChain(*inputs, lengths), name)
        found = (found[:, 0] * torch.arange(3)).sum() if name == "marginals" else found.sum()
        ours = torch.autograd.grad(found, inputs)
        inputs = with_gradients(scores)
        theirs = torch.autograd.grad(enumerated(*inputs), inputs)
        for mine, yours in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, yours.nan_to_num(0.0), rtol=1e-8, atol=1e-9)


@every_way
@pytest.mark.parametrize("argument", range(4))
def test_a_sentence_that_any_argument_forbids_is_named(way: str, argument: int) -> None:
    scores = random_scores(3, 4, 2)
    if argument == 0:
        scores[0][1, 2] = NEVER
    else:
        scores[argument].fill_(NEVER)
    named = 1 if argument == 0 else 0
    quantities: list[Callable[[LinearChain], object]] = [
        lambda chain: chain.log_partition,
        lambda chain: chain.marginals,
        lambda chain: chain.entropy,
        lambda chain: chain.argmax,
        lambda chain: chain.topk(2),
        lambda chain: chain.sample(1),
    ]
    for quantity in quantities:
        chain, context = take(way, scores, torch.tensor([4, 4, 2]))
        with (
            context,  # type: ignore[attr-defined]
            pytest.raises(ValueError, match=f"sentence {named} of the batch: every path"),
        ):
            quantity(chain)


def best_score(scores: Scores) -> Tensor:
    """The best path's score ``(B,)`` by the textbook's recursion in float64."""
    emissions, transitions, start, end = (s.double() for s in scores)
    best = start + emissions[:, 0]
    for t in range(1, emissions.shape[1]):
        best = (best[:, :, None] + transitions).amax(1) + emissions[:, t]
    return (best + end).amax(1)


@pytest.mark.parametrize(
    ("B", "T", "K", "offset"),
    [
        *((20, 50, 9, 1e4), (20, 50, 9, 0.0), (4, 1024, 9, 1e6), (3, 300, 37, 1e5)),
        *one_in(3, [(2, 1024, 3, -1e4), (4, 4096, 9, 1e6), (2, 4096, 3, -1e4)]),
    ],
)
@pytest.mark.parametrize("others", [0.0, 1e4])
def test_an_offset_does_not_cost_the_best_path(
    B: int, T: int, K: int, offset: float, others: float
) -> None:
    emissions, *constraints = random_scores(B, T, K, torch.float32)
    transitions, start, end = (scores + others for scores in constraints)
    emissions = emissions + offset * (1 + torch.arange(T) % 3)[:, None]  # others at other tokens
    lengths = torch.full((B,), T)
    chain = LinearChain(emissions, transitions, start, end, lengths)
    peak = emissions.double().amax(2, keepdim=True)
    move_peak = transitions.double().max()
    exact = emissions.double() - peak, transitions - move_peak, start.double(), end.double()
    reference = LinearChain(*exact, lengths)
    expected = best_score(exact)
    assert expected.abs().max() < 1e5  # float64 is fine enough
    for path in (chain.argmax, chain.topk(2)[0][0]):
        scores = reference.log_prob(path) + reference.log_partition
        torch.testing.assert_close(scores, expected, rtol=0, atol=2e-5)
    torch.testing.assert_close(reference.max, expected, rtol=0, atol=1e-9)
    whole = expected + peak.sum((1, 2)) + (T - 1) * move_peak
    torch.testing.assert_close(chain.max, whole.float())


def test_a_best_score_that_sinks_along_the_sentence_does_not_cost_the_best_path() -> None:
    """Each transition costs 1,000, and the better tag has 1/64 more: less than float32 resolves
    in a sum over half the sentence."""
    T = 1024
    odd = torch.arange(T)[:, None] % 2 != torch.arange(4) % 2
    emissions = torch.tensor([0.0, 0.0, 1 / 64, 1 / 64]).expand(T, 4).masked_fill(odd, -1e4)[None]
    parity = torch.arange(4) % 2
    transitions = torch.where(parity[:, None] == parity, 0.0, -1e3)
    chain = LinearChain(emissions, transitions, torch.zeros(4), torch.zeros(4), torch.tensor([T]))
    assert torch.equal(chain.argmax[0], 2 + torch.arange(T) % 2)


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("first", [None, "log_partition", "argmax", "marginals"])
def test_a_change_of_the_arguments_in_place_changes_nothing(
    inference: bool, first: str | None
) -> None:
    tags = torch.ones(2, 6, dtype=torch.int64)
    with torch.inference_mode(inference):
        scores, lengths = random_scores(2, 6, 3), torch.tensor([6, 4])
        chain = LinearChain(*scores, lengths)
        unchanged = LinearChain(*random_scores(2, 6, 3), torch.tensor([6, 4]))
        if first is not None:
            getattr(chain, first)
        for argument in (*scores, lengths):
            argument.mul_(2).clamp_(1, 6)
        for name in ("log_partition", "marginals", "entropy", "argmax", "max", "expected_moves"):
            assert torch.equal(getattr(chain, name), getattr(unchanged, name))
        assert torch.equal(chain.log_prob(tags), unchanged.log_prob(tags))


def test_tags_and_scores_may_change_before_the_gradient_is_taken() -> None:
    scores, lengths = random_scores(2, 6, 3), torch.tensor([6, 4])
    tags = torch.ones(2, 6, dtype=torch.int64)
    gradients = []
    for change in (False, True):
        inputs = with_gradients(scores)
        log_p = LinearChain(*inputs, lengths).log_prob(mine := tags.clone())
        if change:
            mine.zero_()
            with torch.no_grad():
                for values in inputs:
                    values.add_(1.0)
        gradients.append(torch.autograd.grad(log_p.sum(), inputs))
    for found, expected in zip(*gradients, strict=True):
        assert torch.equal(found, expected)


def test_the_gradient_of_the_transitions_is_as_exact_in_log_space_as_expected_moves() -> None:
    emissions, transitions, start, end = random_scores(1, 4096, 4)
    scores, lengths = (1e5 * emissions, transitions, start, end), torch.tensor([4096])
    inputs = with_gradients(scores)
    with taking("log space"):
        log_z = LinearChain(*inputs, lengths).log_partition
        (found,) = torch.autograd.grad(log_z, inputs[1])
    expected = truth(scores, 0, 4096).pair.exp().sum(0)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_scores_of_any_float_type_are_summed_in_float32_or_better(dtype: torch.dtype) -> None:
    scores, lengths = random_scores(2, 6, 3), torch.tensor([6, 4])
    scores[1][0, 1] = NEVER
    emissions, transitions, start, end = (s.to(dtype) for s in scores)
    short: Scores = emissions, transitions, start, end
    found = LinearChain(*short, lengths)
    exact = LinearChain(emissions.float(), transitions.float(), start.float(), end.float(), lengths)
    assert found.log_partition.dtype == torch.float32
    for name in ("log_partition", "marginals", "entropy", "max", "argmax"):
        assert torch.equal(getattr(found, name), getattr(exact, name))
    inputs = with_gradients(short)
    gradients = torch.autograd.grad(LinearChain(*inputs, lengths).log_partition.sum(), inputs)
    assert {g.dtype for g in gradients} == {dtype}


@pytest.mark.parametrize("integers", [torch.int32, torch.int16, torch.uint8])
def test_lengths_and_tags_may_have_any_integer_type(integers: torch.dtype) -> None:
    scores, lengths, tags = random_scores(2, 6, 3), torch.tensor([6, 4]), torch.ones(2, 6).long()
    expected, found = LinearChain(*scores, lengths), LinearChain(*scores, lengths.to(integers))
    assert torch.equal(found.log_prob(tags.to(integers)), expected.log_prob(tags))
    assert torch.equal(found.argmax, expected.argmax)
    assert torch.equal(found.topk(3)[1], expected.topk(3)[1])
    for ours, theirs in zip(
        found.path_log_probabilities(tags.to(integers)),
        expected.path_log_probabilities(tags),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


def test_no_paths_may_be_asked_for_but_not_fewer() -> None:
    chain = LinearChain(*random_scores(2, 6, 3), torch.tensor([6, 4]))
    paths, scores = chain.topk(0)
    assert paths.shape == (0, 2, 6)
    assert scores.shape == (0, 2)
    with pytest.raises(ValueError, match=r"^k: expected 0 or more paths, found -1$"):
        chain.topk(-1)


@pytest.mark.parametrize("shape", [(0, 0, 3), (2, 0, 3), (2, 4, 0), (4, 3)])
def test_scores_without_tokens_or_tags_are_refused_in_one_line(shape: tuple[int, ...]) -> None:
    K = shape[-1]
    with pytest.raises(
        ValueError, match=r"^expected emissions \(B, T, K\), .* none of T and K being 0"
    ):
        LinearChain(
            torch.zeros(shape),
            torch.zeros(K, K),
            torch.zeros(K),
            torch.zeros(K),
            torch.zeros(shape[0], dtype=torch.int64),
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_lengths_that_are_no_integers_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=r"^lengths: expected integers, found torch"):
        LinearChain(*random_scores(1, 1, 3), torch.ones(1, dtype=dtype))


_SMOOTH: dict[str, Callable[[LinearChain], Tensor]] = {
    "log_partition": lambda chain: chain.log_partition,
    "log_prob": lambda chain: chain.log_prob(torch.zeros(2, 4, dtype=torch.int64)),
    "log_prob_allowed": lambda chain: chain.log_prob_allowed(torch.arange(3).expand(2, 4, 3) < 2),
    "marginals": lambda chain: chain.marginals,
    "expected_moves": lambda chain: chain.expected_moves,
    "entropy": lambda chain: chain.entropy,
    "conditionals": lambda chain: chain.path_log_probabilities(torch.zeros(2, 4).long())[1],
    "max": lambda chain: chain.max,
    "topk": lambda chain: chain.topk(2)[1],
}


@pytest.mark.parametrize("name", _SMOOTH)
def test_transforms_of_torch_func_give_the_derivatives_of_autograd(name: str) -> None:
    scores, lengths = random_scores(2, 4, 3), torch.tensor([4, 2])
    scores[1][1, 2] = NEVER

    def quantity(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
        return _SMOOTH[name](LinearChain(emissions, transitions, start, end, lengths))

    def total(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
        return quantity(emissions, transitions, start, end).sum()

    positions = 0, 1, 2, 3
    expected = torch.autograd.functional.jacobian(quantity, scores)
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        for found, theirs in zip(transform(quantity, positions)(*scores), expected, strict=True):
            torch.testing.assert_close(found, theirs)
    inputs = with_gradients(scores)
    expected = torch.autograd.grad(total(*inputs), inputs, materialize_grads=True)
    for found, theirs in zip(torch.func.grad(total, positions)(*scores), expected, strict=True):
        torch.testing.assert_close(found, theirs)

    copies = torch.stack([scores[0], 2 * scores[0]]), torch.stack([scores[1], 3 * scores[1]])
    both = torch.func.vmap(quantity, (0, 0, None, None))
    if name in ("max", "topk"):
        with pytest.raises(ValueError, match="cannot be vmapped: put all sentences into one batch"):
            both(*copies, *scores[2:])
        return
    found = both(*copies, *scores[2:])
    for n, (emissions, transitions) in enumerate(zip(*copies, strict=True)):
        torch.testing.assert_close(found[n], quantity(emissions, transitions, *scores[2:]))


def test_second_derivatives_by_torch_func_are_those_of_autograd() -> None:
    scores, lengths = random_scores(2, 3, 2), torch.tensor([3, 2])

    def total(emissions: Tensor) -> Tensor:
        return LinearChain(emissions, *scores[1:], lengths).log_partition.sum()

    found = torch.func.hessian(total)(scores[0])
    torch.testing.assert_close(found, torch.autograd.functional.hessian(total, scores[0]))


def test_ordinary_scores_under_constraints_take_the_scaled_way() -> None:
    emissions, transitions, start, end = random_scores(4, 200, 9)
    transitions[0, 1:4] = start[2:4] = end[1] = emissions[:, 3, 4] = FORBIDDEN
    lengths = torch.tensor([200, 120, 30, 1])
    scaled = LinearChain(6 * emissions, transitions, start, end, lengths).messages
    assert isinstance(scaled, recursions.Scaled)
    exact = [truth((6 * emissions, transitions, start, end), b, n) for b, n in enumerate(lengths)]
    torch.testing.assert_close(
        scaled.log_partition, torch.stack([sentence.log_partition for sentence in exact])
    )
