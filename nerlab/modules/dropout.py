"""Locked dropout."""

import torch
from torch import Tensor, nn


class LockedDropout(nn.Module):
    """Drop the same features at every token of a sentence (Gal and Ghahramani 2016).

    One mask ``(B, 1, D)`` serves a whole sentence: a better regulariser of recurrent networks
    than a mask a token, and far fewer random numbers.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """``x (B, T, D)`` to the same shape; the identity outside training."""
        if not self.training or self.p == 0.0:
            return x
        keep = torch.rand(x.shape[0], 1, x.shape[2], device=x.device) >= self.p
        return x * (keep / (1.0 - self.p)).to(x.dtype)
