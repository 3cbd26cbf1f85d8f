"""Words read through their characters."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from torch import Tensor, nn

from nerlab.data.corpus import Lexicon
from nerlab.data.vocabulary import FIRST_ID, UNKNOWN, Indexed, Ragged, from_json, to_json
from nerlab.models.tagger import ParameterGroup
from nerlab.modules.character_cnn import CharacterCNN

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

    @property
    def num_characters(self) -> int:
        """How many character ids there are."""
        return FIRST_ID + len(self.characters)

    def fit(self, counts: Iterable[tuple[str, int]]) -> None:
        """Count the characters of train."""
        found: Counter[str] = Counter()
        for token, _ in counts:
            found.update(set(token[: self.max_word_length]))
        self.characters = tuple(sorted(c for c, tokens in found.items() if tokens > 1))

    def index(self, lexicon: Lexicon) -> Indexed:
        """``characters``, the ids of the characters of each token; an empty one has the unknown."""
        known = [ord(character) for character in self.characters]
        # By code point; the last is that of all larger ones.
        ids = np.full(max(known, default=0) + 2, UNKNOWN, dtype=np.int32)
        ids[known] = range(FIRST_ID, self.num_characters)
        lengths = lexicon.lengths.clip(1, self.max_word_length)
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
        values = np.full(offsets[-1], UNKNOWN, dtype=np.int32)
        filled = np.repeat(lexicon.lengths > 0, lengths)
        # A character lies as far from its word's beginning as among the characters of the lexicon.
        places = np.arange(offsets[-1]) + np.repeat(lexicon.offsets[:-1] - offsets[:-1], lengths)
        values[filled] = ids[lexicon.characters[places[filled]].clip(max=len(ids) - 1)]
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


class Characters(nn.Module):
    """A :class:`CharacterCNN` over the characters of its indexer."""

    def __init__(
        self, indexer: CharacterIndexer, dim: int, filters: int, widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.cnn = CharacterCNN(indexer.num_characters, dim, filters, widths)
        self.output_dim = self.cnn.output_dim

    def parameter_groups(self) -> list[ParameterGroup]:
        """Decay would wear down the vectors of rare characters."""
        return [ParameterGroup([self.cnn.embedding], weight_decay=False)]

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """``characters (U, C)``, 0 padded, to ``(U, output_dim)``."""
        vectors: Tensor = self.cnn(features["characters"])
        return vectors
