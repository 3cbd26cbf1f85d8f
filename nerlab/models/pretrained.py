"""A published model (BERT, RoBERTa, XLM-RoBERTa, DistilBERT, ELECTRA), to be fine-tuned."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nerlab.data.batch import Batch
from nerlab.data.vocabulary import Indexed
from nerlab.models.architecture import Architecture, read_config
from nerlab.models.pieces import Tokenizer, index_pieces, load_tokenizer, read_tokenizer
from nerlab.models.published import read_json, read_weights
from nerlab.models.tagger import ParameterGroup
from nerlab.modules.transformer import Layer, Layers, LearnedPositions
from nerlab.modules.windows import in_windows

CONFIG = "config.json"
_SPECIAL = 2  # pieces of each window that are no token's: [CLS] and [SEP]


class PretrainedIndexer:
    """Tokens to the ids of their pieces, as the tokenizer of a published model cuts them.

    Args:
        path: the folder of the model, see :mod:`nerlab.models.published`. A new run reads it; the
            checkpoint then has all that is needed.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.weights: Path | None = None  # the folder they are read from, where the run is new
        self.notes: list[str] = []
        self._is_taken_over = False

    def take_over(self, indexer: object) -> None:
        """Have the architecture and the tokenizer of another one; the folder is not needed then."""
        if isinstance(indexer, PretrainedIndexer):
            self.load(indexer.files())
            self._is_taken_over = True

    def fit(self, counts: Iterable[tuple[str, int]]) -> None:
        """Read the folder, all but the weights; nothing of it depends on the tokens of train."""
        if self._is_taken_over:
            return
        folder = Path(str(self.path))  # null is none either
        if not folder.is_dir():
            raise ValueError(
                f"{self.path}: no such folder; expected that of a published model, with {CONFIG}, "
                "the weights and the files of its tokenizer; download it first"
            )
        self._begin(read_json(folder / CONFIG), str(folder / CONFIG), read_tokenizer(folder))
        self.weights = folder

    def index(self, tokens: Sequence[str]) -> Indexed:
        """``pieces``, the id plus 1 of each piece of each token."""
        return index_pieces(self.tokenizer, tokens)

    def files(self) -> dict[str, bytes]:
        """The config.json of the model and the files of its tokenizer."""
        return {CONFIG: self._config, **self.tokenizer.files()}

    def load(self, files: Mapping[str, bytes]) -> None:
        """Take the model's config.json and its tokenizer from a checkpoint."""
        tokenizer = {name: content for name, content in files.items() if name != CONFIG}
        self._begin(files[CONFIG], CONFIG, load_tokenizer(tokenizer))

    def _begin(self, config: bytes, where: str, tokenizer: Tokenizer) -> None:
        try:
            self.architecture: Architecture = read_config(config)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if tokenizer.num_pieces > self.architecture.num_pieces:
            raise ValueError(
                f"{where}: expected vocab_size to be at least the {tokenizer.num_pieces} pieces of "
                f"the tokenizer, found {self.architecture.num_pieces}; they are of different models"
            )
        self._config, self.tokenizer = config, tokenizer


