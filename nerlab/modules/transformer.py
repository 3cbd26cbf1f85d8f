"""A small transformer encoder with rotary positions."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Transformer(nn.Module):
    """Pre-norm transformer layers (Vaswani et al. 2017; Xiong et al. 2020).

    Queries and keys are rotated by their position (Su et al. 2021), so attention sees distances
    alone and there is no longest sentence.

    Args:
        input_dim: width of the input, which is projected to ``hidden_dim``.
        hidden_dim: width inside and of the output.
        layers: how many.
        heads: attention heads; each must have an even width.
        feedforward_dim: width of the hidden layer of each feed-forward block.
        dropout: on the output of each block.
    """

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int,
        layers: int,
        heads: int,
        feedforward_dim: int,
        dropout: float,
    ) -> None:
        super().__init__()
        if hidden_dim % (2 * heads):
            raise ValueError(
                f"model.encoder.hidden_dim: expected a multiple of 2 * heads = {2 * heads}, "
                f"found {hidden_dim}; change one of the two"
            )
        self.head_dim = hidden_dim // heads
        self.project = nn.Linear(input_dim, hidden_dim)
        self.layers = nn.ModuleList(
            _Layer(hidden_dim, heads, feedforward_dim, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(hidden_dim)
        self.output_dim = hidden_dim

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """``x (B, T, input_dim)`` to ``(B, T, output_dim)``; rows beyond a length mean nothing."""
        T = x.shape[1]
        mask = torch.arange(T, device=x.device) < lengths[:, None]
        x = self.project(x)
        rotation = _rotation(T, self.head_dim, x.device)
        for layer in self.layers:
            x = layer(x, mask[:, None, None, :], rotation)
        return self.norm(x)


class _Layer(nn.Module):
    def __init__(self, dim: int, heads: int, feedforward_dim: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, dim // heads
        self.attention_norm = nn.LayerNorm(dim)
        self.queries_keys_values = nn.Linear(dim, 3 * dim)
        self.attention_output = nn.Linear(dim, dim)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, feedforward_dim),
            nn.GELU(),
            nn.Linear(feedforward_dim, dim),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.dropout(self._attend(self.attention_norm(x), mask, rotation))
        return x + self.dropout(self.feedforward(x))

    def _attend(self, x: Tensor, mask: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        B, T, D = x.shape
        split = self.queries_keys_values(x).view(B, T, 3, self.heads, self.head_dim)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)  # (B, heads, T, head_dim) each
        mixed = F.scaled_dot_product_attention(
            _rotate(queries, rotation), _rotate(keys, rotation), values, attn_mask=mask
        )
        return self.attention_output(mixed.transpose(1, 2).reshape(B, T, D))


def _rotation(T: int, head_dim: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine ``(T, head_dim / 2)`` of the angles ``t / 10000^(2i / head_dim)``."""
    frequencies = 10_000.0 ** (-torch.arange(0, head_dim, 2, device=device) / head_dim)
    angles = torch.arange(T, device=device)[:, None] * frequencies
    return angles.cos(), angles.sin()


def _rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    cosine, sine = (part.to(x.dtype) for part in rotation)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
