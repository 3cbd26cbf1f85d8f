"""A context: each token sees what stands around the same word elsewhere in the batch."""

import torch
from torch import Tensor, nn

from nerlab.data.batch import Batch


class Fellows(nn.Module):
    """``[x_t ; mean of (x_{s-1} + x_{s+1}) over the tokens s that are the same word as t]``."""

    takes_batch = True

    def __init__(self, input_dim: int) -> None:
        super().__init__()
        self.output_dim = 2 * input_dim

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        """``x (B, T, D)`` to ``(B, T, 2 D)``."""
        inside = torch.arange(x.shape[1], device=x.device) < batch.lengths[:, None]
        x = x * inside[..., None]
        around = nn.functional.pad(x, (0, 0, 1, 1))
        around = around[:, :-2] + around[:, 2:]
        words = batch.token_index[inside]
        sums = x.new_zeros(len(batch.distinct), x.shape[2]).index_add(0, words, around[inside])
        means = sums / torch.bincount(words, minlength=len(sums))[:, None]  # (U, D)
        return torch.cat([x, means[batch.token_index]], dim=2)
