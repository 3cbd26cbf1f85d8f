"""Tensor modules that need torch alone; any file can be copied elsewhere."""

import torch

# Have MKL choose its kernels of the functions of vectors before two threads ask for one. It
# chooses at the first call of a function. If two threads come at once, as on a busy machine they
# do, MKL 2024.2 (torch 2.13 has it) may give one of them a kernel of half the digits for this
# call: a part of ``exp`` of float64 numbers is then wrong by 1e-8, and a training run has other
# bits than it had the last time. See https://github.com/pytorch/pytorch/issues/188792.
for _half in (torch.full((1,), 0.5), torch.full((1,), 0.5, dtype=torch.float64)):
    for _function in (
        *(torch.exp, torch.log, torch.log2, torch.log10, torch.sqrt, torch.tanh, torch.trunc),
        *(torch.sin, torch.cos, torch.tan, torch.asin, torch.acos, torch.atan),
        *(torch.erf, torch.erfc, torch.erfinv),
    ):
        _function(_half)
