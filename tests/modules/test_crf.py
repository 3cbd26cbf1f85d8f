"""The CRF module under the constraints of IOBES, against all its paths."""

import itertools

import pytest
import torch
from chains import taking
from helpers import check
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nerlab.modules.crf import CRF
from nerlab.modules.linear_chain import Spans
from nerlab.schemes import TagError
from nerlab.tags import iobes_constraints, iobes_tags, spans_of

TAGS = iobes_tags(["LOC", "PER"])
K = len(TAGS)


def make_crf() -> CRF:
    torch.manual_seed(0)
    crf = CRF(TAGS, *(torch.from_numpy(allowed) for allowed in iobes_constraints(TAGS)))
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf


def is_legal(path: list[int]) -> bool:
    try:
        check([TAGS[k] for k in path], "iobes")
    except TagError:
        return False
    return True


def every_path(crf: CRF, emissions: Tensor) -> tuple[Tensor, Tensor]:
    """All paths ``(N, T)`` of one sentence ``(T, K)`` and what the loss takes for their
    probabilities."""
    T = len(emissions)
    paths = torch.tensor(list(itertools.product(range(K), repeat=T)))
    copies = emissions.expand(len(paths), T, K)
    nll = crf.nll(copies, torch.full((len(paths),), T), paths)
    return paths, torch.exp(-nll).detach()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**31), st.sampled_from([1.0, 10.0, 100.0]))
def test_decoding_never_yields_a_forbidden_sequence(T: int, seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, T + 1, (8,), generator=generator)
    emissions = scale * torch.randn(8, T, K, generator=generator)
    for path, length in zip(make_crf().decode(emissions, lengths), lengths, strict=True):
        assert is_legal(path[:length].tolist())


@pytest.mark.parametrize("length", [1, 2, 3])
def test_legal_paths_share_all_the_probability_and_others_have_none(length: int) -> None:
    emissions = 3 * torch.randn(length, K, generator=torch.Generator().manual_seed(length))
    paths, probabilities = every_path(make_crf(), emissions)
    legal = torch.tensor([is_legal(path) for path in paths.tolist()])
    torch.testing.assert_close(probabilities[legal].sum(), torch.tensor(1.0))
    assert (probabilities[~legal] == 0.0).all()


def test_decoding_finds_the_most_probable_path_and_marginals_are_shares_of_paths() -> None:
    crf = make_crf()
    emissions = torch.randn(3, K, generator=torch.Generator().manual_seed(0))
    paths, probabilities = every_path(crf, emissions)
    lengths = torch.tensor([3])
    assert torch.equal(crf.decode(emissions[None], lengths)[0], paths[probabilities.argmax()])
    shares = torch.stack(
        [probabilities[paths[:, t] == k].sum() for t in range(3) for k in range(K)]
    )
    found = crf.marginals(emissions[None], lengths)[0].float()
    torch.testing.assert_close(found, shares.view(3, K), rtol=1e-4, atol=1e-6)


def test_probability_of_a_span_is_that_of_all_paths_that_contain_it() -> None:
    crf = make_crf()
    emissions = torch.randn(3, K, generator=torch.Generator().manual_seed(1))
    paths, probabilities = every_path(crf, emissions)
    legal = [path for path in paths.tolist() if is_legal(path)]
    spans_of_path = {tuple(path): set(spans_of([TAGS[k] for k in path])) for path in legal}
    expected, found, asked = [], [], []
    for path in legal:
        marginal, conditional = crf.path_log_probabilities(
            emissions[None], torch.tensor([3]), torch.tensor([path])
        )
        for span in spans_of_path[tuple(path)]:
            inside = conditional[0, span.start + 1 : span.end]
            found.append((marginal[0, span.start] + inside.sum()).exp().item())
            containing = [span in spans_of_path.get(tuple(p), ()) for p in paths.tolist()]
            expected.append(probabilities[torch.tensor(containing)].sum().item())
            asked.append((span, path[span.start : span.end]))
    assert len(set(expected)) == 12  # two labels, six stretches of three tokens
    assert found == pytest.approx(expected, rel=1e-4)

    allowed = torch.zeros(len(asked), 3, K, dtype=torch.bool)
    for n, (_, tags) in enumerate(asked):
        allowed[n, torch.arange(len(tags)), tags] = True
    starts, ends = torch.tensor([(span.start, span.end) for span, _ in asked]).t()
    spans = Spans(torch.zeros(len(asked), dtype=torch.int64), starts, ends - starts, allowed)
    at_once = crf.chain(emissions[None], torch.tensor([3])).span_log_prob(spans)
    assert at_once.exp().tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("way", ["scaled", "log space"])
