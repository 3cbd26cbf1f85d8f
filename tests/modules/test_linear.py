"""The linear layer that oneDNN computes, against torch's own."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nerlab.modules.linear import Linear

LARGE, SMALL = (3, 40, 256), (2, 3, 256)  # of the input; the large one is for oneDNN
OUTPUT = 300


def make(dtype: torch.dtype = torch.float32) -> tuple[Linear, nn.Linear]:
    """Ours, and torch's with the same weights."""
    torch.manual_seed(0)
    ours, baseline = Linear(LARGE[-1], OUTPUT).to(dtype), nn.Linear(LARGE[-1], OUTPUT).to(dtype)
    baseline.load_state_dict(ours.state_dict())
    return ours, baseline


def with_gradients(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """Output and gradients of a layer at x."""
    x = x.clone().requires_grad_()
    output = layer(x)
    weights = torch.linspace(-1.0, 1.0, output.numel(), dtype=x.dtype).view_as(output)
    gradients = torch.autograd.grad((output * weights).sum(), (x, *layer.parameters()))
    return [output.detach(), *gradients]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [LARGE, SMALL, (200, 256), (0, 5, 256)])
def test_output_and_gradients_are_those_of_torch(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    ours, baseline = make(dtype)
    x = torch.randn(shape, dtype=dtype)
    for mine, theirs in zip(with_gradients(ours, x), with_gradients(baseline, x), strict=True):
        assert mine.layout is torch.strided
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_rows_that_are_not_contiguous_are_computed_too() -> None:
    ours, baseline = make()
    x = torch.randn(40, 3, 256).transpose(0, 1)
    torch.testing.assert_close(ours(x), baseline(x), rtol=1e-4, atol=1e-5)


def test_what_is_large_is_computed_by_onednn_where_that_is_the_faster() -> None:
    ours, x = make()[0], torch.randn(LARGE)
    with torch.profiler.profile() as profile:
        ours(x)
    names = {event.name for event in profile.events()}
    is_there = torch.backends.cpu.get_cpu_capability() == "AVX512"
    assert ("aten::mkldnn_linear" in names) == (is_there and torch.backends.mkldnn.is_available())


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_autocast_and_tracing_have_the_operations_of_torch() -> None:
    ours, baseline = make()
    x = torch.randn(LARGE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ours(x).dtype is torch.bfloat16
        assert torch.equal(ours(x), baseline(x))
    graph = str(torch.jit.trace(ours, x).inlined_graph)
    assert "aten::linear" in graph
    assert "mkldnn" not in graph


def test_gradients_are_the_same_when_computed_again_from_a_checkpoint() -> None:
    ours, _ = make()
    x = torch.randn(LARGE)

    class Again(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = ours

        def forward(self, x: Tensor) -> Tensor:
            output = checkpoint(self.layer, x, use_reentrant=False)
            assert isinstance(output, Tensor)
            return output

    for once, again in zip(with_gradients(ours, x), with_gradients(Again(), x), strict=True):
        assert torch.equal(once, again)
