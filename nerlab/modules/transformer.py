"""The transformer encoder: trained from scratch, or with the weights of a published model."""

import math
from collections.abc import Iterable
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from nerlab.modules.linear import Linear
from nerlab.modules.windows import in_windows

Norm = Literal["pre", "post"]
Positions = Literal["none", "learned", "rotary", "relative"]
Attention = Literal["plain", "rotary", "relative"]
Angles = tuple[Tensor, Tensor]  # their cosines and sines, each (T, head_dim / 2)


class Transformer(nn.Module):
    """``project → [+ positions] → dropout → layers`` (Vaswani et al. 2017).

    Learned positions are added to the input; a sentence that has more of them goes through
    overlapping windows. Rotary and relative ones are part of the attention, see :class:`Layer`:
    it sees distances alone, and there is no longest sentence.

    Args:
        input_dim: width of the input, which is projected to ``hidden_dim``.
        hidden_dim: width inside and of the output.
        layers: how many.
        heads: attention heads, of ``hidden_dim / heads`` each; this must be an even number where
            positions are rotary or relative.
        feedforward_dim: width of the hidden layer of each feed-forward block.
        dropout: on the input of the layers and the output of each block.
        attention_dropout: on the attention weights.
        norm: before each block ("pre", Xiong et al. 2020) or after it ("post").
        positions: "none", "learned", "rotary" or "relative".
        max_positions: how many are learned.
    """

    def __init__(
        self,
        input_dim: int,
        hidden_dim: int,
        layers: int,
        heads: int,
        feedforward_dim: int,
        dropout: float,
        attention_dropout: float,
        norm: Norm,
        positions: Positions,
        max_positions: int,
    ) -> None:
        super().__init__()
        self.project = Linear(input_dim, hidden_dim)
        learned = positions == "learned"
        self.positions = LearnedPositions(max_positions, hidden_dim) if learned else None
        self.dropout = nn.Dropout(dropout)
        attention: Attention = positions if positions in ("rotary", "relative") else "plain"
        self.layers = Layers(
            Layer(hidden_dim, heads, feedforward_dim, dropout, attention_dropout, norm, attention)
            for _ in range(layers)
        )
        self.output_dim = hidden_dim

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """``x (B, T, input_dim)`` to ``(B, T, output_dim)``, 0 beyond a length."""
        if self.positions is None or x.shape[1] <= self.positions.count:
            return self.encode(x, lengths)
        return in_windows(self.encode, x, lengths, self.positions.count)

    def encode(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The same for sentences that are not longer than the learned positions."""
        x = self.project(x).to(self.project.weight.dtype)  # autocast would round every sum to come
        if self.positions is not None:
            x = x + self.positions(x.shape[1])
        return self.layers(self.dropout(x), lengths)


class LearnedPositions(nn.Module):
    """A vector for each position.

    Args:
        count: how many positions there are.
        dim: width of the vectors.
        offset: the row of the first position; 2 in RoBERTa.
    """

    def __init__(self, count: int, dim: int, offset: int = 0) -> None:
        super().__init__()
        self.table = nn.Embedding(offset + count, dim)
        nn.init.normal_(self.table.weight, std=0.02)
        self.count, self.offset = count, offset

    def forward(self, T: int) -> Tensor:
        """The vectors of the first T positions ``(T, dim)``."""
        return self.table.weight[self.offset : self.offset + T]


class Layer(nn.Module):
    """Self-attention, then a feed-forward block with exact GELU.

    With queries q, keys k of width d and positions t, j, attention is
    ``softmax_j(score(t, j)) @ values``, where

        plain:     q_t · k_j / √d
        rotary:    R_t q_t · R_j k_j / √d                      (Su et al. 2021)
        relative:  (q_t + u) · k_j + (q_t + v) · r_{t-j}       (Yan et al. 2019, TENER)

    R_t turns pairs of features by the angles ``t / 10000^(2i / d)``, and r is
    ``[cos, -sin]`` of the same angles, so it tells left from right. As
    ``x · r_{t-j} = R_t x · [cos, sin]_j``, relative attention is plain attention with queries and
    keys that are twice as wide. It is not divided by √d: sharp attention is what tagging wants.

    How relative attention begins is ours, not the paper's: queries are 1/√d as large as those of
    plain attention, u is 0, and v of head h of H is ``r_{H/2 - h}``, with which token
    ``t + h - H/2`` scores highest.

    Args:
        dim: width of input and output.
        heads: attention heads, of ``dim / heads`` each.
        feedforward_dim: width of the hidden layer of each feed-forward block.
        dropout: on the output of each block.
        attention_dropout: on the attention weights.
        norm: "pre": ``x + block(norm(x))``; "post": ``norm(x + block(x))``.
        attention: "plain", "rotary" or "relative".
        epsilon: of the norms.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        feedforward_dim: int,
        dropout: float,
        attention_dropout: float,
        norm: Norm,
        attention: Attention,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        divisor = heads if attention == "plain" else 2 * heads  # pairs of features are turned
        if dim % divisor:
            raise ValueError(
                f"hidden_dim: expected a multiple of {divisor} (heads={heads}, {attention} "
                f"attention), found {dim}; change one of the two"
            )
        self.heads, self.head_dim, self.attention = heads, dim // heads, attention
        self.is_pre_norm = norm == "pre"
        self.attention_dropout = attention_dropout
        self.queries_keys_values = Linear(dim, 3 * dim)
        self.attention_output = Linear(dim, dim)
        self.attention_norm = nn.LayerNorm(dim, epsilon)
        if attention == "relative":
            for parameter in self.queries_keys_values.parameters():
                parameter.data[:dim] /= math.sqrt(self.head_dim)
            cosine, sine = _angles(heads // 2 - torch.arange(heads), self.head_dim, torch.empty(0))
            self.content_bias = nn.Parameter(torch.zeros(heads, 1, self.head_dim))  # u
            self.position_bias = nn.Parameter(torch.cat([cosine, -sine], dim=1)[:, None])  # v
        self.feedforward = nn.Sequential(
            Linear(dim, feedforward_dim), nn.GELU(), Linear(feedforward_dim, dim)
        )
        self.feedforward_norm = nn.LayerNorm(dim, epsilon)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, angles: Angles | None) -> Tensor:
        """``x (B, T, dim)`` to the same shape; ``mask (B, 1, 1, T)`` is true at tokens."""
        if self.is_pre_norm:
            x = x + self.dropout(self.attend(self.attention_norm(x), mask, angles))
            return x + self.dropout(self.feedforward(self.feedforward_norm(x)))
        x = self.attention_norm(x + self.dropout(self.attend(x, mask, angles)))
        return self.feedforward_norm(x + self.dropout(self.feedforward(x)))

    def attend(self, x: Tensor, mask: Tensor, angles: Angles | None) -> Tensor:
        """Self-attention of ``x (B, T, dim)``."""
        B, T, D = x.shape
        split = self.queries_keys_values(x).view(B, T, 3, self.heads, self.head_dim)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)  # (B, heads, T, head_dim) each
        scale = None
        if self.attention == "rotary":
            queries, keys = _rotate(queries, angles), _rotate(keys, angles)
        elif self.attention == "relative":
            assert angles is not None
            positions = torch.cat(angles, dim=1).expand(B, self.heads, T, self.head_dim)
            keys = torch.cat([keys, positions], dim=3)
            turned = _rotate(queries + self.position_bias, angles)
            queries = torch.cat([queries + self.content_bias, turned], dim=3)
            scale = 1.0
        dropout = self.attention_dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, dropout_p=dropout, scale=scale
        )
        return self.attention_output(mixed.transpose(1, 2).reshape(B, T, D))


