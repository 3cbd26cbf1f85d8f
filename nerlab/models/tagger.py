"""The tagger, and the contracts of its parts."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nerlab.data.batch import Batch, Features
from nerlab.modules.lstm import LockedDropout


class ParameterGroup(NamedTuple):
    """How some parameters are optimised."""

    parameters: Sequence[Tensor]
    sparse: bool = False  # tables (``nn.Embedding``) of which a batch uses few rows
    weight_decay: bool = True  # whether ``trainer.weight_decay`` holds for them
    learning_rate_factor: float = 1.0
    pretrained: bool = False  # weights of a published model, which may be frozen


class Embedder(Protocol):
    """A module that is built with ``indexer`` and its options; ``forward(features)`` takes the
    arrays of that indexer as tensors ``(U, ...)`` to vectors ``(U, output_dim)``.

    One that looks at the sentence has ``contextual = True``, and
    ``forward(features, batch) -> (B, T, output_dim)``. It may have
    ``parameter_groups() -> list[ParameterGroup]``, and, static, ``named_rows(indexer)``: by the
    name of a parameter, the row of each string. A run that begins with its weights has other rows.
    """

    output_dim: int


class Decoder(Protocol):
    """What turns emissions ``(B, T, K)`` into tags and probabilities.

    It is built with the names of the K tags, the constraints ``start (K,)``,
    ``transitions (K, K)``, ``end (K,)``, and its options. Where each axis of each parameter is the
    tags it may say so, ``by_tag = True``: a run that begins with its weights may have others.
    """

    def loss(self, emissions: Tensor, lengths: Tensor, tags: Tensor) -> Tensor:
        """What training minimises: a mean over the tokens of the batch, of ``nll`` or another."""

    def nll(self, emissions: Tensor, lengths: Tensor, tags: Tensor) -> Tensor:
        """``-log p(tags)`` of each sentence ``(B,)``."""

    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The best tags ``(B, T)``, 0 beyond a length."""

    def marginals(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """``p(y_t = k)``, ``(B, T, K)``, 0 beyond a length."""

    def path_log_probabilities(
        self, emissions: Tensor, lengths: Tensor, tags: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``log p(y_t)`` and ``log p(y_t | y_{t-1})`` along the tags, both ``(B, T)``."""

    def best_paths(self, emissions: Tensor, lengths: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k most probable tag sequences ``(k, B, T)``, best first, and ``log p`` of each
        ``(k, B)``; -inf where there are fewer."""


class Embedders(nn.ModuleDict):
    """Embedders by name, whose vectors stand one behind the other."""

    def __init__(self, parts: Mapping[str, nn.Module]) -> None:
        super().__init__(parts)
        self.output_dim = sum(int(part.output_dim) for part in parts.values())  # type: ignore
        self.contextual = any(getattr(part, "contextual", False) for part in parts.values())

    def distinct(self, features: Features) -> Tensor:
        """The vectors ``(U, output_dim)`` of distinct tokens, which depend on nothing else."""
        return torch.cat([part(features[name]) for name, part in self.items()], dim=1)

    def forward(self, batch: Batch) -> Tensor:
        """The vectors of the tokens ``(B, T, output_dim)``."""
        if batch.vectors is not None:
            return batch.vectors
        vectors = [
            part(batch.features[name], batch)
            if getattr(part, "contextual", False)
            else F.embedding(batch.token_index, part(batch.features[name]))
            for name, part in self.items()
        ]
        return torch.cat(vectors, dim=2)


class Tagger(nn.Module):
    """``embedders → dropout → [context] → encoder → dropout → linear → decoder``.

    Args:
        embedder: the embedders.
        stages: context and encoders by name, in order; each
            ``forward(x (B, T, D), lengths (B,)) -> (B, T, output_dim)``, or, where it has
            ``takes_batch = True``, ``forward(x, batch)``.
        decoder: see :class:`Decoder`.
        num_tags: K.
        dropout: locked dropout before the first and after the last stage.

    Attributes:
        autocast_dtype: the arithmetic of the emissions, in training and in all that comes after.
    """

    autocast_dtype = torch.float32

    def __init__(
        self,
        embedder: Embedders,
        stages: Mapping[str, nn.Module],
        decoder: nn.Module,
        num_tags: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedder = embedder
        self.stages = nn.ModuleDict(stages)
        output_dim = [embedder, *stages.values()][-1].output_dim
        self.linear = nn.Linear(int(output_dim), num_tags)  # type: ignore[arg-type]
        self.decoder: Decoder = decoder  # type: ignore[assignment]
        self.dropout = LockedDropout(dropout)

    def emissions(self, batch: Batch) -> Tensor:
        """The score of each tag at each token ``(B, T, K)``."""
        with self.autocast():
            x = self.dropout(self.embedder(batch))  # (B, T, D)
            for stage in self.stages.values():
                x = stage(x, batch if getattr(stage, "takes_batch", False) else batch.lengths)
            scores: Tensor = self.linear(self.dropout(x))
        return scores

    def autocast(self) -> torch.autocast:
        """The context in which the emissions are computed."""
        device, dtype = self.linear.weight.device.type, self.autocast_dtype
        return torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32)

    def loss(self, batch: Batch) -> Tensor:
        """What training minimises, as the decoder has it: a mean over the batch's tokens."""
        if batch.tags is None:
            raise ValueError("this batch has no tags; make its Batcher with_tags=True")
        return self.decoder.loss(self.emissions(batch), batch.lengths, batch.tags)