def test_autocast_changes_nothing(way: str) -> None:
    crf = make_crf()
    short = torch.randn(4, 20, K, generator=torch.Generator().manual_seed(0)).bfloat16()
    lengths, tags = torch.tensor([20, 3, 1, 9]), torch.zeros(4, 20, dtype=torch.int64)

    def quantities(emissions: Tensor) -> list[Tensor]:
        emissions.requires_grad_()
        loss = crf.nll(emissions, lengths, tags)
        gradients = torch.autograd.grad(loss.sum(), [emissions, *crf.parameters()])
        with torch.no_grad():
            best, marginals = crf.decode(emissions, lengths), crf.marginals(emissions, lengths)
            along = crf.path_log_probabilities(emissions, lengths, tags)
            chain = crf.chain(emissions, lengths)
        rest = chain.entropy, chain.expected_moves, *chain.topk(3)
        return [loss.detach(), *gradients, best, marginals, *along, *rest]

    with taking(way), torch.autocast("cpu", dtype=torch.bfloat16):
        found = quantities(short.clone())
    with taking(way):
        expected = quantities(short.float())
    assert found[1].dtype == torch.bfloat16
    expected[1] = expected[1].bfloat16()  # the gradient of the emissions
    for ours, exact in zip(found, expected, strict=True):
        assert ours.dtype == exact.dtype
        assert torch.equal(ours, exact)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_crf_of_any_float_type_is_computed_in_float32_or_better(dtype: torch.dtype) -> None:
    crf = make_crf().to(dtype)
    emissions = torch.randn(3, 5, K, generator=torch.Generator().manual_seed(0)).to(dtype)
    lengths, tags = torch.tensor([5, 3, 1]), torch.zeros(3, 5, dtype=torch.int64)
    loss = crf.nll(emissions, lengths, tags)
    assert loss.dtype == torch.promote_types(dtype, torch.float32)
    loss.sum().backward()
    assert crf.transitions.grad is not None
    assert crf.transitions.grad.dtype == dtype
    exact = make_crf().double()
    exact.load_state_dict(crf.state_dict())
    expected = exact.nll(emissions.double(), lengths, tags)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(crf.decode(emissions, lengths), exact.decode(emissions.double(), lengths))


def test_forbidden_transitions_get_no_gradient_and_allowed_ones_do() -> None:
    crf = make_crf()
    emissions = torch.randn(2, 8, K, generator=torch.Generator().manual_seed(0))
    crf.nll(emissions, torch.tensor([8, 5]), torch.zeros(2, 8, dtype=torch.int64)).sum().backward()
    for parameter, allowed in zip(
        (crf.start_transitions, crf.transitions, crf.end_transitions),
        iobes_constraints(TAGS),
        strict=True,
    ):
        assert parameter.grad is not None
        assert torch.equal(parameter.grad != 0, torch.from_numpy(allowed))


def test_training_raises_the_probability_of_the_gold_path_to_one() -> None:
    crf = make_crf()
    gold = torch.tensor([[TAGS.index(tag) for tag in ("B-PER", "E-PER", "O", "S-LOC")]])
    emissions = torch.zeros(1, 4, K, requires_grad=True)
    optimizer = torch.optim.Adam([emissions, *crf.parameters()], lr=0.5)
    for _ in range(40):
        optimizer.zero_grad()
        nll = crf.nll(emissions, torch.tensor([4]), gold)
        nll.backward()
        optimizer.step()
    assert nll.item() < 0.01
    assert torch.equal(crf.decode(emissions, torch.tensor([4])), gold)


def test_constraints_are_no_part_of_the_weights() -> None:
    names = ["end_transitions", "start_transitions", "transitions"]
    assert sorted(make_crf().state_dict()) == names


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 12), st.integers(0, 2**31))
def test_the_best_paths_are_the_first_of_all(T: int, k: int, seed: int) -> None:
    crf = make_crf()
    emissions = 3 * torch.randn(T, K, generator=torch.Generator().manual_seed(seed))
    paths, probabilities = every_path(crf, emissions)
    expected, order = probabilities.sort(descending=True)
    found, log_p = crf.best_paths(emissions[None], torch.tensor([T]), k)
    assert log_p.shape == (k, 1)
    assert log_p.exp()[: len(paths), 0].tolist() == pytest.approx(expected[:k].tolist(), rel=1e-4)
    possible = int((expected[:k] > 0).sum())
    assert found[:possible, 0].tolist() == paths[order[:possible]].tolist()
    assert log_p[possible:, 0].tolist() == [-torch.inf] * (k - possible)