class Pretrained(nn.Module):
    """The last hidden states of a published model, one for each token.

        e_i = norm(piece_i + position_i + type_0) → dropout → [projection] → layers

    over ``[CLS] pieces of the sentence [SEP]``. A sentence of more pieces than there are positions
    goes through overlapping windows, each with its own [CLS] and [SEP]: nothing is truncated.

    Args:
        indexer: gives architecture and tokenizer, and, where the run is new, the weights.
        align: the vector of a token is that of its "first" piece or the "mean" of all of them.
        layer_decay: the learning rate of layer l of L is multiplied by ``layer_decay^(L - l)``,
            that of the embeddings by ``layer_decay^L`` (Sun et al. 2019).
    """

    contextual = True

    def __init__(
        self, indexer: PretrainedIndexer, align: Literal["first", "mean"], layer_decay: float
    ) -> None:
        super().__init__()
        self.align, self.layer_decay = align, layer_decay
        model = indexer.architecture
        self.start, self.end = indexer.tokenizer.start, indexer.tokenizer.end
        self.padding, self.window = model.padding, model.positions - _SPECIAL
        self.output_dim = model.dim
        with torch.device("meta"):  # the weights come from a file
            width = model.embedding_dim
            self.pieces = nn.Embedding(model.num_pieces, width, padding_idx=model.padding)
            self.positions = LearnedPositions(model.positions, width, model.first_position)
            self.types = nn.Embedding(model.types, width) if model.types else None
            self.norm = nn.LayerNorm(width, model.epsilon)
            self.dropout = nn.Dropout(model.dropout)
            self.project = nn.Linear(width, model.dim) if width != model.dim else nn.Identity()
            self.layers = Layers(
                Layer(
                    model.dim,
                    model.heads,
                    model.feedforward_dim,
                    model.dropout,
                    model.attention_dropout,
                    norm="post",
                    attention="plain",
                    epsilon=model.epsilon,
                )
                for _ in range(model.layers)
            )
        if indexer.weights is not None:
            self.load_state_dict(self._read(indexer), assign=True)
        else:  # those of a checkpoint are about to be loaded
            self.to_empty(device=torch.get_default_device())

    def _read(self, indexer: PretrainedIndexer) -> dict[str, Tensor]:
        """The weights in the folder of the indexer, whose notes say what was found."""
        assert indexer.weights is not None
        model = indexer.architecture
        shapes = {name: weights.shape for name, weights in self.state_dict().items()}
        weights, heads = read_weights(indexer.weights, model.family, shapes)
        indexer.notes = [
            f"pretrained: {indexer.weights}, {model.family} with {model.layers} layers of width "
            f"{model.dim}, {model.num_pieces} pieces, {model.positions} positions"
        ]
        if heads:
            names = ", ".join(sorted(heads))
            indexer.notes.append(f"pretrained: left out, of another task: {names:.200}")
        return weights

    def parameter_groups(self) -> list[ParameterGroup]:
        """The embeddings, then one group a layer, with their learning rates; a batch uses few of
        the vectors of pieces, and decay would wear down the rare ones."""
        layers = [list(layer.parameters()) for layer in self.layers.layers]
        factors = [self.layer_decay**i for i in range(len(layers), -1, -1)]
        pieces = self.pieces.weight
        inside = {id(p) for layer in layers for p in layer} | {id(pieces)}
        groups = [[p for p in self.parameters() if id(p) not in inside], *layers]
        return [
            ParameterGroup([pieces], True, False, factors[0], pretrained=True),
            *(
                ParameterGroup(group, learning_rate_factor=factor, pretrained=True)
                for group, factor in zip(groups, factors, strict=True)
            ),
        ]

    def forward(self, features: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """``pieces (U, P)``, id + 1, of the distinct tokens to the vectors ``(B, T, D)``."""
        pieces = features["pieces"]
        T = batch.token_index.shape[1]
        inside = torch.arange(T, device=pieces.device) < batch.lengths[:, None]
        counts = (pieces > 0).sum(1)[batch.token_index] * inside  # (B, T) pieces of each token
        ids, token = lay_out(pieces, counts, batch)
        x = in_windows(self.encode, ids, counts.sum(1), self.window)
        return first_piece(x, counts) if self.align == "first" else mean_of_pieces(x, counts, token)

    def encode(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Pieces ``(M, W)`` that fit into the positions to their vectors ``(M, W, D)``."""
        ids = F.pad(F.pad(ids, (1, 0), value=self.start), (0, 1), value=self.padding)
        end = (lengths + 1)[:, None]
        steps = torch.arange(ids.shape[1], device=ids.device)
        ids = ids.masked_fill(steps == end, self.end).masked_fill(steps > end, self.padding)
        x = self.pieces(ids) + self.positions(ids.shape[1])  # (M, W + 2, E)
        if self.types is not None:
            x = x + self.types.weight[0]
        x = self.project(self.dropout(self.norm(x)))
        x = x.to(self.norm.weight.dtype)  # autocast would round every sum to come
        return self.layers(x, lengths + _SPECIAL)[:, 1:-1]


def lay_out(pieces: Tensor, counts: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """The pieces of each sentence one after the other: their ids, and of which token each is, both
    ``(B, S)``; beyond the sentence they mean nothing.

    Args:
        pieces: ``(U, P)``, id + 1, of the distinct tokens.
        counts: ``(B, T)`` pieces of each token, 0 on padding.
        batch: S is the number of its positions.
    """
    B, S = counts.shape[0], batch.positions.shape[0]  # ONNX takes len() for a constant
    starts = counts.cumsum(1) - counts
    # 1 where a token starts, summed up. Padding starts at the end of the sentence, which may be S.
    marks = torch.zeros(B, S + 1, dtype=torch.long, device=counts.device).scatter(1, starts, 1)
    token = marks[:, :S].cumsum(1) - 1
    place = (batch.positions - starts.gather(1, token)).clamp(max=pieces.shape[1] - 1)
    ids = pieces[batch.token_index.gather(1, token), place] - 1
    return ids.clamp(min=0), token


def first_piece(x: Tensor, counts: Tensor) -> Tensor:
    """The vector of the first piece of each token ``(B, T, D)``, of those of pieces ``(B, S, D)``
    and how many each token has ``(B, T)``."""
    B, S = x.shape[:2]
    starts = (counts.cumsum(1) - counts).clamp(max=S - 1)
    return F.embedding(torch.arange(B, device=x.device)[:, None] * S + starts, x.flatten(0, 1))


def mean_of_pieces(x: Tensor, counts: Tensor, token: Tensor) -> Tensor:
    """The mean of the vectors of the pieces of each token ``(B, T, D)``; ``token (B, S)`` says
    whose they are, and ``x`` is 0 beyond a sentence."""
    B, T = counts.shape
    D = x.shape[2]
    rows = torch.arange(B, device=x.device)[:, None] * T + token
    # Scattered, which ONNX has.
    of = rows.flatten()[:, None].expand(-1, D)  # (B S, D)
    sums = x.new_zeros(B * T, D).scatter_add(0, of, x.flatten(0, 1))
    return sums.view(B, T, D) / counts.clamp(min=1)[..., None]
