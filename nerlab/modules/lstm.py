"""LSTM encoders that never pack a sequence, and locked dropout."""

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


class LSTM(nn.Module):
    """Layers of LSTM in one direction or in two (Hochreiter and Schmidhuber 1997; Graves 2005).

    Padding stands at the right, so a forward LSTM never sees it before a token. The backward
    direction is a forward LSTM over each sentence turned around in place. Both take plain padded
    input, which runs at the speed of its matrix products; a packed sequence does not.

    Args:
        input_dim: width of the input.
        hidden_dim: width of the output, both directions together.
        layers: how many.
        bidirectional: whether half of the width reads from the end.
        dropout: locked dropout between layers.
    """

    def __init__(
        self, input_dim: int, hidden_dim: int, layers: int, bidirectional: bool, dropout: float
    ) -> None:
        super().__init__()
        directions = 2 if bidirectional else 1
        if hidden_dim % directions:
            raise ValueError(
                f"model.encoder.hidden_dim: expected an even number, found {hidden_dim}; "
                "half of it goes to each direction"
            )
        widths = [input_dim] + [hidden_dim] * (layers - 1)
        self.layers = nn.ModuleList(
            _Layer(width, hidden_dim // directions, bidirectional) for width in widths
        )
        self.dropout = LockedDropout(dropout)
        self.output_dim = hidden_dim

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """``x (B, T, input_dim)`` to ``(B, T, output_dim)``; rows beyond a length mean nothing."""
        reverse = _reversal(lengths, x.shape[1])
        first, *others = self.layers
        x = first(x, reverse)
        for layer in others:
            x = layer(self.dropout(x), reverse)
        return x


class _Layer(nn.Module):
    def __init__(self, input_dim: int, hidden_dim: int, bidirectional: bool) -> None:
        super().__init__()
        self.forwards = _lstm(input_dim, hidden_dim)
        self.backwards = _lstm(input_dim, hidden_dim) if bidirectional else None

    def forward(self, x: Tensor, reverse: Tensor) -> Tensor:
        output, _ = self.forwards(x)
        if self.backwards is None:
            return output
        turned, _ = self.backwards(_permute(x, reverse))
        return torch.cat([output, _permute(turned, reverse)], dim=2)


def _reversal(lengths: Tensor, T: int) -> Tensor:
    """``(B, T)``: index that turns each sentence around in place and leaves the padding."""
    steps = torch.arange(T, device=lengths.device)
    return torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)


def _permute(x: Tensor, index: Tensor) -> Tensor:
    """Reorder the tokens of ``x (B, T, D)`` by ``index (B, T)``."""
    B, T, D = x.shape
    rows = torch.arange(0, B * T, T, device=x.device)[:, None] + index
    return x.reshape(B * T, D).index_select(0, rows.flatten()).view(B, T, D)


def _lstm(input_dim: int, hidden_dim: int) -> nn.LSTM:
    """Glorot and orthogonal weights; the forget gate begins open (Jozefowicz et al. 2015)."""
    lstm = nn.LSTM(input_dim, hidden_dim, batch_first=True)
    weights = dict(lstm.named_parameters())
    for gate in range(4):
        rows = slice(gate * hidden_dim, (gate + 1) * hidden_dim)
        nn.init.xavier_uniform_(weights["weight_ih_l0"].data[rows])
        nn.init.orthogonal_(weights["weight_hh_l0"].data[rows])
    nn.init.zeros_(weights["bias_ih_l0"])
    nn.init.zeros_(weights["bias_hh_l0"])
    weights["bias_ih_l0"].data[hidden_dim : 2 * hidden_dim] = 1.0
    return lstm
