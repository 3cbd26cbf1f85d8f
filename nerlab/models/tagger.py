"""The tagger: embedder, encoder, linear layer, decoder."""

from typing import Protocol

from torch import Tensor, nn

from nerlab.data.batch import Batch
from nerlab.modules.dropout import LockedDropout


class Decoder(Protocol):
    """What turns emissions ``(B, T, K)`` into tags and probabilities."""

    def nll(self, emissions: Tensor, lengths: Tensor, tags: Tensor) -> Tensor:
        """``-log p(tags)`` of each sentence ``(B,)``."""
        ...

    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The best tags ``(B, T)``, 0 beyond a length."""
        ...

    def marginals(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """``p(y_t = k)``, ``(B, T, K)``, 0 beyond a length."""
        ...

    def path_log_probabilities(
        self, emissions: Tensor, lengths: Tensor, tags: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``log p(y_t)`` and ``log p(y_t | y_{t-1})`` along the tags, both ``(B, T)``."""
        ...


class Tagger(nn.Module):
    """``embedder → dropout → encoder → dropout → linear → decoder``.

    Args:
        embedder: ``forward(batch) -> (B, T, D)``.
        encoder: ``forward(x (B, T, D), lengths (B,)) -> (B, T, output_dim)``.
        decoder: see :class:`Decoder`.
        num_tags: K.
        dropout: locked dropout before and after the encoder.
    """

    def __init__(
        self,
        embedder: nn.Module,
        encoder: nn.Module,
        decoder: nn.Module,
        num_tags: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedder = embedder
        self.encoder = encoder
        self.linear = nn.Linear(int(encoder.output_dim), num_tags)  # type: ignore[arg-type]
        self.decoder: Decoder = decoder  # type: ignore[assignment]
        self.dropout = LockedDropout(dropout)

    def emissions(self, batch: Batch) -> Tensor:
        """The score of each tag at each token ``(B, T, K)``."""
        return self.emissions_of(self.embedder(batch), batch.lengths)

    def emissions_of(self, x: Tensor, lengths: Tensor) -> Tensor:
        """The same from what the embedder made, ``x (B, T, D)``."""
        x = self.dropout(self.encoder(self.dropout(x), lengths))
        scores: Tensor = self.linear(x)
        return scores

    def loss(self, batch: Batch) -> Tensor:
        """The negative log-likelihood of the batch's tags, in nats a token."""
        if batch.tags is None:
            raise ValueError("this batch has no tags; make its Batcher with_tags=True")
        nll = self.decoder.nll(self.emissions(batch), batch.lengths, batch.tags)
        return nll.sum() / batch.lengths.sum()

    def decode(self, batch: Batch) -> Tensor:
        """The tags ``(B, T)``, 0 beyond a length."""
        return self.decoder.decode(self.emissions(batch), batch.lengths)

    def decode_scored(self, emissions: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The tags, ``log p(y_t)`` and ``log p(y_t | y_{t-1})`` along them, each ``(B, T)``.

        The tags from s to e have the log-probability
        ``log p(y_s) + Σ_{s<t≤e} log p(y_t | y_{t-1})``; an IOBES span has that of its tags.
        """
        tags = self.decoder.decode(emissions, lengths)
        return tags, *self.decoder.path_log_probabilities(emissions, lengths, tags)

    def marginals(self, batch: Batch) -> Tensor:
        """The probability of each tag at each token ``(B, T, K)``, 0 beyond a length."""
        return self.decoder.marginals(self.emissions(batch), batch.lengths)
