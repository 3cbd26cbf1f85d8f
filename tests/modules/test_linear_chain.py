"""The sums and maxima of the chain against the enumeration of all paths, in float64.

There are two ways to the sums: scaled recursions on the CPU, log space wherever those cannot be
trusted and on every other device. Whatever holds must hold both ways.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import torch
import torchcrf
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nerlab.modules import linear_chain

Scores = tuple[Tensor, Tensor, Tensor, Tensor]  # emissions, transitions, start, end
FORBIDDEN = -10_000.0

both_ways = pytest.mark.parametrize("way", ["scaled", "log space"])
few = settings(max_examples=25, deadline=None)


@contextmanager
def taking(way: str) -> Iterator[None]:
    """Log space is forced; the scaled recursions are the default and step back by themselves."""
    with pytest.MonkeyPatch.context() as patch:
        if way == "log space":
            patch.setattr(linear_chain, "_scaled_messages", lambda *_: None)
        yield


@st.composite
def chains(draw: st.DrawFn) -> tuple[Scores, Tensor]:
    """Scores and lengths of a batch; some moves, starts and ends are forbidden."""
    B, T, K = (draw(st.integers(1, most)) for most in (3, 4, 4))
    lengths = draw(st.lists(st.integers(1, T), min_size=B, max_size=B))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scale = draw(st.sampled_from([0.1, 1.0, 10.0, 100.0]))
    forbidden = draw(st.sampled_from([0.0, 0.2, 0.5]))

    def scores(*shape: int) -> Tensor:
        return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

    def constrained(*shape: int) -> Tensor:
        return scores(*shape).masked_fill(
            torch.rand(*shape, generator=generator) < forbidden, FORBIDDEN
        )

    all_scores = scores(B, T, K), constrained(K, K), constrained(K), constrained(K)
    return all_scores, torch.tensor(lengths)


def random_scores(B: int, T: int, K: int, dtype: torch.dtype = torch.float64) -> Scores:
    generator = torch.Generator().manual_seed(1000 * B + 100 * T + K)
    shapes = [(B, T, K), (K, K), (K,), (K,)]
    emissions, transitions, start, end = (torch.randn(s, generator=generator) for s in shapes)
    return emissions.to(dtype), transitions.to(dtype), start.to(dtype), end.to(dtype)


def with_gradients(scores: Scores) -> Scores:
    """Copies that ask for a gradient."""
    emissions, transitions, start, end = (s.clone().requires_grad_() for s in scores)
    return emissions, transitions, start, end


def every_path(scores: Scores, b: int, length: int) -> tuple[Tensor, Tensor]:
    """All paths ``(N, length)`` of sentence b and their scores ``(N,)``."""
    emissions, transitions, start, end = scores
    K = len(start)
    paths = torch.tensor(list(itertools.product(range(K), repeat=length)))
    totals = start[paths[:, 0]] + end[paths[:, -1]]
    for t in range(length):
        totals = totals + emissions[b, t, paths[:, t]]
        if t > 0:
            totals = totals + transitions[paths[:, t - 1], paths[:, t]]
    return paths, totals


def loop_log_partition(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor
) -> Tensor:
    """log Z by the forward recursion in log space, one sentence after the other."""
    results = []
    for b, length in enumerate(lengths.tolist()):
        alpha = start + emissions[b, 0]
        for t in range(1, length):
            alpha = torch.logsumexp(alpha[:, None] + transitions, dim=0) + emissions[b, t]
        results.append(torch.logsumexp(alpha + end, dim=0))
    return torch.stack(results)


def value_and_gradients(
    function: Callable[..., Tensor], scores: Scores, lengths: Tensor
) -> tuple[Tensor, ...]:
    """The values of a function of the scores, and the gradients of a weighted sum of them."""
    inputs = with_gradients(scores)
    values = function(*inputs, lengths)
    weights = torch.linspace(0.5, 2.0, len(values), dtype=values.dtype)
    return values.detach(), *torch.autograd.grad(
        (values * weights).sum(), inputs, materialize_grads=True
    )


def assert_like_the_loop(scores: Scores, lengths: Tensor) -> None:
    found = value_and_gradients(linear_chain.log_partition, scores, lengths)
    expected = value_and_gradients(loop_log_partition, scores, lengths)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-7)


def disjoint_chains(*differences: float) -> tuple[Scores, Tensor]:
    """Tags 0 and 1 never meet; their emissions differ by these numbers, token by token."""
    other = torch.tensor(differences, dtype=torch.float64)
    emissions = torch.stack([torch.zeros_like(other), other], dim=1)[None]
    transitions = torch.tensor([[0.0, FORBIDDEN], [FORBIDDEN, 0.0]], dtype=torch.float64)
    zeros = torch.zeros(2, dtype=torch.float64)
    return (emissions, transitions, zeros, zeros), torch.tensor([len(differences)])


@both_ways
@few
@given(chain=chains())
def test_log_partition_sums_over_every_path(way: str, chain: tuple[Scores, Tensor]) -> None:
    scores, lengths = chain
    with taking(way):
        found = linear_chain.log_partition(*scores, lengths)
    for b, length in enumerate(lengths.tolist()):
        _, totals = every_path(scores, b, length)
        torch.testing.assert_close(found[b], totals.logsumexp(0), rtol=1e-9, atol=1e-9)


@both_ways
@few
@given(chain=chains())
def test_gradient_of_log_partition_is_that_of_the_enumeration(
    way: str, chain: tuple[Scores, Tensor]
) -> None:
    def enumerated(e: Tensor, t: Tensor, start: Tensor, end: Tensor, lengths: Tensor) -> Tensor:
        scores = e, t, start, end
        totals = [every_path(scores, b, n)[1] for b, n in enumerate(lengths.tolist())]
        return torch.stack([total.logsumexp(0) for total in totals])

    with taking(way):
        found = value_and_gradients(linear_chain.log_partition, *chain)
    expected = value_and_gradients(enumerated, *chain)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-7)


@both_ways
@few
@given(chain=chains())
def test_marginals_are_the_share_of_the_paths_through_a_tag(
    way: str, chain: tuple[Scores, Tensor]
) -> None:
    scores, lengths = chain
    expected = torch.zeros_like(scores[0])
    for b, length in enumerate(lengths.tolist()):
        paths, totals = every_path(scores, b, length)
        for path, probability in zip(paths, totals.softmax(0), strict=True):
            expected[b, torch.arange(length), path] += probability
    with taking(way):
        found = linear_chain.marginals(*scores, lengths)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)


@both_ways
@few
@given(chain=chains(), data=st.data())
def test_path_log_probabilities_are_those_of_the_enumeration(
    way: str, chain: tuple[Scores, Tensor], data: st.DataObject
) -> None:
    scores, lengths = chain
    tags = torch.zeros(scores[0].shape[:2], dtype=torch.int64)
    expected = []
    for b, length in enumerate(lengths.tolist()):
        paths, totals = every_path(scores, b, length)
        probabilities = totals.softmax(0)
        # A path that matters: conditionals on what has no probability mean nothing.
        likely = (probabilities > 1e-6).nonzero()[:, 0].tolist()
        path = paths[data.draw(st.sampled_from(likely))]
        tags[b, :length] = path
        through = paths == path
        here = [probabilities[through[:, t]].sum() for t in range(length)]
        pairs = [
            probabilities[through[:, t - 1] & through[:, t]].sum() / here[t - 1]
            for t in range(1, length)
        ]
        expected.append((torch.stack(here).log(), torch.stack([here[0], *pairs]).log()))
    with taking(way):
        marginal, conditional = linear_chain.path_log_probabilities(*scores, lengths, tags)
    for b, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(marginal[b, :length], expected[b][0], rtol=1e-7, atol=1e-7)
        torch.testing.assert_close(conditional[b, :length], expected[b][1], rtol=1e-7, atol=1e-7)


@both_ways
def test_marginal_and_conditionals_along_a_path_multiply_to_its_probability(way: str) -> None:
    scores, lengths = random_scores(4, 9, 5), torch.tensor([9, 4, 1, 7])
    tags = torch.randint(5, (4, 9), generator=torch.Generator().manual_seed(0))
    with taking(way):
        log_z = linear_chain.log_partition(*scores, lengths)
        _, conditional = linear_chain.path_log_probabilities(*scores, lengths, tags)
    expected = linear_chain.path_score(*scores, lengths, tags) - log_z
    found = torch.stack([conditional[b, :n].sum() for b, n in enumerate(lengths.tolist())])
    torch.testing.assert_close(found, expected)


@few
@given(chain=chains(), data=st.data())
def test_path_score_adds_up_one_path_and_ignores_tags_beyond_it(
    chain: tuple[Scores, Tensor], data: st.DataObject
) -> None:
    scores, lengths = chain
    B, T, K = scores[0].shape
    rows = st.lists(st.integers(0, K - 1), min_size=T, max_size=T)
    tags = torch.tensor(data.draw(st.lists(rows, min_size=B, max_size=B)))
    found = linear_chain.path_score(*scores, lengths, tags)
    for b, length in enumerate(lengths.tolist()):
        paths, totals = every_path(scores, b, length)
        (this,) = (paths == tags[b, :length]).all(1).nonzero()[0]
        torch.testing.assert_close(found[b], totals[this])


@few
@given(chain=chains())
def test_viterbi_finds_the_best_of_every_path_and_0_beyond_it(
    chain: tuple[Scores, Tensor],
) -> None:
    scores, lengths = chain
    found = linear_chain.viterbi(*scores, lengths)
    for b, length in enumerate(lengths.tolist()):
        paths, totals = every_path(scores, b, length)
        (this,) = (paths == found[b, :length]).all(1).nonzero()[0]
        torch.testing.assert_close(totals[this], totals.max(), rtol=0.0, atol=1e-9)
        assert not found[b, length:].any()


@both_ways
def test_gradient_of_log_partition_is_marginals_and_expected_pairs(way: str) -> None:
    scores, lengths = random_scores(2, 4, 3), torch.tensor([4, 2])
    inputs = with_gradients(scores)
    with taking(way):
        log_z = linear_chain.log_partition(*inputs, lengths)
        emissions, transitions, start, end = torch.autograd.grad(log_z.sum(), inputs)
        marginals = linear_chain.marginals(*scores, lengths)
    torch.testing.assert_close(emissions, marginals)
    torch.testing.assert_close(start, marginals[:, 0].sum(0))
    torch.testing.assert_close(end, marginals[0, 3] + marginals[1, 1])
    pairs = torch.zeros(3, 3, dtype=torch.float64)
    for b, length in enumerate(lengths.tolist()):
        paths, totals = every_path(scores, b, length)
        for path, probability in zip(paths.tolist(), totals.softmax(0), strict=True):
            for i, j in itertools.pairwise(path):
                pairs[i, j] += probability
    torch.testing.assert_close(transitions, pairs)


@both_ways
@pytest.mark.parametrize(("T", "K"), [(5, 3), (1, 3), (4, 1), (1, 1)])
def test_gradients_agree_with_finite_differences(way: str, T: int, K: int) -> None:
    inputs = with_gradients(random_scores(3, T, K))
    lengths = torch.tensor([T, (T + 1) // 2, 1])
    tags = torch.arange(3 * T).view(3, T) % K
    log_partition = partial(linear_chain.log_partition, lengths=lengths)
    with taking(way):
        assert torch.autograd.gradcheck(log_partition, inputs)
    path_score = partial(linear_chain.path_score, lengths=lengths, tags=tags)
    assert torch.autograd.gradcheck(path_score, inputs)


@both_ways
@pytest.mark.parametrize("T", [1, 2, 12, 60])
def test_loss_gradients_and_best_path_are_those_of_pytorch_crf(way: str, T: int) -> None:
    B, K = 5, 7
    scores = random_scores(B, T, K)
    generator = torch.Generator().manual_seed(T)
    lengths = torch.randint(1, T + 1, (B,), generator=generator)
    lengths[0] = T
    tags = torch.randint(K, (B, T), generator=generator)
    mask = torch.arange(T) < lengths[:, None]
    twin = torchcrf.CRF(K, batch_first=True).double()
    for name, values in zip(("", "start_", "end_"), scores[1:], strict=True):
        getattr(twin, f"{name}transitions").data.copy_(values)

    inputs = with_gradients(scores)
    with taking(way):
        nll = linear_chain.log_partition(*inputs, lengths)
        nll = nll - linear_chain.path_score(*inputs, lengths, tags)
        found = torch.autograd.grad(nll.sum(), inputs, materialize_grads=True)
    emissions = scores[0].clone().requires_grad_()
    expected_nll = -twin(emissions, tags, mask, reduction="none")
    expected = torch.autograd.grad(
        expected_nll.sum(),
        [emissions, twin.transitions, twin.start_transitions, twin.end_transitions],
        materialize_grads=True,
    )
    torch.testing.assert_close(nll, expected_nll)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    best = linear_chain.viterbi(*scores, lengths)
    assert [p[:n].tolist() for p, n in zip(best, lengths, strict=True)] == twin.decode(
        scores[0], mask
    )


@both_ways
@pytest.mark.parametrize("filling", [1e4, -1e4, float("nan")])
def test_what_stands_in_the_padding_changes_nothing(way: str, filling: float) -> None:
    scores, lengths = random_scores(3, 6, 4), torch.tensor([6, 3, 1])
    padding = torch.arange(6) >= lengths[:, None]
    emissions, transitions, start, end = scores
    filled = emissions.masked_fill(padding[..., None], filling), transitions, start, end
    tags = torch.randint(4, (3, 6), generator=torch.Generator().manual_seed(0))
    with taking(way):
        found = value_and_gradients(linear_chain.log_partition, filled, lengths)
        expected = value_and_gradients(linear_chain.log_partition, scores, lengths)
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(
            linear_chain.marginals(*filled, lengths), linear_chain.marginals(*scores, lengths)
        )
    path_score = partial(linear_chain.path_score, tags=tags)
    found = value_and_gradients(path_score, filled, lengths)
    expected = value_and_gradients(path_score, scores, lengths)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert torch.equal(
        linear_chain.viterbi(*filled, lengths), linear_chain.viterbi(*scores, lengths)
    )


@both_ways
def test_a_sentence_alone_has_the_sums_it_has_in_a_batch(way: str) -> None:
    scores, lengths = random_scores(4, 7, 5), torch.tensor([2, 7, 1, 5])
    with taking(way):
        together = linear_chain.log_partition(*scores, lengths)
        marginals = linear_chain.marginals(*scores, lengths)
        for b, n in enumerate(lengths.tolist()):
            alone = scores[0][b : b + 1, :n], *scores[1:]
            log_z = linear_chain.log_partition(*alone, lengths[b : b + 1])
            torch.testing.assert_close(log_z[0], together[b])
            found = linear_chain.marginals(*alone, lengths[b : b + 1])
            torch.testing.assert_close(found[0], marginals[b, :n])


@both_ways
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_short_floats_are_summed_in_float32_and_get_gradients_of_their_own_type(
    way: str, dtype: torch.dtype
) -> None:
    emissions, transitions, start, end = random_scores(4, 50, 5, torch.float32)
    scores = emissions.to(dtype), transitions, start, end
    lengths, tags = torch.tensor([50, 1, 20, 33]), torch.zeros(4, 50, dtype=torch.int64)
    exact = scores[0].double(), transitions.double(), start.double(), end.double()
    with taking(way):
        found = value_and_gradients(linear_chain.log_partition, scores, lengths)
    expected = value_and_gradients(loop_log_partition, exact, lengths)
    assert [f.dtype for f in found] == [torch.float32, dtype, *[torch.float32] * 3]
    torch.testing.assert_close(found[0].double(), expected[0], rtol=1e-6, atol=1e-4)
    rounding = torch.finfo(dtype).eps
    for ours, theirs in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=rounding, atol=1e-4)
    path = linear_chain.path_score(*scores, lengths, tags)
    exact_path = linear_chain.path_score(*exact, lengths, tags)
    assert path.dtype == torch.float32
    torch.testing.assert_close(path.double(), exact_path, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_ordinary_scores_take_the_scaled_way(scale: float) -> None:
    emissions, transitions, start, end = random_scores(4, 200, 9)
    transitions[0, 1:4] = start[2:4] = end[1] = FORBIDDEN
    lengths = torch.tensor([200, 120, 30, 1])
    args = scale * emissions, transitions, start, end, lengths
    assert linear_chain._scaled_messages(*args) is not None


@pytest.mark.parametrize(
    "differences",
    [
        pytest.param([50.0] * 20 + [-49.9] * 20, id="ahead, then behind"),
        pytest.param([-1000.0, 500.0, 500.1], id="behind, then level"),
        pytest.param([500.0] * 4 + [-500.0] * 4, id="a tie, which both recursions miss alike"),
        pytest.param([-500.0] * 2 + [500.0] * 6 + [-500.0] * 2, id="the best, lost from both ends"),
        pytest.param([-460.0, 800.0, -400.0], id="the best falls out of one token alone"),
        pytest.param([-1000.0, 3000.0, -1000.0], id="a token outweighs all others"),
    ],
)
def test_tags_that_never_meet_may_drift_apart(differences: list[float]) -> None:
    scores, lengths = disjoint_chains(*differences)
    assert_like_the_loop(scores, lengths)
    chains_alone = torch.stack([torch.zeros_like(scores[0][0, :, 1]), scores[0][0, :, 1]]).sum(1)
    torch.testing.assert_close(
        linear_chain.log_partition(*scores, lengths)[0], chains_alone.logsumexp(0)
    )
    marginals = linear_chain.marginals(*scores, lengths)[0]
    torch.testing.assert_close(marginals, chains_alone.softmax(0).expand_as(marginals))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-6, 6), min_size=1, max_size=12),
    st.sampled_from([50.0, 200.0, 700.0]),
)
def test_tags_that_never_meet_may_drift_in_any_way(drift: list[int], scale: float) -> None:
    assert_like_the_loop(*disjoint_chains(*(scale * step for step in drift)))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**31), st.sampled_from([300.0, 3e3, 1e4]))
def test_huge_emissions_under_forbidden_moves_are_summed_rightly(
    T: int, seed: int, size: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    (_, transitions, start, end), K = random_scores(2, T, 4), 4
    emissions = size * (torch.randint(3, (2, T, K), generator=generator) - 1.0).double()
    for scores in (transitions, start, end):
        scores.masked_fill_(torch.rand(scores.shape, generator=generator) < 0.4, FORBIDDEN)
    assert_like_the_loop((emissions, transitions, start, end), torch.tensor([T, (T + 1) // 2]))


def test_a_tag_without_a_way_out_may_end_a_short_sentence() -> None:
    out_of = torch.tensor([[0, 1, 0], [0, 0, 0], [0, 0, 1]], dtype=torch.bool)
    transitions = torch.full((3, 3), FORBIDDEN, dtype=torch.float64).masked_fill(out_of, 0.0)
    emissions = torch.zeros(2, 4, 3, dtype=torch.float64)
    emissions[0, :2, 2] = -1000.0  # the first sentence is 0 1, the second 2 2 2 2
    zeros = torch.zeros(3, dtype=torch.float64)
    assert_like_the_loop((emissions, transitions, zeros, zeros), torch.tensor([2, 4]))


def test_a_second_derivative_is_refused_and_not_wrong() -> None:
    scores, lengths = random_scores(1, 3, 2), torch.tensor([3])
    factor = torch.ones((), dtype=torch.float64, requires_grad=True)

    def second_derivative() -> None:
        log_z = linear_chain.log_partition(factor**2 * scores[0], *scores[1:], lengths)
        (first,) = torch.autograd.grad(log_z.sum(), factor, create_graph=True)
        torch.autograd.grad(first, factor)

    with pytest.raises(RuntimeError, match="once"):
        second_derivative()
