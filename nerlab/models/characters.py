"""Words read through their characters."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nerlab.data.vocabulary import FIRST_ID, PADDING, UNKNOWN, Indexed, Ragged, from_json, to_json
from nerlab.models.tagger import ParameterGroup

_FILE = "characters.json"


class CharacterIndexer:
    """Tokens to the ids of their characters: 0 is padding, 1 the unknown character.

    Unknown are characters found in one distinct token of train only: so the vector of the unknown
    one is learned.

    Args:
        max_word_length: characters of a longer token beyond this many are not looked at.
    """

    def __init__(self, max_word_length: int) -> None:
        self.max_word_length = max_word_length
        self.characters: tuple[str, ...] = ()
        self._taken_over: tuple[str, ...] = ()

    @property
    def num_characters(self) -> int:
        """How many character ids there are."""
        return FIRST_ID + len(self.characters)

    def take_over(self, indexer: object) -> None:
        """Know the characters of another one too."""
        if isinstance(indexer, CharacterIndexer):
            self._taken_over = indexer.characters

    def fit(self, counts: Iterable[tuple[str, int]]) -> None:
        """Count the characters of train."""
        found: Counter[str] = Counter()
        for token, _ in counts:
            found.update(set(token[: self.max_word_length]))
        known = {c for c, tokens in found.items() if tokens > 1}
        self.characters = tuple(sorted(known.union(self._taken_over)))

    def index(self, tokens: Sequence[str]) -> Indexed:
        """``characters``, the ids of the characters of each token; an empty one has the unknown."""
        ids = _ids(self.characters)
        read = [token[: self.max_word_length] or " " for token in tokens]
        offsets = np.cumsum([0, *map(len, read)])
        codes = np.frombuffer("".join(read).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        values = ids[codes.clip(max=len(ids) - 1)]
        is_empty = np.array([not token for token in tokens], dtype=bool)
        values[offsets[:-1][is_empty]] = UNKNOWN
        return Indexed({"characters": Ragged(values, offsets)})

    def files(self) -> dict[str, bytes]:
        """The known characters."""
        return {_FILE: to_json(list(self.characters))}

    def load(self, files: Mapping[str, bytes]) -> None:
        """Take the known characters from a checkpoint."""
        characters = from_json(files[_FILE])
        if not isinstance(characters, list) or not all(
            isinstance(c, str) and len(c) == 1 for c in characters
        ):
            raise ValueError("expected a list of characters")
        self.characters = tuple(characters)


@lru_cache(maxsize=4)
def _ids(characters: tuple[str, ...]) -> np.ndarray:
    """The id of each code point; the last is that of all larger ones."""
    known = [ord(character) for character in characters]
    ids = np.full(max(known, default=0) + 2, UNKNOWN, dtype=np.int32)
    ids[known] = range(FIRST_ID, FIRST_ID + len(known))
    return ids


class Characters(nn.Module):
    """Convolve the characters of a word and keep the largest value of each filter.

    For a filter of width w, with character vectors e (0 outside the word) and
    ``p = 0 … n - 1`` over the n characters of the word (Santos and Zadrozny 2014):

        h = max_p ( b + Σ_{k<w} W_k e_{p + k - ⌊w/2⌋} )

    There are a hundred distinct characters and thousands in a batch, so ``W_k e`` is computed
    once a distinct character, and the convolution becomes a sum of w looked-up rows.

    Args:
        indexer: gives the number of characters.
        dim: width of the character vectors.
        filters: how many filters of each width.
        widths: the filter widths.
    """

    def __init__(
        self, indexer: CharacterIndexer, dim: int, filters: int, widths: Sequence[int]
    ) -> None:
        super().__init__()
        bound = math.sqrt(3.0 / dim)
        vectors = torch.empty(indexer.num_characters, dim).uniform_(-bound, bound)
        self.embedding = nn.Parameter(vectors)
        self.weights = nn.ParameterList(
            nn.init.xavier_uniform_(torch.empty(width * dim, filters)).view(width, dim, filters)
            for width in widths
        )
        self.bias = nn.Parameter(torch.zeros(len(widths) * filters))
        self.output_dim = len(widths) * filters

    def parameter_groups(self) -> list[ParameterGroup]:
        """Decay would wear down the vectors of rare characters."""
        return [ParameterGroup([self.embedding], weight_decay=False)]

    @staticmethod
    def named_rows(indexer: CharacterIndexer) -> dict[str, dict[str, int]]:
        """The row of each character."""
        return {"embedding": {c: i for i, c in enumerate(indexer.characters, start=FIRST_ID)}}

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """``characters (U, C)``, 0 padded, to ``(U, output_dim)``."""
        characters = features["characters"]
        inside = torch.arange(len(self.embedding), device=characters.device) > PADDING
        vectors = self.embedding * inside[:, None]  # padding is zero
        pooled = [convolve_and_pool(characters, vectors @ weight) for weight in self.weights]
        return torch.cat(pooled, dim=1) + self.bias


def convolve_and_pool(characters: Tensor, tables: Tensor) -> Tensor:
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
