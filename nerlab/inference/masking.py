"""The probability of an entity as a function of which words of its sentence are there."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from nerlab.data.batch import Batch, collate, to_device
from nerlab.inference.predictor import TagSequence
from nerlab.models.loading import Checkpoint
from nerlab.models.pretrained import Pretrained

MASK = ""
"""A token that is unknown to every indexer: the unknown word, character and piece."""


class TaggedSpan(NamedTuple):
    """The tokens ``start`` to ``end`` of a sentence, half open, and the tags that make them an
    entity with this label."""

    start: int
    end: int
    label: str
    tags: Sequence[str]


class MaskedSentence:
    """``F(z)``: log p of a span with its tags, where of each word there is the share ``z_t``.

    It is what predict.py scores an entity with, ``log p(y_s) + Σ_{s<t<e} log p(y_t | y_{t-1})``.
    Where a word is masked stands the unknown one, which the model has met in training; its
    characters and pieces are hidden too. In between is the line from one vector to the other,

        x_t(z) = u + z_t (x̂_t - u),

    x̂_t being what the embedders make of the word and u what they make of the unknown one. A
    published model looks at the whole sentence; there x̂ are the vectors of the pieces, which its
    layers begin with, and u is that of the unknown piece. A sentence is looked at without the
    others of its document.

    Args:
        checkpoint: the tagger, in evaluation mode.
        tokens: the T words.
        span: what log p is of.

    Raises:
        ValueError: an embedder looks at the whole sentence, and is not nerlab's.
    """

    def __init__(self, checkpoint: Checkpoint, tokens: Sequence[str], span: TaggedSpan) -> None:
        self._tagger, self._names = checkpoint.tagger, checkpoint.vocabulary.tags
        for name, part in self._tagger.embedder.items():
            if getattr(part, "contextual", False) and not isinstance(part, Pretrained):
                raise ValueError(
                    f"model.embedder.{name}: expected one that looks at each word by itself, or a "
                    f"published model; what {type(part).__name__} makes of a masked word is unknown"
                )
        self._device = next(self._tagger.parameters()).device
        lexicon = list(dict.fromkeys(tokens))
        self._num_words = len(lexicon)
        self._words = torch.tensor([lexicon.index(token) for token in tokens], device=self._device)
        indexers = checkpoint.vocabulary.indexers.items()
        indexed = {name: indexer.index([*lexicon, MASK]) for name, indexer in indexers}
        rows = np.arange(len(lexicon) + 1)
        features = {name: collate(found, rows) for name, found in indexed.items()}
        self._features = to_device(features, self._device)
        costs = [found.costs for found in indexed.values() if found.costs is not None]
        cost = np.maximum.reduce([np.ones(len(rows), dtype=np.int64), *costs])
        self._positions = int(cost[self._words.cpu().numpy()].sum())
        self._at_once = max(1, int(checkpoint.config.trainer.decode_tokens) // self._positions)
        tags = [self._names.index(tag) for tag in span.tags]
        self._span, self._tags = slice(span.start, span.end), torch.zeros_like(self._words)
        self._tags[self._span] = torch.tensor(tags, device=self._device)

    def values(self, shares: np.ndarray) -> np.ndarray:
        """``F(z)`` ``(N,)`` of shares ``(N, T)``."""
        with torch.no_grad():
            found = [self._log_probability(z) for z in self._parts(shares)]
        return torch.cat(found).cpu().numpy()

    def gradients(self, shares: np.ndarray) -> np.ndarray:
        """``∂F/∂z_t`` ``(N, T)`` at shares ``(N, T)``."""
        found: list[Tensor] = []
        for z in self._parts(shares):
            found += torch.autograd.grad(self._log_probability(z.requires_grad_()).sum(), z)
        return torch.cat(found).double().cpu().numpy()

    @torch.no_grad()
    def best_sequences(self, k: int) -> list[TagSequence]:
        """The k best tag sequences of the sentence as it is, the best first; fewer where there are
        no more."""
        emissions, lengths = self._emissions(torch.ones_like(self._words)[None].float())
        paths, log_p = self._tagger.decoder.best_paths(emissions, lengths, k)
        found = zip(paths[:, 0].tolist(), log_p[:, 0].exp().tolist(), strict=True)
        return [TagSequence([self._names[tag] for tag in path], p) for path, p in found if p > 0.0]

    def _parts(self, shares: np.ndarray) -> tuple[Tensor, ...]:
        dtype = self._tagger.linear.weight.dtype
        return torch.from_numpy(shares).to(self._device, dtype).split(self._at_once)

    def _log_probability(self, z: Tensor) -> Tensor:
        """``F(z)`` ``(N,)`` in float64."""
        emissions, lengths = self._emissions(z)
        log_probabilities = self._tagger.decoder.path_log_probabilities(
            emissions, lengths, self._tags.expand(z.shape)
        )
        marginal, conditional = (log_p[:, self._span] for log_p in log_probabilities)
        return marginal[:, 0] + conditional[:, 1:].sum(1)

    def _emissions(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Those of N sentences ``(N, T, K)`` in float64, with the lengths ``(N,)``."""
        N, T = z.shape
        number = torch.arange(N, device=z.device)
        batch = Batch(
            features={},
            tags=None,
            lengths=torch.full_like(number, T),
            sentence_ids=number,
            document_ids=number,  # no word is the same as in another sentence
            distinct=torch.arange(N * self._num_words, device=z.device),
            token_index=self._words + self._num_words * number[:, None],
            positions=torch.arange(self._positions, device=z.device),
        )
        with self._tagger.autocast():
            parts = [self._mixed(name, z, batch) for name in self._tagger.embedder]
        vectors = torch.cat(parts, dim=2)
        return self._tagger.emissions(replace(batch, vectors=vectors)).double(), batch.lengths

    def _mixed(self, name: str, z: Tensor, batch: Batch) -> Tensor:
        """``x(z)`` ``(N, T, D)`` of an embedder."""
        part, features = self._tagger.embedder[name], self._features[name]
        if isinstance(part, Pretrained):
            return _mixed_pieces(part, features["pieces"], self._words, z, batch)
        with torch.no_grad():
            rows: Tensor = part(features)
        return _mix(rows[self._words], rows[-1], z)


