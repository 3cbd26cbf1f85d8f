"""Embedders: a batch to one vector a token, ``(B, T, output_dim)``."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nerlab.data.batch import Batch
from nerlab.data.vocabulary import PADDING, Vocabulary
from nerlab.modules.character_cnn import CharacterCNN


class Embedder(Protocol):
    """The contract.

    ``output_dim`` is known once it is built. ``context_free`` says that the vector of a token
    depends on that token alone; then decoding embeds every distinct token once.

    It, or a part of it, may have ``lookup_tables``, the parameters of which a batch uses few rows:
    weight decay spares them, and on a CPU the gradient of an ``nn.Embedding``'s is sparse.
    """

    output_dim: int
    context_free: bool

    def __call__(self, batch: Batch) -> Tensor:
        """The vectors ``(B, T, output_dim)``."""
        ...


class Words(nn.Module):
    """One trained vector a known word.

    Args:
        vocabulary: gives the number of words.
        dim: width of the vectors.
    """

    context_free = True

    def __init__(self, vocabulary: Vocabulary, dim: int) -> None:
        super().__init__()
        bound = math.sqrt(3.0 / dim)
        weight = torch.empty(vocabulary.num_words, dim).uniform_(-bound, bound)
        weight[PADDING] = 0.0
        self.table = nn.Embedding.from_pretrained(weight, freeze=False, padding_idx=PADDING)
        self.output_dim = dim

    @property
    def lookup_tables(self) -> list[Tensor]:
        """The vectors of all words."""
        return [self.table.weight]

    def forward(self, batch: Batch) -> Tensor:
        """The vectors ``(B, T, dim)`` of ``batch.words``."""
        vectors: Tensor = self.table(batch.words)
        return vectors


class Characters(nn.Module):
    """A character CNN, run once a distinct token of the batch.

    Args:
        vocabulary: gives the number of characters.
        dim: width of the character vectors.
        filters: filters of each width.
        widths: filter widths.
    """

    context_free = True

    def __init__(
        self, vocabulary: Vocabulary, dim: int, filters: int, widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.cnn = CharacterCNN(vocabulary.num_characters, dim, filters, widths)
        self.output_dim = self.cnn.output_dim

    @property
    def lookup_tables(self) -> list[Tensor]:
        """The vectors of all characters."""
        return [self.cnn.embedding]

    def forward(self, batch: Batch) -> Tensor:
        """The features ``(B, T, output_dim)`` of the tokens."""
        features: Tensor = self.cnn(batch.characters)  # (U, D)
        return nn.functional.embedding(batch.character_index, features)


class Concatenation(nn.Module):
    """Several embedders side by side.

    Args:
        vocabulary: what each of them is built with.
        parts: each a function from the vocabulary to an embedder, by name.
    """

    def __init__(self, vocabulary: Vocabulary, parts: Mapping[str, Callable[..., Any]]) -> None:
        super().__init__()
        for name in parts:
            taken = hasattr(nn.ModuleDict(), str(name))
            if not isinstance(name, str) or not name.isidentifier() or taken:
                raise ValueError(
                    f"model.embedder.parts.{name}: expected a name of letters, digits and _ for a "
                    "part, and none of PyTorch's own; choose another one"
                )
        built = {name: part(vocabulary=vocabulary) for name, part in parts.items()}
        self.parts = nn.ModuleDict(built)
        self.output_dim = sum(int(part.output_dim) for part in built.values())

        self.context_free = all(part.context_free for part in built.values())

    def forward(self, batch: Batch) -> Tensor:
        """The parts' vectors one behind the other ``(B, T, output_dim)``."""
        return torch.cat([part(batch) for part in self.parts.values()], dim=2)
