"""The chain against the enumeration of all its paths, in float64.

There are two ways to the sums: scaled recursions on the CPU, log space for the sentences where
those cannot be trusted and on every other device. Whatever holds must hold both ways, and where
a batch is part this and part that.
"""

import importlib
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch_struct
import torchcrf
from chains import NEVER, Scores, every_path, random_scores, taking, with_gradients
from helpers import one_in
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nerlab.modules.linear_chain import FORBIDDEN, LinearChain, Spans, log_space, recursions
from nerlab.tags import iobes_constraints, iobes_tags

WAYS = ["scaled", "log space"]
every_way = pytest.mark.parametrize("way", WAYS)
few = settings(max_examples=25, deadline=None)


@st.composite
def chains(draw: st.DrawFn) -> tuple[Scores, Tensor]:
    """Scores and lengths of a batch; some transitions, starts and ends are forbidden, but not every
    path of a sentence."""
    B, T, K = (draw(st.integers(1, most)) for most in (3, 4, 4))
    lengths = draw(st.lists(st.integers(1, T), min_size=B, max_size=B))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    scale = draw(st.sampled_from([0.1, 1.0, 10.0, 100.0]))
    forbidden = draw(st.sampled_from([0.0, 0.2, 0.5]))

    def scores(*shape: int) -> Tensor:
        return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

    def constrained(*shape: int) -> Tensor:
        excluded = torch.rand(*shape, generator=generator) < forbidden
        excluded.view(-1)[0] = False  # the path of zeros
        return scores(*shape).masked_fill(excluded, NEVER)

    all_scores = scores(B, T, K), constrained(K, K), constrained(K), constrained(K)
    return all_scores, torch.tensor(lengths)


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


def log_partition(*scores_and_lengths: Tensor) -> Tensor:
    return LinearChain(*scores_and_lengths).log_partition


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


def in_float64(scores: Scores) -> Scores:
    """With large negative numbers in place of -inf, which gradients do not survive in a loop."""
    emissions, transitions, start, end = (s.double().clamp(min=-1e30) for s in scores)
    return emissions, transitions, start, end


def assert_like_the_loop(scores: Scores, lengths: Tensor) -> None:
    found = value_and_gradients(log_partition, scores, lengths)
    expected = value_and_gradients(loop_log_partition, in_float64(scores), lengths)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-7)


def disjoint_chains(*differences: float) -> tuple[Scores, Tensor]:
    """Tags 0 and 1 never meet; their emissions differ by these numbers, token by token."""
    other = torch.tensor(differences, dtype=torch.float64)
    emissions = torch.stack([torch.zeros_like(other), other], dim=1)[None]
    transitions = torch.tensor([[0.0, NEVER], [NEVER, 0.0]], dtype=torch.float64)
    zeros = torch.zeros(2, dtype=torch.float64)
    return (emissions, transitions, zeros, zeros), torch.tensor([len(differences)])


@few
@given(chains())
def test_log_partition_sums_over_every_path(chain: tuple[Scores, Tensor]) -> None:
    scores, lengths = chain
    totals = [every_path(scores, b, length)[1] for b, length in enumerate(lengths.tolist())]
    expected = torch.stack([total.logsumexp(0) for total in totals])
    for way in WAYS:
        with taking(way):
            found = LinearChain(*scores, lengths).log_partition
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@few
@given(chains(), st.booleans())
def test_gradients_are_those_of_the_enumeration(
    chain: tuple[Scores, Tensor], with_tags: bool
) -> None:
    tags = torch.zeros(chain[0][0].shape[:2], dtype=torch.int64)

    def quantity(*inputs: Tensor) -> Tensor:
        ours = LinearChain(*inputs)
        return ours.log_prob(tags) if with_tags else ours.log_partition

    def enumerated(e: Tensor, t: Tensor, start: Tensor, end: Tensor, lengths: Tensor) -> Tensor:
        finite = e, t.clamp(min=-1e30), start.clamp(min=-1e30), end.clamp(min=-1e30)
        totals = [every_path(finite, b, n)[1] for b, n in enumerate(lengths.tolist())]
        # The path of zeros comes first.
        return torch.stack([x[0] - x.logsumexp(0) if with_tags else x.logsumexp(0) for x in totals])

    expected = value_and_gradients(enumerated, *chain)
    for way in WAYS:
        with taking(way):
            found = value_and_gradients(quantity, *chain)
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-7)


