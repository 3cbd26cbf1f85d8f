"""A linear layer that a CPU computes at its full speed."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_FEWEST = 2**23  # products; of fewer the copies cost what is won


class Linear(nn.Linear):
    """``x @ weight.T + bias``, which on a CPU with AVX-512 oneDNN computes where it is large.

    By itself torch calls MKL, which knows the AVX-512 of Intel alone: on a processor of AMD oneDNN
    is 1.5 to 2 times as fast, forward and backward, the copies of its input and output counted.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``x (..., in_features)`` to ``(..., out_features)``."""
        if not self._is_for_onednn(x):
            return super().forward(x)
        return F.linear(x.to_mkldnn(), self.weight, self.bias).to_dense()

    def _is_for_onednn(self, x: Tensor) -> bool:
        return (
            not torch.jit.is_tracing()  # type: ignore[attr-defined]  # ONNX has no such tensors
            and x.device.type == "cpu"
            and x.dtype == torch.float32
            and x.shape[:-1].numel() * self.weight.numel() >= _FEWEST
            and torch.backends.cpu.get_cpu_capability() == "AVX512"
            and torch.backends.mkldnn.is_available()
            and not torch.is_autocast_enabled("cpu")
        )
