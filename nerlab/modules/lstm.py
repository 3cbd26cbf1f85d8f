"""LSTM encoders that never pack a sequence, locked dropout, and vectors shared by batches."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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


@dataclass(frozen=True, eq=False)
class TokenVectors:
    """The vectors ``(B, T, D)`` of the tokens of a batch, by distinct token.

    Attributes:
        rows: ``(U, D)``, the vectors of distinct tokens, shared by many batches.
        index: ``(B, T)`` into the rows.
        tables: what modules have made of each row by itself, shared as the rows are.
    """

    rows: Tensor
    index: Tensor
    tables: dict[nn.Module, Tensor]

    def dense(self) -> Tensor:
        """The vectors themselves ``(B, T, D)``."""
        return F.embedding(self.index, self.rows)


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

    takes_token_vectors = True

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

    def forward(self, x: Tensor | TokenVectors, lengths: Tensor) -> Tensor:
        """``x (B, T, input_dim)`` to ``(B, T, output_dim)``; rows beyond a length mean nothing.

        Of :class:`TokenVectors`, which come without gradient or dropout, a CPU computes more than
        half of the work of the first layer once a distinct token.
        """
        first: _Layer = self.layers[0]  # type: ignore[assignment]
        if isinstance(x, TokenVectors) and _can_tabulate(x.index):
            reverse = _reversal(lengths, x.index.shape[1])
            y = first.forward_tabulated(x, reverse)
        else:
            x = x.dense() if isinstance(x, TokenVectors) else x
            reverse = _reversal(lengths, x.shape[1])
            y = first(x, reverse)
        for layer in self.layers[1:]:
            y = layer(self.dropout(y), reverse)
        return y


def _can_tabulate(index: Tensor) -> bool:
    """Where the plain way is faster or has an arithmetic of its own, it is taken."""
    plain = torch.is_grad_enabled() or torch.is_autocast_enabled("cpu")
    return index.device.type == "cpu" and not plain


class _Layer(nn.Module):
    def __init__(self, input_dim: int, hidden_dim: int, bidirectional: bool) -> None:
        super().__init__()
        self.forwards = _lstm(input_dim, hidden_dim)
        self.backwards = _lstm(input_dim, hidden_dim) if bidirectional else None

    @property
    def directions(self) -> list[nn.LSTM]:
        return [self.forwards] if self.backwards is None else [self.forwards, self.backwards]

    def forward(self, x: Tensor, reverse: Tensor) -> Tensor:
        output, _ = self.forwards(x)
        if self.backwards is None:
            return output
        turned, _ = self.backwards(_permute(x, reverse))
        return torch.cat([output, _permute(turned, reverse)], dim=2)

    def tabulate(self, rows: Tensor) -> Tensor:
        """``W_ih x + b_ih + b_hh`` of each row and direction: ``(U, D)`` to ``(U, G, 4H)``."""
        weights = [dict(lstm.named_parameters()) for lstm in self.directions]
        inputs = torch.cat([_by_cell_gate(w["weight_ih_l0"]) for w in weights])
        biases = torch.cat([_by_cell_gate(w["bias_ih_l0"] + w["bias_hh_l0"]) for w in weights])
        return torch.addmm(biases, rows, inputs.t()).unflatten(1, (len(weights), -1))

    def forward_tabulated(self, x: TokenVectors, reverse: Tensor) -> Tensor:
        """``forward(x.dense(), reverse)``, from a table of the distinct rows that is made once."""
        if self not in x.tables:
            x.tables[self] = self.tabulate(x.rows)
        table, index = x.tables[self], x.index
        B, T = index.shape
        G = len(self.directions)
        steps = torch.arange(T, device=index.device).expand(B, T)
        # At which step each direction reads each token, (B, T, G); it is its own inverse.
        orders = torch.stack([steps, reverse][:G], dim=2)
        rows = index[..., None].expand(B, T, G).gather(1, orders) * G + torch.arange(G)
        recurrent = [dict(lstm.named_parameters())["weight_hh_l0"] for lstm in self.directions]
        by_direction = torch.stack([_by_cell_gate(weights).t() for weights in recurrent])
        states = _recur(table.flatten(0, 1), rows.permute(1, 2, 0).contiguous(), by_direction)
        places = (orders * G + torch.arange(G)) * B + torch.arange(B)[:, None, None]
        return F.embedding(places, states.flatten(0, 2)).flatten(2)


def _by_cell_gate(weights: Tensor) -> Tensor:
    """Weights with the cell gate's doubled: ``tanh(a) = 2 σ(2a) - 1`` lets one sigmoid do all."""
    inputs, forgets, cells, outputs = weights.chunk(4)
    return torch.cat([inputs, forgets, 2 * cells, outputs])


def _recur(table: Tensor, rows: Tensor, recurrent: Tensor) -> Tensor:
    """The hidden states ``(T, G, B, H)`` of G LSTMs side by side.

    Args:
        table: ``(G L, 4H)``, the gates as far as the input decides them.
        rows: ``(T, G, B)``, the row of each token.
        recurrent: ``(G, H, 4H)``, what the hidden state adds to the gates.
    """
    T, G, B = rows.shape
    width = table.shape[1]
    states = table.new_empty(T, G, B, width // 4)
    cell = table.new_zeros(G, B, width // 4)
    gates = table.new_empty(G * B, width)  # one step's stay in the cache
    step = gates.view(G, B, width)
    inputs, forgets, candidates, outputs = step.chunk(4, dim=2)
    previous = None
    # Views are made once, not once a step: threads that decode side by side share the interpreter.
    for row, state in zip(rows.view(T, G * B).unbind(), states.unbind(), strict=True):
        torch.index_select(table, 0, row, out=gates)
        if previous is not None:
            step.baddbmm_(previous, recurrent)
        step.sigmoid_()
        candidates.sub_(0.5)  # half of their tanh
        cell.mul_(forgets).addcmul_(inputs, candidates, value=2)
        torch.tanh(cell, out=state).mul_(outputs)
        previous = state
    return states


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