@few
@given(chains())
def test_marginals_pairs_and_entropy_are_those_of_the_enumeration(
    chain: tuple[Scores, Tensor],
) -> None:
    scores, lengths = chain
    B, T, K = scores[0].shape
    marginals, pairs = torch.zeros_like(scores[0]), scores[0].new_zeros(B, T - 1, K, K)
    entropies = []
    for b, length in enumerate(lengths.tolist()):
        paths, totals = every_path(scores, b, length)
        probabilities = totals.softmax(0)
        entropies.append(torch.special.entr(probabilities).sum())
        for path, probability in zip(paths, probabilities, strict=True):
            marginals[b, torch.arange(length), path] += probability
            pairs[b, torch.arange(length - 1), path[:-1], path[1:]] += probability
    for way in WAYS:
        with taking(way):
            ours = LinearChain(*scores, lengths)
            torch.testing.assert_close(ours.marginals, marginals, rtol=1e-7, atol=1e-7)
            torch.testing.assert_close(ours.pair_marginals, pairs, rtol=1e-7, atol=1e-7)
            torch.testing.assert_close(ours.expected_moves, pairs.sum(1), rtol=1e-7, atol=1e-7)
            torch.testing.assert_close(ours.entropy, torch.stack(entropies), rtol=1e-7, atol=1e-7)


