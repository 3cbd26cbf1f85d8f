"""The kernels that MKL computes functions of vectors with."""

import torch

_VECTOR_FUNCTIONS = (
    *(torch.exp, torch.log, torch.log2, torch.log10, torch.sqrt, torch.tanh, torch.trunc),
    *(torch.sin, torch.cos, torch.tan, torch.asin, torch.acos, torch.atan),
    *(torch.erf, torch.erfc, torch.erfinv),
)


def choose_vector_kernels() -> None:
    """Have MKL choose its kernels of the functions of vectors before two threads ask for one.

    It chooses at the first call of a function. If two threads come at once, as on a busy machine
    they do, MKL 2024.2 (torch 2.13 has it) may give one of them a kernel of half the digits for
    this call: a part of ``exp`` of float64 numbers is then wrong by 1e-8, and a training run has
    other bits than it had the last time. See https://github.com/pytorch/pytorch/issues/188792.
    """
    for dtype in (torch.float32, torch.float64):
        half = torch.full((1,), 0.5, dtype=dtype)
        for function in _VECTOR_FUNCTIONS:
            function(half)
