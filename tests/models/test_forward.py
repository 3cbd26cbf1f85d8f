"""A batch goes through a new tagger: what breaks its contract is named, nothing is changed."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from composed import compose
from helpers import make_batcher, make_crf, make_embedders
from test_presets import DECODERS, EMBEDDERS, ENCODERS, PUBLISHED, VOCABULARY
from torch import Tensor, nn

from nerlab.data.batch import Batch
from nerlab.models.build import build_tagger, part_keys
from nerlab.models.forward import example_batch, trace
from nerlab.models.tagger import Embedders, Tagger

SMALL, _ = make_batcher()
K = len(SMALL.tags)
KEYS = {
    "embedder.words": "model.embedder.words",
    "embedder.characters": "model.embedder.characters",
    "stages.encoder": "model.encoder",
    "decoder": "model.decoder",
}


class Encoder(nn.Module):
    """Says that its output is ``output_dim`` wide, and returns what it is told to."""

    def __init__(self, returned: Callable[[Tensor], Any], output_dim: int = 6) -> None:
        super().__init__()
        self.returned, self.output_dim = returned, output_dim
        self.norm = nn.BatchNorm1d(6)

    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        torch.rand(3)  # whatever the mode
        normed: Tensor = self.norm(x[..., :6].transpose(1, 2))
        return self.returned(normed.transpose(1, 2))


def tagger_with(stage: nn.Module, embedder: Embedders | None = None) -> Tagger:
    embedder = embedder or make_embedders(SMALL, rare_word_dropout=0.5)
    return Tagger(embedder, {"encoder": stage}, make_crf(SMALL.tags), K, dropout=0.5)


def refusal(tagger: Tagger) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the line is looked at here
        trace(tagger, example_batch(SMALL), KEYS)
    assert "\n" not in str(caught.value)
    return str(caught.value)


ENCODER = "model.encoder: what forward returns: expected"
AXES = "(B, T, output_dim) = (3, 9, 6)"


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (
            lambda x: x[..., :4],
            f"{ENCODER} {AXES}, found (3, 9, 4); self.output_dim is 6, set it to 4",
        ),
        (lambda x: x.transpose(0, 1), f"{ENCODER} {AXES}, found (9, 3, 6)"),
        (lambda x: x[:, 1:], f"{ENCODER} {AXES}, found (3, 8, 6)"),
        (lambda x: x.flatten(0, 1), f"{ENCODER} {AXES}, found (27, 6)"),
        (lambda x: (x, x), f"{ENCODER} a tensor (B, T, output_dim), found a tuple"),
        (lambda x: None, f"{ENCODER} a tensor (B, T, output_dim), found a NoneType"),
        (
            lambda x: x.flatten(0, 1) @ torch.ones(5, 6),
            "model.encoder: fails on 3 sentences of up to 9 tokens: mat1 and mat2 shapes cannot "
            "be multiplied (27x6 and 5x6)",
        ),
        (lambda x: {"b": 1}["a"], "model.encoder: fails on 3 sentences of up to 9 tokens: 'a'"),
    ],
)
def test_an_encoder_that_breaks_its_contract_is_named_in_one_line(
    returned: Callable[[Tensor], Any], expected: str
) -> None:
    assert refusal(tagger_with(Encoder(returned))) == expected


class Embedder(nn.Module):
    """Ones of any shape; ``contextual`` as it is told."""

    def __init__(self, contextual: bool, output_dim: int, *shape: int) -> None:
        super().__init__()
        self.contextual, self.output_dim, self.shape = contextual, output_dim, shape

    def forward(self, features: Mapping[str, Tensor], batch: Batch | None = None) -> Tensor:
        return torch.ones(self.shape)


@pytest.mark.parametrize(
    ("embedder", "expected"),
    [
        (Embedder(False, 6, 19, 5), "(U, output_dim) = (19, 6), found (19, 5); self.output_dim is"),
        (Embedder(False, 6, 18, 6), "(U, output_dim) = (19, 6), found (18, 6)"),
        (Embedder(False, 6, 3, 9, 6), "(U, output_dim) = (19, 6), found (3, 9, 6)"),
        (Embedder(True, 6, 3, 9, 7), f"{AXES}, found (3, 9, 7); self.output_dim is 6, set it to 7"),
        (Embedder(True, 6, 19, 6), f"{AXES}, found (19, 6)"),
    ],
)
def test_an_embedder_that_breaks_its_contract_is_named(embedder: Embedder, expected: str) -> None:
    parts = Embedders({**make_embedders(SMALL), "words": embedder})
    found = refusal(tagger_with(Encoder(lambda x: x), parts))
    assert found.startswith(f"model.embedder.words: what forward returns: expected {expected}")


@pytest.mark.parametrize("method", ["loss", "nll", "decode", "marginals", "path_log_probabilities"])
def test_a_decoder_that_breaks_its_contract_is_named(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagger = tagger_with(Encoder(lambda x: x))
    trace(tagger, example_batch(SMALL), KEYS)
    wrong = torch.ones(2, 2)
    returned = (wrong, wrong) if method == "path_log_probabilities" else wrong
    monkeypatch.setattr(tagger.decoder, method, lambda *_: returned)
    assert refusal(tagger).startswith(f"model.decoder: what {method} returns: expected (")
    monkeypatch.setattr(tagger.decoder, method, None)
    assert refusal(tagger).startswith("model.decoder: fails on 3 sentences of up to 9 tokens: ")


def test_nothing_is_left_behind() -> None:
    torch.manual_seed(1)
    encoder, embedders = Encoder(lambda x: x), make_embedders(SMALL, rare_word_dropout=0.5)
    tagger = tagger_with(encoder, embedders)
    encoder.norm.eval()  # as somebody may have it
    table = next(module for module in embedders.modules() if isinstance(module, nn.Embedding))
    table.sparse = True
    modes = [module.training for module in tagger.modules()]
    before = {name: tensor.clone() for name, tensor in tagger.state_dict().items()}
    rng_state = torch.get_rng_state()
    trace(tagger, example_batch(SMALL), KEYS)
    assert torch.equal(torch.get_rng_state(), rng_state)
    assert [module.training for module in tagger.modules()] == modes
    assert sum(modes) == len(modes) - 1
    after = tagger.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert table.sparse
    assert all(p.grad is None and p.requires_grad for p in tagger.parameters())
    shapes = trace(tagger, example_batch(SMALL), KEYS)
    tagger.emissions(example_batch(SMALL, (5,)))  # which no hook hears of
    assert shapes["linear"] == (3, 9, K)


CHOICES = [
    *(f"model/embedder={name}" for name in EMBEDDERS if name != PUBLISHED),
    *(f"model/encoder={name}" for name in ENCODERS),
    *(f"model/decoder={name}" for name in DECODERS),
]


@pytest.mark.parametrize("choice", CHOICES)
def test_parts_of_nerlab_keep_their_contracts(choice: str) -> None:
    config = compose("train", [choice])
    tagger, keys = build_tagger(config.model, VOCABULARY), part_keys(config.model)
    shapes = trace(tagger, example_batch(VOCABULARY), keys)
    assert keys.keys() <= shapes.keys()
    for name, part in tagger.embedder.items():
        assert shapes[f"embedder.{name}"] == (19, int(part.output_dim))  # type: ignore[arg-type]
    for name, part in tagger.stages.items():
        assert shapes[f"stages.{name}"] == (3, 9, int(part.output_dim))  # type: ignore[arg-type]
    assert shapes["linear"] == (3, 9, len(VOCABULARY.tags))
    assert shapes["decoder"] == (3, 9)