def test_pairs_and_entropy_do_not_depend_on_how_many_steps_are_done_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain = LinearChain(*random_scores(3, 11, 4), torch.tensor([11, 6, 1]))
    whole = chain.pair_marginals, chain.expected_moves, chain.entropy
    monkeypatch.setattr(log_space, "_CHUNK", 100)
    parts = chain.pair_marginals, chain.expected_moves, chain.entropy
    for ours, theirs in zip(parts, whole, strict=True):
        torch.testing.assert_close(ours, theirs)
    with taking("log space"):
        in_parts = value_and_gradients(log_partition, random_scores(3, 11, 4), chain.lengths)
    monkeypatch.undo()
    expected = value_and_gradients(log_partition, random_scores(3, 11, 4), chain.lengths)
    for ours, theirs in zip(in_parts, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@few
@given(chain=chains(), data=st.data())
def test_path_log_probabilities_are_those_of_the_enumeration(
    chain: tuple[Scores, Tensor], data: st.DataObject
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
    for way in WAYS:
        with taking(way):
            found = LinearChain(*scores, lengths).path_log_probabilities(tags)
        for b, length in enumerate(lengths.tolist()):
            for ours, theirs in zip(found, expected[b], strict=True):
                torch.testing.assert_close(ours[b, :length], theirs, rtol=1e-7, atol=1e-7)


@few
@given(chain=chains(), data=st.data())
def test_log_prob_is_that_of_the_path_whatever_stands_beyond_it(
    chain: tuple[Scores, Tensor], data: st.DataObject
) -> None:
    scores, lengths = chain
    B, T, K = scores[0].shape
    rows = st.lists(st.integers(0, K - 1), min_size=T, max_size=T)
    tags = torch.tensor(data.draw(st.lists(rows, min_size=B, max_size=B)))
    beyond = torch.arange(T) >= lengths[:, None]
    expected = torch.zeros(B, dtype=torch.float64)
    for b, length in enumerate(lengths.tolist()):
        paths, totals = every_path(scores, b, length)
        (this,) = (paths == tags[b, :length]).all(1).nonzero()[0]
        expected[b] = totals[this] - totals.logsumexp(0)
    for way in WAYS:
        with taking(way):
            found = LinearChain(*scores, lengths).log_prob(tags.masked_fill(beyond, -100))
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@few
@given(chains(), st.integers(0, 2**31), st.sampled_from([0.3, 0.7]))
def test_log_prob_allowed_sums_over_the_paths_that_an_annotation_admits(
    chain: tuple[Scores, Tensor], seed: int, share: float
) -> None:
    scores, lengths = chain
    generator = torch.Generator().manual_seed(seed)
    allowed = torch.rand(scores[0].shape, generator=generator) < share
    allowed[..., 0] = True
    expected = torch.zeros(len(lengths), dtype=torch.float64)
    for b, length in enumerate(lengths.tolist()):
        paths, totals = every_path(scores, b, length)
        admitted = allowed[b, torch.arange(length), paths].all(1)
        expected[b] = totals[admitted].logsumexp(0) - totals.logsumexp(0)
    for way in WAYS:
        with taking(way):
            found = LinearChain(*scores, lengths).log_prob_allowed(allowed)
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)


@every_way
@pytest.mark.parametrize("T", [1, 2, 9])
def test_an_annotation_that_admits_one_path_is_the_likelihood_of_that_path(
    way: str, T: int
) -> None:
    scores, lengths = random_scores(3, T, 4), torch.tensor([T, (T + 1) // 2, 1])
    tags = torch.randint(4, (3, T), generator=torch.Generator().manual_seed(T))
    allowed = torch.nn.functional.one_hot(tags, 4).bool()
    with taking(way):
        found = value_and_gradients(
            lambda *inputs: LinearChain(*inputs).log_prob_allowed(allowed), scores, lengths
        )
        expected = value_and_gradients(
            lambda *inputs: LinearChain(*inputs).log_prob(tags), scores, lengths
        )
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@few
@given(chains(), st.integers(0, 2**31))
def test_span_log_prob_sums_over_the_paths_that_have_the_span(
    chain: tuple[Scores, Tensor], seed: int
) -> None:
    scores, lengths = chain
    K = len(scores[2])
    spans = [
        (b, start, end)
        for b, length in enumerate(lengths.tolist())
        for start in range(length)
        for end in range(start + 1, length + 1)
    ]
    longest = max(end - start for _, start, end in spans)
    generator = torch.Generator().manual_seed(seed)
    allowed = torch.rand(len(spans), longest, K, generator=generator) < 0.6
    sentences, starts, ends = torch.tensor(spans).t()
    every = [every_path(scores, b, length) for b, length in enumerate(lengths.tolist())]
    expected = torch.zeros(len(spans), dtype=torch.float64)
    for n, (b, start, end) in enumerate(spans):
        paths, totals = every[b]
        inside = allowed[n, torch.arange(end - start), paths[:, start:end]].all(1)
        expected[n] = totals[inside].logsumexp(0) - totals.logsumexp(0)
    for way in WAYS:
        with taking(way):
            found = LinearChain(*scores, lengths).span_log_prob(
                Spans(sentences, starts, ends - starts, allowed)
            )
        torch.testing.assert_close(found.exp(), expected.exp(), rtol=1e-7, atol=1e-9)
        assert (found[expected == NEVER] == NEVER).all()


@few
@given(chain=chains(), k=st.integers(1, 12))
def test_the_k_best_paths_are_those_of_the_enumeration_in_order(
    chain: tuple[Scores, Tensor], k: int
) -> None:
    scores, lengths = chain
    paths, found = LinearChain(*scores, lengths).topk(k)
    for b, length in enumerate(lengths.tolist()):
        every, totals = every_path(scores, b, length)
        best = totals.sort(descending=True).values[:k]
        possible = int((best > NEVER).sum())
        torch.testing.assert_close(found[:possible, b], best[:possible], rtol=1e-9, atol=1e-9)
        assert (found[possible:, b] == NEVER).all()
        these = [(every == path).all(1).nonzero().item() for path in paths[:possible, b, :length]]
        torch.testing.assert_close(totals[these], found[:possible, b], rtol=1e-9, atol=1e-9)
        assert len(set(these)) == possible
        assert not paths[:, b, length:].any()
        assert not paths[possible:, b].any()


@pytest.mark.parametrize("k", [1, 3, 27, 40])
def test_paths_of_equal_scores_are_all_found_and_none_twice(k: int) -> None:
    zeros = torch.zeros(2, 3, 3), torch.zeros(3, 3), torch.zeros(3), torch.zeros(3)
    paths, scores = LinearChain(*zeros, torch.tensor([3, 2])).topk(k)
    for b, count in ((0, 27), (1, 9)):
        found = {tuple(path) for path in paths[:count, b].tolist()}
        assert len(found) == min(k, count)
        assert scores[:, b].tolist() == [0.0] * min(k, count) + [NEVER] * max(0, k - count)


@few
@given(chain=chains())
def test_argmax_finds_the_best_of_every_path_and_0_beyond_it(
    chain: tuple[Scores, Tensor],
) -> None:
    scores, lengths = chain
    ours = LinearChain(*scores, lengths)
    found = ours.argmax
    for b, length in enumerate(lengths.tolist()):
        paths, totals = every_path(scores, b, length)
        (this,) = (paths == found[b, :length]).all(1).nonzero()[0]
        torch.testing.assert_close(totals[this], totals.max(), rtol=0.0, atol=1e-9)
        torch.testing.assert_close(ours.max[b], totals.max())
        assert not found[b, length:].any()


@pytest.mark.parametrize("T", [1, 2, 3, 31, 32, 33, 63, 64, 65, 200])
@pytest.mark.parametrize(("B", "K"), [(2, 5), (7, 3)])
def test_the_best_of_the_k_best_is_the_best_path_of_any_length(B: int, T: int, K: int) -> None:
    lengths = torch.randint(1, T + 1, (B,), generator=torch.Generator().manual_seed(T))
    chain = LinearChain(*random_scores(B, T, K), lengths)
    paths, scores = chain.topk(3)
    assert torch.equal(paths[0], chain.argmax)
    torch.testing.assert_close(scores[0], chain.max)
    torch.testing.assert_close(chain.log_prob(paths[1]), scores[1] - chain.log_partition)


@every_way
def test_samples_are_as_frequent_as_paths_are_probable(way: str) -> None:
    torch.manual_seed(0)
    emissions, transitions, start, end = random_scores(2, 3, 3)
    transitions[0, 1] = start[2] = NEVER
    scores, lengths, n = (emissions, transitions, start, end), torch.tensor([3, 2]), 100_000
    with taking(way):
        samples = LinearChain(*scores, lengths).sample(n)
    assert samples.shape == (n, 2, 3)
    assert not samples[:, 1, 2].any()
    for b, length in enumerate(lengths.tolist()):
        paths, totals = every_path(scores, b, length)
        probabilities = totals.softmax(0)
        drawn = (samples[:, b, None, :length] == paths).all(2)
        deviation = (probabilities * (1 - probabilities) / n).sqrt()
        assert ((drawn.double().mean(0) - probabilities).abs() <= 4.5 * deviation + 1e-12).all()


@every_way
def test_marginals_and_expected_moves_are_the_gradient_of_log_partition(way: str) -> None:
    scores, lengths = random_scores(3, 4, 3), torch.tensor([4, 2, 1])
    inputs = with_gradients(scores)
    with taking(way):
        log_z = LinearChain(*inputs, lengths).log_partition
        emissions, transitions, start, end = torch.autograd.grad(log_z.sum(), inputs)
        ours = LinearChain(*scores, lengths)
        marginals, counts = ours.marginals, ours.expected_moves
    torch.testing.assert_close(emissions, marginals)
    torch.testing.assert_close(transitions, counts.sum(0))
    torch.testing.assert_close(start, marginals[:, 0].sum(0))
    torch.testing.assert_close(end, marginals[0, 3] + marginals[1, 1] + marginals[2, 0])


_DIFFERENTIABLE: dict[str, Callable[[LinearChain, Tensor], Tensor]] = {
    "log_partition": lambda chain, tags: chain.log_partition,
    "log_prob": lambda chain, tags: chain.log_prob(tags),
    "marginals": lambda chain, tags: chain.marginals,
    "pair_marginals": lambda chain, tags: chain.pair_marginals,
    "entropy": lambda chain, tags: chain.entropy,
    "max": lambda chain, tags: chain.max,
    "topk": lambda chain, tags: chain.topk(min(2, chain.emissions.shape[2]))[1],
    "log_prob_allowed": lambda chain, tags: chain.log_prob_allowed(
        torch.nn.functional.one_hot(tags, chain.emissions.shape[2]).bool().cummax(2).values
    ),
    "span_log_prob": lambda chain, tags: chain.span_log_prob(
        Spans(
            sentences=torch.arange(len(tags)),
            starts=torch.zeros(len(tags), dtype=torch.int64),
            lengths=chain.lengths,
            allowed=torch.nn.functional.one_hot(tags, chain.emissions.shape[2]).bool(),
        )
    ),
}


@pytest.mark.parametrize(("T", "K"), [(3, 2), *one_in(4, [(1, 1), (5, 3), (1, 3), (4, 1)])])
@pytest.mark.parametrize("name", _DIFFERENTIABLE)
def test_gradients_agree_with_finite_differences(T: int, K: int, name: str) -> None:
    inputs = with_gradients(random_scores(3, T, K))
    lengths = torch.tensor([(T + 1) // 2, T, 1])
    tags = torch.arange(3 * T).view(3, T) % K

    def quantity(e: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
        return _DIFFERENTIABLE[name](LinearChain(e, transitions, start, end, lengths), tags)

    assert torch.autograd.gradcheck(quantity, inputs)
    if name.startswith("log_p"):
        assert torch.autograd.gradgradcheck(quantity, inputs)


def reference_crf(scores: Scores) -> torchcrf.CRF:
    baseline = torchcrf.CRF(len(scores[2]), batch_first=True).double()
    for name, values in zip(("", "start_", "end_"), scores[1:], strict=True):
        getattr(baseline, f"{name}transitions").data.copy_(values)
    return baseline


@every_way
@pytest.mark.parametrize("T", [1, 2, 12, 60])
def test_loss_gradients_and_best_path_are_those_of_pytorch_crf(way: str, T: int) -> None:
    B, K = 5, 7
    scores = random_scores(B, T, K)
    generator = torch.Generator().manual_seed(T)
    lengths = torch.randint(1, T + 1, (B,), generator=generator)
    lengths[0] = T
    tags = torch.randint(K, (B, T), generator=generator)
    mask = torch.arange(T) < lengths[:, None]
    baseline = reference_crf(scores)

    inputs = with_gradients(scores)
    with taking(way):
        nll = -LinearChain(*inputs, lengths).log_prob(tags)
        found = torch.autograd.grad(nll.sum(), inputs, materialize_grads=True)
    emissions = scores[0].clone().requires_grad_()
    expected_nll = -baseline(emissions, tags, mask, reduction="none")
    expected = torch.autograd.grad(
        expected_nll.sum(),
        [emissions, baseline.transitions, baseline.start_transitions, baseline.end_transitions],
        materialize_grads=True,
    )
    torch.testing.assert_close(nll, expected_nll)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    best = LinearChain(*scores, lengths).argmax
    assert [p[:n].tolist() for p, n in zip(best, lengths, strict=True)] == baseline.decode(
        scores[0], mask
    )


@pytest.mark.filterwarnings("ignore:.*arg_constraints")
@every_way
def test_quantities_are_those_of_torch_struct(way: str) -> None:
    B, T, K = 3, 6, 4
    scores, lengths = random_scores(B, T, K), torch.tensor([6, 4, 2])
    inputs = with_gradients(scores)

    def potentials(e: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """``(B, T - 1, to, from)``; the first holds the first token, the last the end."""
        edges = transitions.t() + e[:, 1:, :, None]
        first = torch.arange(T - 1) == 0
        last = torch.arange(T - 1) == lengths[:, None] - 2  # (B, T - 1)
        edges = edges + first[:, None, None] * (start + e[:, 0])[:, None, None, :]
        return edges + last[..., None, None] * end[:, None]

    theirs = torch_struct.LinearChainCRF(potentials(*inputs), lengths=lengths)
    with taking(way):
        ours = LinearChain(*inputs, lengths)
        torch.testing.assert_close(ours.log_partition, theirs.partition)
        torch.testing.assert_close(ours.entropy, theirs.entropy)
        torch.testing.assert_close(
            ours.pair_marginals, theirs.marginals.transpose(2, 3), rtol=1e-6, atol=1e-9
        )
        found = torch.autograd.grad(ours.log_partition.sum(), inputs)
        expected = torch.autograd.grad(theirs.partition.sum(), inputs)
        for mine, yours in zip(found, expected, strict=True):
            torch.testing.assert_close(mine, yours)
    torch.testing.assert_close(ours.max, theirs.max)
    for b, n in enumerate(lengths.tolist()):
        edges = theirs.argmax[b, : n - 1].nonzero()  # [t, to, from]
        path = [int(edges[0, 2]), *edges[:, 1].tolist()]
        assert ours.argmax[b, :n].tolist() == path


@every_way
@pytest.mark.parametrize("filling", [1e4, -1e4, float("nan")])
def test_what_stands_in_the_padding_changes_nothing(way: str, filling: float) -> None:
    scores, lengths = random_scores(3, 6, 4), torch.tensor([6, 3, 1])
    padding = torch.arange(6) >= lengths[:, None]
    emissions, transitions, start, end = scores
    filled = emissions.masked_fill(padding[..., None], filling), transitions, start, end
    tags = torch.randint(4, (3, 6), generator=torch.Generator().manual_seed(0))

    def log_prob(*inputs: Tensor) -> Tensor:
        return LinearChain(*inputs).log_prob(tags)

    with taking(way):
        found = value_and_gradients(log_prob, filled, lengths)
        expected = value_and_gradients(log_prob, scores, lengths)
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs)
        odd, plain = LinearChain(*filled, lengths), LinearChain(*scores, lengths)
        torch.testing.assert_close(odd.marginals, plain.marginals)
        torch.testing.assert_close(odd.pair_marginals, plain.pair_marginals)
        torch.testing.assert_close(odd.entropy, plain.entropy)
    assert torch.equal(odd.argmax, plain.argmax)
    assert torch.equal(odd.topk(5)[0], plain.topk(5)[0])


@every_way
def test_a_sentence_alone_has_the_sums_it_has_in_a_batch(way: str) -> None:
    scores, lengths = random_scores(4, 7, 5), torch.tensor([2, 7, 1, 5])
    with taking(way):
        together = LinearChain(*scores, lengths)
        for b, n in enumerate(lengths.tolist()):
            alone = LinearChain(scores[0][b : b + 1, :n], *scores[1:], lengths[b : b + 1])
            torch.testing.assert_close(alone.log_partition[0], together.log_partition[b])
            torch.testing.assert_close(alone.marginals[0], together.marginals[b, :n])
            torch.testing.assert_close(alone.entropy[0], together.entropy[b])
            assert torch.equal(alone.argmax[0], together.argmax[b, :n])


@every_way
def test_the_gradient_may_be_asked_for_twice_and_after_other_quantities(way: str) -> None:
    inputs = with_gradients(random_scores(3, 12, 4))
    with taking(way):
        chain = LinearChain(*inputs, torch.tensor([12, 3, 7]))
        total = chain.log_partition.sum()
        first = torch.autograd.grad(total, inputs, retain_graph=True)
        with torch.no_grad():
            marginals = chain.marginals
        second = torch.autograd.grad(total, inputs)
    torch.testing.assert_close(first[0], marginals)
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


@every_way
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_short_floats_are_summed_in_float32_and_get_gradients_of_their_own_type(
    way: str, dtype: torch.dtype
) -> None:
    emissions, transitions, start, end = random_scores(4, 50, 5, torch.float32)
    scores = emissions.to(dtype), transitions, start, end
    lengths = torch.tensor([50, 1, 20, 33])
    exact = scores[0].double(), transitions.double(), start.double(), end.double()
    with taking(way):
        found = value_and_gradients(log_partition, scores, lengths)
    expected = value_and_gradients(loop_log_partition, exact, lengths)
    assert [f.dtype for f in found] == [torch.float32, dtype, *[torch.float32] * 3]
    torch.testing.assert_close(found[0].double(), expected[0], rtol=1e-6, atol=1e-4)
    rounding = torch.finfo(dtype).eps
    for ours, theirs in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=rounding, atol=1e-4)
    short, exactly = LinearChain(*scores, lengths), LinearChain(*exact, lengths)
    for name in ("marginals", "pair_marginals", "expected_moves", "entropy", "max"):
        assert getattr(short, name).dtype == torch.float32
        torch.testing.assert_close(
            getattr(short, name).double(), getattr(exactly, name), rtol=1e-4, atol=1e-4
        )
    assert torch.equal(short.argmax, exactly.argmax)


@pytest.mark.parametrize("B", [0, 1])
@pytest.mark.parametrize(("T", "K"), [(1, 1), (1, 4), (5, 1), (5, 4)])
def test_every_quantity_has_its_shape_for_the_smallest_batches(B: int, T: int, K: int) -> None:
    inputs = with_gradients(random_scores(B, T, K))
    lengths, tags = torch.full((B,), T), torch.zeros(B, T, dtype=torch.int64)
    chain = LinearChain(*inputs, lengths)
    allowed = torch.ones(B, T, K, dtype=torch.bool)
    spans = Spans(torch.arange(B), torch.zeros(B, dtype=torch.int64), lengths, allowed)
    for vector in (
        chain.log_partition,
        chain.log_prob(tags),
        chain.log_prob_allowed(allowed),
        chain.entropy,
        chain.max,
        chain.span_log_prob(spans),
    ):
        assert vector.shape == (B,)
        torch.autograd.grad(vector.sum(), inputs, retain_graph=True, materialize_grads=True)
    assert chain.marginals.shape == (B, T, K)
    assert chain.pair_marginals.shape == (B, T - 1, K, K)
    assert chain.expected_moves.shape == (B, K, K)
    assert chain.argmax.shape == (B, T)
    assert [x.shape for x in chain.topk(3)] == [(3, B, T), (3, B)]
    assert chain.sample(2).shape == (2, B, T)


def impossible() -> LinearChain:
    """No sentence has a path: tag 0 begins it and 1 ends it, and no transition leads there."""
    emissions, transitions, start, end = random_scores(3, 4, 2)
    transitions[0, 1], start[1], end[0] = NEVER, NEVER, NEVER
    transitions[1, 1] = transitions[1, 0] = 0.0
    return LinearChain(emissions, transitions, start, end, torch.tensor([1, 4, 1]))


@pytest.mark.parametrize(
    "quantity",
    [
        lambda chain: chain.log_partition,
        lambda chain: chain.log_prob(torch.zeros(3, 4, dtype=torch.int64)),
        lambda chain: chain.log_prob_allowed(torch.ones(3, 4, 2, dtype=torch.bool)),
        lambda chain: chain.marginals,
        lambda chain: chain.entropy,
        lambda chain: chain.sample(2),
        lambda chain: chain.argmax,
        lambda chain: chain.max,
        lambda chain: chain.topk(2),
    ],
)
def test_a_sentence_without_a_path_is_named(quantity: Callable[[LinearChain], object]) -> None:
    chain = impossible()
    with pytest.raises(ValueError, match="sentence 0 of the batch: every path is forbidden"):
        quantity(chain)


def test_an_annotation_without_a_path_is_named() -> None:
    chain = LinearChain(*random_scores(3, 4, 2), torch.tensor([4, 4, 2]))
    allowed = torch.ones(3, 4, 2, dtype=torch.bool)
    allowed[2, 2:] = False  # padding
    chain.log_prob_allowed(allowed)
    allowed[1, 2] = False
    with pytest.raises(ValueError, match="sentence 1 of the batch"):
        chain.log_prob_allowed(allowed)


def test_a_forbidden_path_has_a_log_probability_of_minus_infinity() -> None:
    emissions, transitions, start, end = random_scores(1, 4, 2)
    transitions[0, 1] = NEVER
    chain = LinearChain(emissions, transitions, start, end, torch.tensor([4]))
    assert chain.log_prob(torch.tensor([[0, 0, 1, 1]])).item() == NEVER
    assert chain.log_prob(torch.tensor([[1, 0, 0, 0]])).item() > NEVER


def test_scores_that_do_not_fit_together_are_refused_in_one_line() -> None:
    emissions, transitions, start, end = random_scores(2, 4, 3)
    lengths = torch.tensor([4, 2])
    with pytest.raises(
        ValueError, match=r"^expected .* transitions \(K, K\), .*found \[\(2, 4, 3\), \(3, 2\)"
    ):
        LinearChain(emissions, transitions[:, :2], start, end, lengths)
    with pytest.raises(ValueError, match=r"^expected .* end \(K,\), .*\(1, 3\), \(2,\)\]$"):
        LinearChain(emissions, transitions, start, end[None], lengths)
    for bad in (0, 5):
        with pytest.raises(
            ValueError, match=rf"^lengths\[1\]: expected 1 to 4 tokens, found {bad}"
        ):
            LinearChain(emissions, transitions, start, end, torch.tensor([4, bad]))


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_ordinary_scores_take_the_scaled_way(scale: float) -> None:
    emissions, transitions, start, end = random_scores(4, 200, 9)
    transitions[0, 1:4] = start[2:4] = end[1] = FORBIDDEN
    lengths = torch.tensor([200, 120, 30, 1])
    chain = LinearChain(scale * emissions, transitions, start, end, lengths)
    assert isinstance(chain.messages, recursions.Scaled)


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
    chain = LinearChain(*scores, lengths)
    torch.testing.assert_close(chain.log_partition[0], chains_alone.logsumexp(0))
    marginals = chain.marginals[0]
    torch.testing.assert_close(marginals, chains_alone.softmax(0).expand_as(marginals))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-6, 6), min_size=1, max_size=40),
    st.sampled_from([5.0, 20.0, 50.0, 200.0, 700.0]),
)
def test_tags_that_never_meet_may_drift_in_any_way(drift: list[int], scale: float) -> None:
    assert_like_the_loop(*disjoint_chains(*(scale * step for step in drift)))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(0, 2**31), st.sampled_from([30.0, 300.0, 3e3, 1e4]))
def test_huge_emissions_under_forbidden_transitions_are_summed_rightly(
    T: int, seed: int, size: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    (_, transitions, start, end), K = random_scores(2, T, 4), 4
    emissions = size * (torch.randint(3, (2, T, K), generator=generator) - 1.0).double()
    for scores in (transitions, start, end):
        excluded = torch.rand(scores.shape, generator=generator) < 0.4
        excluded.view(-1)[0] = False
        scores.masked_fill_(excluded, NEVER)
    assert_like_the_loop((emissions, transitions, start, end), torch.tensor([T, (T + 1) // 2]))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(0, 2**31), st.sampled_from([100.0, 500.0, 1e3]))
def test_transitions_in_the_hundreds_are_summed_rightly(T: int, seed: int, size: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    emissions, transitions, start, end = random_scores(2, T, 4)
    transitions = size * torch.randn(4, 4, generator=generator, dtype=torch.float64)
    start = size * torch.randn(4, generator=generator, dtype=torch.float64)
    assert_like_the_loop((emissions, transitions, start, end), torch.tensor([T, (T + 1) // 2]))


def test_a_tag_without_a_way_out_may_end_a_short_sentence() -> None:
    out_of = torch.tensor([[0, 1, 0], [0, 0, 0], [0, 0, 1]], dtype=torch.bool)
    transitions = torch.full((3, 3), NEVER, dtype=torch.float64).masked_fill(out_of, 0.0)
    emissions = torch.zeros(2, 40, 3, dtype=torch.float64)
    emissions[0, :2, 2] = -1000.0  # the first sentence is 0 1, the second 2 2 2 ...
    zeros = torch.zeros(3, dtype=torch.float64)
    assert_like_the_loop((emissions, transitions, zeros, zeros), torch.tensor([2, 40]))


_SIZES_AND_SCALES = [
    *itertools.product([40], [4], [1.0, 30.0, 1e3, 1e4]),
    *itertools.product([100], [32], [1.0, 1e3]),
    *itertools.product([1024], [4], [1.0, 1e4]),
    *(
        pytest.param(T, num_labels, scale, marks=pytest.mark.long)
        for T, num_labels in ((300, 32), (4096, 4), (4096, 32))
        for scale in (1.0, 30.0, 1e3, 1e4)
    ),
]


@pytest.mark.parametrize(("T", "num_labels", "scale"), _SIZES_AND_SCALES)
def test_float32_is_as_exact_as_it_can_be_under_the_constraints_of_iobes(
    T: int, num_labels: int, scale: float
) -> None:
    """Against the recursion in log space and float64; up to 4,096 tokens and 129 tags."""
    allowed = iobes_constraints(iobes_tags([f"L{i}" for i in range(num_labels)]))
    K = 1 + 4 * num_labels
    emissions, transitions, start, end = random_scores(1, T, K, torch.float32)
    start, transitions, end = (
        scores.masked_fill(~torch.from_numpy(mask), NEVER)
        for scores, mask in zip((start, transitions, end), allowed, strict=True)
    )
    scores: Scores = scale * emissions, transitions, start, end
    lengths = torch.tensor([T])
    found = value_and_gradients(log_partition, scores, lengths)
    exact = in_float64(scores)
    expected = value_and_gradients(loop_log_partition, exact, lengths)
    torch.testing.assert_close(found[0].double(), expected[0], rtol=1e-6, atol=0.0)
    # The gradients of the transitions are sums over T tokens.
    for ours, theirs, size in zip(found[1:], expected[1:], (1, T, 1, 1), strict=True):
        torch.testing.assert_close(ours.double() / size, theirs / size, rtol=1e-6, atol=1e-6)
    chain = LinearChain(*scores, lengths)
    best, exact_best = chain.argmax, LinearChain(*exact, lengths)
    torch.testing.assert_close(
        exact_best.log_prob(best), exact_best.max - exact_best.log_partition, rtol=1e-6, atol=1e-3
    )


def test_a_copy_of_the_folder_works_without_nerlab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(Path(recursions.__file__).parent, tmp_path / "copied_chain")
    assert not any("nerlab" in file.read_text(encoding="utf-8") for file in copy.glob("*.py"))
    monkeypatch.syspath_prepend(tmp_path)
    copied = importlib.import_module("copied_chain")
    scores, lengths = random_scores(2, 4, 3), torch.tensor([4, 2])
    found = copied.LinearChain(*scores, lengths).log_partition
    assert torch.equal(found, LinearChain(*scores, lengths).log_partition)
