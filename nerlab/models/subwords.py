"""Words read through pieces that sentencepiece learns from the training split."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Literal

import torch
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from torch import Tensor, nn

from nerlab.data.vocabulary import PADDING, Indexed
from nerlab.models.pieces import cut_sentencepieces, encodable, open_sentencepiece, with_padding
from nerlab.models.tagger import ParameterGroup
from nerlab.paths import check_file

Algorithm = Literal["unigram", "bpe"]

_FILE = "subwords.model"
_LARGEST = 2**28  # bytes of a model
_SPACE = re.compile(r"[\t\r\n]")
_TOO_FEW = re.compile(r"smaller than required_chars\. \d+ vs (\d+)")


def train_subwords(
    counts: Iterable[tuple[str, int]], vocab_size: int, algorithm: Algorithm, coverage: float
) -> bytes:
    """A model of sentencepiece, trained on distinct tokens and how often each occurs.

    The same counts give the same bytes, in whatever order they come.

    Args:
        counts: the tokens; each is cut by itself.
        vocab_size: pieces, ``<unk>``, ``<s>`` and ``</s>`` among them; fewer if there are no more.
        algorithm: "unigram" (Kudo 2018) or "bpe" (Sennrich et al. 2016).
        coverage: share of the characters of the text that pieces are made of; others are unknown.

    Raises:
        ValueError: there is nothing to train on, or there are more characters than pieces.
    """
    tokens = sorted((_SPACE.sub(" ", encodable(token)), count) for token, count in counts)
    content = BytesIO()
    try:
        SentencePieceTrainer.Train(
            sentence_iterator=(f"{token}\t{count}" for token, count in tokens),
            input_format="tsv",
            model_writer=content,
            model_type=algorithm,
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            character_coverage=coverage,
            minloglevel=2,  # of what it says on standard error: errors
        )
    except (RuntimeError, ValueError) as error:
        if found := _TOO_FEW.search(str(error)):
            raise ValueError(
                f"vocab_size={vocab_size}: expected at least {found[1]}, as each character is a "
                "piece; set it to that or more, or coverage to less"
            ) from None
        raise ValueError(f"sentencepiece found no pieces in the tokens: {error}") from None
    return content.getvalue()


class SubwordIndexer:
    """Tokens to the ids of their pieces: 0 is padding, then those of sentencepiece.

    Args:
        model: a file of sentencepiece, such as ``python -m nerlab subwords`` writes; None: it is
            trained on the tokens of train.
        vocab_size: pieces that are trained, at most.
        coverage: share of the characters of train that are known.
    """

    def __init__(self, model: str | None, vocab_size: int, coverage: float) -> None:
        self.model, self.vocab_size, self.coverage = model, vocab_size, coverage
        self._taken_over: bytes | None = None
        self.notes: list[str] = []

    @property
    def num_ids(self) -> int:
        """How many ids there are."""
        return 1 + len(self._processor)

    def take_over(self, indexer: object) -> None:
        """Have the pieces of another one, unless the model is a file."""
        if isinstance(indexer, SubwordIndexer):
            self._taken_over = indexer.files()[_FILE]

    def fit(self, counts: Iterable[tuple[str, int]]) -> None:
        """Read the model, or train it."""
        if self.model is None and self._taken_over is not None:
            self._begin(self._taken_over, _FILE)
        elif self.model is None:
            content = train_subwords(counts, self.vocab_size, "unigram", self.coverage)
            self._begin(content, _FILE)
        else:
            check_file(Path(self.model).resolve(), _LARGEST)
            self._begin(Path(self.model).read_bytes(), self.model)
        self.notes = [f"subwords: {len(self._processor)} pieces"]

    def pieces(self) -> dict[str, int]:
        """The id of each piece."""
        pieces = map(self._processor.id_to_piece, range(len(self._processor)))
        return {piece: i for i, piece in enumerate(pieces, start=1)}

    def index(self, tokens: Sequence[str]) -> Indexed:
        """``pieces``, the ids of the pieces of each token."""
        pieces = cut_sentencepieces(self._processor, tokens)
        return Indexed({"pieces": with_padding(pieces, self._processor.unk_id())})

    def files(self) -> dict[str, bytes]:
        """The model of sentencepiece."""
        return {_FILE: self._content}

    def load(self, files: Mapping[str, bytes]) -> None:
        """Take the model of sentencepiece from a checkpoint."""
        self._begin(files[_FILE], _FILE)

    def _begin(self, content: bytes, name: str) -> None:
        self._content = content
        self._processor: SentencePieceProcessor = open_sentencepiece(content, name)


class Subwords(nn.Module):
    """The vector of a word from those of its pieces: the first or the mean of all, which know
    nothing of their order, beside the largest values of a convolution over them.

    With piece vectors ``e_p`` (0 outside the word), for each filter

        h = max_p ( b + W_0 e_{p-1} + W_1 e_p + W_2 e_{p+1} )

    Args:
        indexer: gives the number of ids.
        dim: width of the vectors of pieces.
        align: "first" or "mean".
        filters: of the convolution.
    """

    def __init__(
        self, indexer: SubwordIndexer, dim: int, align: Literal["first", "mean"], filters: int
    ) -> None:
        super().__init__()
        self.table = nn.Embedding(indexer.num_ids, dim, padding_idx=PADDING)
        bound = math.sqrt(3.0 / dim)
        with torch.no_grad():
            self.table.weight.uniform_(-bound, bound)[PADDING] = 0.0
        self.align = align
        self.convolution = nn.Conv1d(dim, filters, kernel_size=3, padding=1)
        self.output_dim = dim + filters

    def parameter_groups(self) -> list[ParameterGroup]:
        """A batch uses few of the vectors, and decay would wear down the rare ones."""
        return [ParameterGroup([self.table.weight], sparse=True, weight_decay=False)]

    @staticmethod
    def named_rows(indexer: SubwordIndexer) -> dict[str, dict[str, int]]:
        """The row of each piece."""
        return {"table.weight": indexer.pieces()}

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """``pieces (U, S)``, 0 padded, to ``(U, dim + filters)``."""
        pieces = features["pieces"]
        vectors = self.table(pieces)  # (U, S, dim)
        inside = (pieces != PADDING)[..., None]
        aligned = vectors[:, 0] if self.align == "first" else vectors.sum(1) / inside.sum(1)
        convolved = self.convolution(vectors.transpose(1, 2)).transpose(1, 2)  # (U, S, filters)
        largest = convolved.masked_fill(~inside, -torch.inf).amax(1)
        return torch.cat([aligned, largest], dim=1)
