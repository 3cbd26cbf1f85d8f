"""Words read through their characters."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CharacterCNN(nn.Module):
    """Convolve the characters of a word and keep the largest value of each filter.

    For a filter of width w, with character vectors e (0 outside the word) and
    ``p = 0 … n - 1`` over the n characters of the word (Santos and Zadrozny 2014):

        h = max_p ( b + Σ_{k<w} W_k e_{p + k - ⌊w/2⌋} )

    There are a hundred distinct characters and thousands in a batch, so ``W_k e`` is computed
    once a distinct character, and the convolution becomes a sum of w looked-up rows.

    Args:
        num_characters: how many ids there are; id 0 is padding.
        embedding_dim: width of the character vectors.
        filters: how many filters of each width.
        widths: the filter widths.
    """

    def __init__(
        self, num_characters: int, embedding_dim: int, filters: int, widths: Sequence[int]
    ) -> None:
        super().__init__()
        bound = math.sqrt(3.0 / embedding_dim)
        self.embedding = nn.Parameter(
            torch.empty(num_characters, embedding_dim).uniform_(-bound, bound)
        )
        self.weights = nn.ParameterList(
            nn.init.xavier_uniform_(torch.empty(width * embedding_dim, filters)).view(
                width, embedding_dim, filters
            )
            for width in widths
        )
        self.bias = nn.Parameter(torch.zeros(len(widths) * filters))
        self.output_dim = len(widths) * filters

    def forward(self, characters: Tensor) -> Tensor:
        """``characters (U, C)``, 0 padded, to ``(U, output_dim)``."""
        inside = torch.arange(len(self.embedding), device=characters.device) > 0
        vectors = self.embedding * inside[:, None]  # padding is zero
        pooled = [_convolve_and_pool(characters, vectors @ weight) for weight in self.weights]
        return torch.cat(pooled, dim=1) + self.bias


def _convolve_and_pool(characters: Tensor, tables: Tensor) -> Tensor:
    """The largest ``Σ_k tables[k, characters[p + k - ⌊w/2⌋]]`` over the positions p of each word.

    Args:
        characters: ``(U, C)``, 0 padded.
        tables: ``(w, num_characters, F)``.

    Returns:
        ``(U, F)``. Where gradients are wanted, the place of each maximum is found first, without
        a graph; the rows that meet there are then looked up once more, with one. So the backward
        pass has U F sums to follow in place of U C F.
    """
    C = characters.shape[1]
    width = len(tables)
    left = width // 2
    padded = F.pad(characters, (left, width - 1 - left))
    with torch.no_grad():
        masked = tables.clone()
        masked[left, 0] = -torch.inf  # no maximum lies on padding
        scores = F.embedding(padded[:, :C], masked[0])  # (U, C, F)
        for k in range(1, width):
            scores += F.embedding(padded[:, k : k + C], masked[k])
    if not torch.is_grad_enabled():
        return scores.amax(1)
    place = scores.max(1).indices  # (U, F); arg max alone is four times slower
    rows = torch.stack([padded.gather(1, place + k) for k in range(width)])
    return tables.gather(1, rows).sum(0)