def _mix(vectors: Tensor, unknown: Tensor, z: Tensor) -> Tensor:
    """``u + z_s (x̂_s - u)`` ``(N, S, D)``, of ``(S, D)``, ``(D,)`` and ``(N, S)``."""
    return unknown + z[..., None] * (vectors - unknown)


def _mixed_pieces(
    part: Pretrained, pieces: Tensor, words: Tensor, z: Tensor, batch: Batch
) -> Tensor:
    """What a published model makes of N sentences, whose pieces all have vectors of their own: the
    rows of a table that stands in for its own.

    Args:
        part: the model.
        pieces: ``(U + 1, P)``, id + 1, of the distinct words and of ``MASK``.
        words: ``(T,)``, which of them each word is.
        z: ``(N, T)``.
        batch: the sentences.
    """
    N, T = z.shape
    table = part.pieces.weight.detach()
    ids = pieces[words]  # (T, P)
    word, place = (ids > 0).nonzero(as_tuple=True)  # (S,) of each piece
    mixed = _mix(table[ids[word, place] - 1], table[pieces[-1, 0] - 1], z[:, word])  # (N, S, E)
    special = table[: 1 + max(part.start, part.end, part.padding)]
    rows = torch.arange(N * len(word), device=z.device).view(N, -1) + len(special)
    own = ids.new_zeros(N, *ids.shape)
    own[:, word, place] = rows + 1
    of_its_own = torch.arange(N * T, device=z.device).view(N, T)
    arguments = {"pieces": own.flatten(0, 1)}, replace(batch, token_index=of_its_own)
    stand_in = {"pieces.weight": torch.cat([special, mixed.flatten(0, 1)])}
    result: Tensor = functional_call(part, stand_in, arguments)
    return result