class Layers(nn.Module):
    """Layers that are alike, one after the other; behind those of pre-norm comes a last norm.

    Attributes:
        gradient_checkpointing: in training keep the input of each layer alone, and compute what is
            inside it again for the backward pass: less memory, a third more time.
    """

    gradient_checkpointing = False

    def __init__(self, layers: Iterable[Layer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        first = cast(Layer, self.layers[0])
        self.head_dim, self.attention = first.head_dim, first.attention
        norm = first.feedforward_norm
        is_pre_norm = first.is_pre_norm
        self.norm = nn.LayerNorm(norm.normalized_shape, norm.eps) if is_pre_norm else nn.Identity()

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """``x (B, T, dim)`` to the same shape, 0 beyond a length."""
        positions = torch.arange(x.shape[1], device=x.device)
        mask = positions < lengths[:, None]  # (B, T)
        angles = _angles(positions, self.head_dim, x) if self.attention != "plain" else None
        for layer in self.layers:
            arguments = (x, mask[:, None, None, :], angles)
            if self.gradient_checkpointing and self.training:
                x = checkpoint(layer, *arguments, use_reentrant=False)
            else:
                x = layer(*arguments)
        return self.norm(x).masked_fill(~mask[..., None], 0.0)


def _angles(positions: Tensor, head_dim: int, like: Tensor) -> Angles:
    """Cosine and sine ``(T, head_dim / 2)`` of the angles ``t / 10000^(2i / head_dim)``."""
    exact = torch.promote_types(like.dtype, torch.float32)
    even = torch.arange(0, head_dim, 2, dtype=exact, device=positions.device)  # 2i
    angles = positions[:, None] * 10_000.0 ** (-even / head_dim)
    return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


def _rotate(x: Tensor, angles: Angles | None) -> Tensor:
    """Turn the pairs of features ``(i, i + head_dim / 2)`` of ``x (..., T, head_dim)``."""
    assert angles is not None
    cosine, sine = angles
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
