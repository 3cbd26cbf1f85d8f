"""A linear layer that a CPU computes at its full speed."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_FEWEST = 2**23  # products; of fewer the copies cost what is won
# oneDNN compiles for each number of rows anew and keeps the last 1,024 programs. With rows padded
# to a multiple of this, training a small transformer takes 600 MB, not 900.
_MULTIPLE = 64


class Linear(nn.Linear):
    """``x @ weight.T + bias``, which on a CPU with AVX-512 oneDNN computes where it is large.

    By itself torch calls MKL, which knows the AVX-512 of Intel alone: on a processor of AMD oneDNN
    is 1.5 to 2 times as fast, forward and backward, the copies of its input and output counted.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``x (..., in_features)`` to ``(..., out_features)``."""
        if not self._is_for_onednn(x):
            return super().forward(x)
        rows = x.shape[:-1].numel()
        padded = F.pad(x.reshape(rows, self.in_features), (0, 0, 0, -rows % _MULTIPLE))
        y = F.linear(padded.to_mkldnn(), self.weight, self.bias).to_dense()
        return y[:rows].view(*x.shape[:-1], self.out_features)

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
