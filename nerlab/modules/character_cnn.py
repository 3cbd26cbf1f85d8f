"""Words read through their characters."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


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
        padding = characters == 0
        vectors = self.embedding * _not_first(self.embedding)
        pooled = [self._convolve(characters, padding, vectors, weight) for weight in self.weights]
        return torch.cat(pooled, dim=1) + self.bias

    def _convolve(
        self, characters: Tensor, padding: Tensor, vectors: Tensor, weight: Tensor
    ) -> Tensor:
        U, C = characters.shape
        width, _, filters = weight.shape
        tables = vectors @ weight  # (width, num_characters, filters)
        left = width // 2
        padded = nn.functional.pad(characters, (left, width - 1 - left))
        total = sum(
            nn.functional.embedding(padded[:, k : k + C], tables[k]) for k in range(width)
        )
        assert isinstance(total, Tensor)
        return total.masked_fill(padding[..., None], -torch.inf).amax(1)


def _not_first(rows: Tensor) -> Tensor:
    """1 for every row but the first, padding."""
    return (torch.arange(len(rows), device=rows.device) > 0)[:, None]
