"""Graphs of ONNX compute what torch computes, of batches of any size."""

import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from composed import compose
from helpers import make_batcher, one_in
from hypothesis import example, given, settings
from hypothesis import strategies as st
from published_folders import FAMILIES, SIZES, make_folder, write_tokenizer
from safetensors.torch import save_file
from torch import Tensor, nn

from nerlab.data.batch import Batch, Batcher
from nerlab.data.build import build_corpus
from nerlab.data.sentence import Sentence
from nerlab.data.vocabulary import Vocabulary
from nerlab.models.build import build_tagger, fit_vocabulary
from nerlab.models.onnx import export_emissions, run_emissions, start_session
from nerlab.models.pieces import read_tokenizer
from nerlab.models.pretrained import PretrainedIndexer
from nerlab.models.tagger import Tagger
from nerlab.modules.windows import in_windows

VOCABULARY, BATCHER = make_batcher()
TRANSFORMER = ("model=transformer_crf", "model.encoder.hidden_dim=16", "model.encoder.heads=2")
MODELS = [
    ("model=bilstm_crf", "model.encoder.hidden_dim=16", "model.encoder.layers=2"),
    (*TRANSFORMER, "model.encoder.positions=learned", "model.encoder.max_positions=50"),
    (*TRANSFORMER, "model.encoder.positions=relative"),
    (*TRANSFORMER, "model.encoder.positions=rotary", "model.encoder.norm=post"),
    (*TRANSFORMER, "model.encoder.positions=none"),
    ("model=lstm", "model.encoder.hidden_dim=16"),
    ("model=bilstm", "model.encoder.hidden_dim=16", "model/embedder=words"),
    ("model/encoder=none",),
]
Sentences = Sequence[Sequence[str]]
texts = st.lists(
    st.lists(st.text(min_size=1, max_size=9) | st.just("Paris"), min_size=1, max_size=60),
    min_size=1,
    max_size=4,
)


def tagger_of(*overrides: str) -> Tagger:
    torch.manual_seed(1)
    return build_tagger(compose("train", overrides).model, VOCABULARY).eval()


def export(tagger: Tagger, folder: Path, vocabulary: Vocabulary = VOCABULARY) -> Path:
    """Write the weights and the graph; returns its file."""
    weights = {name: tensor.contiguous() for name, tensor in tagger.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    export_emissions(tagger, vocabulary, folder)
    return folder / "emissions.onnx"


def batch_of(sentences: Sentences, vocabulary: Vocabulary = VOCABULARY) -> Batch:
    untagged = (Sentence(tokens, ["O"] * len(tokens)) for tokens in sentences)
    corpus = build_corpus(untagged, "iobes", False, "test")
    return Batcher(corpus, vocabulary, with_tags=False).collate(np.arange(len(sentences)))


def difference(found: Tensor, expected: Tensor, lengths: Tensor) -> float:
    inside = torch.arange(expected.shape[1]) < lengths[:, None]
    assert found.shape == expected.shape
    return float((found - expected)[inside].abs().max())


@pytest.mark.parametrize("model", one_in(9, range(len(MODELS))))
def test_a_graph_computes_the_emissions_of_any_batch(model: int, tmp_path: Path) -> None:
    tagger = tagger_of(*MODELS[model])
    session = start_session(export(tagger, tmp_path))

    @settings(max_examples=15)
    @given(texts)
    @example([["Paris"]])
    @example([["Paris", "Paris"], ["Paris"]])
    @example([["a"] * 120, ["x" * 80]])
    def holds(sentences: Sentences) -> None:
        batch = batch_of(sentences)
        with torch.no_grad():
            expected = tagger.emissions(batch)
        assert difference(run_emissions(session, batch), expected, batch.lengths) < 1e-4

    holds()


def test_inputs_have_their_names_and_the_weights_stand_once(tmp_path: Path) -> None:
    import onnx

    tagger = tagger_of(*MODELS[1])
    file = export(tagger, tmp_path)
    graph = onnx.load(file, load_external_data=False).graph
    axes = {
        node.name: [axis.dim_param for axis in node.type.tensor_type.shape.dim]
        for node in graph.input
    }
    assert axes == {
        "token_index": ["B", "T"],
        "lengths": ["B"],
        "words.words": ["U"],
        "characters.characters": ["U", "characters.characters.1"],
    }
    assert [node.name for node in graph.output] == ["emissions"]
    trained = {f"tagger.{name}" for name, _ in tagger.named_parameters() if "decoder" not in name}
    # Those that are equal stand for each other: of this tagger the norms are as they began.
    assert {tensor.name for tensor in graph.initializer} <= trained
    assert "tagger.embedder.words.table.weight" in {tensor.name for tensor in graph.initializer}
    assert all(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in graph.initializer)
    assert file.stat().st_size < 300_000
    onnx.checker.check_model(str(file))


def test_what_is_traced_says_nothing_and_leaves_the_tagger_as_it_was(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tagger = tagger_of(*MODELS[0])
    before = {name: tensor.clone() for name, tensor in tagger.state_dict().items()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        export(tagger, tmp_path)
    assert (caught, capfd.readouterr()) == ([], ("", ""))
    assert not any(module.training for module in tagger.modules())
    assert all(torch.equal(before[name], found) for name, found in tagger.state_dict().items())


def holds_for_pieces(tagger: Tagger, vocabulary: Vocabulary, folder: Path) -> None:
    session = start_session(export(tagger, folder, vocabulary))

    @settings(max_examples=15)
    @given(texts)
    @example([["\u200b"]])
    @example([["Berlin"] * 150, ["a"], ["b", "\u200b"]])
    def holds(sentences: Sentences) -> None:
        batch = batch_of(sentences, vocabulary)
        with torch.no_grad():
            expected = tagger.emissions(batch)
        assert difference(run_emissions(session, batch), expected, batch.lengths) < 1e-4

    holds()


@pytest.mark.parametrize("align", [pytest.param("first", marks=pytest.mark.long), "mean"])
def test_a_graph_of_a_model_of_pieces_computes_the_same_of_sentences_of_any_length(
    align: str, tmp_path: Path
) -> None:
    sizes = {**SIZES, "vocab_size": write_tokenizer(tmp_path, "bert"), "type_vocab_size": 2}
    more = {"model_type": "bert", "hidden_act": "gelu", "pad_token_id": 0, "layer_norm_eps": 1e-5}
    more |= dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), 0.1)
    config = json.dumps(sizes | more).encode()
    indexer = PretrainedIndexer("unread")
    indexer.load({"config.json": config, **read_tokenizer(tmp_path).files()})
    vocabulary = Vocabulary(("X",), {"embedder": indexer})
    overrides = ("model=pretrained", "model.path=unread", f"model.embedder.align={align}")
    tagger = build_tagger(compose("train", overrides).model, vocabulary).eval()
    torch.manual_seed(1)
    for parameter in tagger.parameters():  # as of a checkpoint that is not read, they are 0
        nn.init.normal_(parameter, 0.1, 0.3)
    holds_for_pieces(tagger, vocabulary, tmp_path)


@pytest.mark.parametrize("align", [pytest.param("first", marks=pytest.mark.long), "mean"])
def test_a_graph_of_subwords_computes_the_same(align: str, tmp_path: Path) -> None:
    options = (f"align={align}", "indexer.vocab_size=80")
    overrides = ["model/embedder=subwords", *(f"model.embedder.subwords.{o}" for o in options)]
    model = compose("train", overrides).model
    vocabulary = fit_vocabulary(model, BATCHER.corpus)
    holds_for_pieces(build_tagger(model, vocabulary).eval(), vocabulary, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("family", FAMILIES)
def test_a_graph_of_a_published_model_computes_the_same(family: str, tmp_path: Path) -> None:
    overrides = ("model=pretrained", f"model.path={make_folder(tmp_path, family)}")
    model = compose("train", overrides).model
    corpus = build_corpus([Sentence(["Berlin", "x"], ["B-LOC", "O"])], "iob2", False, "test")
    vocabulary = fit_vocabulary(model, corpus)
    holds_for_pieces(build_tagger(model, vocabulary).eval(), vocabulary, tmp_path)


class Windows(nn.Module):
    """An encoder that sees five tokens at once."""

    def __init__(self, input_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(input_dim, input_dim)
        self.output_dim = input_dim

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return in_windows(self._encode, x, lengths, size=5)

    def _encode(self, x: Tensor, lengths: Tensor) -> Tensor:
        inside = torch.arange(x.shape[1]) < lengths[:, None]
        return x.cumsum(1) + (self.linear(x) * inside[..., None]).sum(1, keepdim=True)


def with_encoder(encoder: nn.Module) -> Tagger:
    tagger = tagger_of("model/encoder=none")
    decoder = tagger.get_submodule("decoder")
    return Tagger(tagger.embedder, {"mine": encoder}, decoder, len(VOCABULARY.tags), 0.0).eval()


def width() -> int:
    return tagger_of("model/encoder=none").embedder.output_dim


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4))
@settings(max_examples=20)
@example([5])
@example([6, 1])
def test_windows_over_long_sentences_are_carried(
    windows: tuple[Tagger, Path], lengths: list[int]
) -> None:
    tagger, file = windows
    batch = batch_of([[f"w{i}" for i in range(n)] for n in lengths])
    with torch.no_grad():
        expected = tagger.emissions(batch)
    found = run_emissions(start_session(file), batch)
    assert difference(found, expected, batch.lengths) < 1e-4


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tagger, Path]:
    tagger = with_encoder(Windows(width()))
    return tagger, export(tagger, tmp_path_factory.mktemp("windows"))


class Mine(nn.Module):
    """An encoder of somebody's own, with a buffer that is not saved."""

    def __init__(self, body: Callable[[Tensor, Tensor], Tensor], takes_batch: bool = False) -> None:
        super().__init__()
        self.body, self.takes_batch, self.output_dim = body, takes_batch, width()
        self.scale = nn.Buffer(torch.linspace(-1, 1, self.output_dim), persistent=False)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.body(x * self.scale, lengths)


def test_a_part_of_ones_own_is_carried_with_what_it_does_not_save(tmp_path: Path) -> None:
    tagger = with_encoder(Mine(lambda x, lengths: x.tanh()))
    session, batch = start_session(export(tagger, tmp_path)), batch_of([["a", "b"]])
    with torch.no_grad():
        expected = tagger.emissions(batch)
    assert difference(run_emissions(session, batch), expected, batch.lengths) < 1e-5


def by_size(x: Tensor, lengths: Tensor) -> Tensor:
    return x if x.shape[1] > 5 else -x


def by_value(x: Tensor, lengths: Tensor) -> Tensor:
    return x * int(lengths.max())


def not_in_onnx(x: Tensor, lengths: Tensor) -> Tensor:
    return torch.special.bessel_j0(x)


def fails(x: Tensor, lengths: Tensor) -> Tensor:
    raise KeyError("what\never")


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (Mine(by_size), r"emissions of 1 sentences of up to 1 tokens differ by "),
        (Mine(by_value), r"emissions of 1 sentences of up to 1 tokens differ by "),
        (Mine(not_in_onnx), r".*bessel_j0"),
        (Mine(fails), r"'what\\never'"),
        (Mine(by_size, takes_batch=True), r"mine looks at the whole batch"),
    ],
)
def test_a_part_that_cannot_be_carried_is_named_in_one_line(
    part: Mine, reason: str, tmp_path: Path
) -> None:
    name = rf"mine \({__name__}\.Mine\)"
    with pytest.raises(ValueError, match=rf"^format=onnx: .* of your own, {name}: {reason}") as e:
        export(with_encoder(part), tmp_path)
    assert len(str(e.value).splitlines()) == 1


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_a_library_that_is_missing_is_one_line(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ValueError, match=rf"needs {library} .*pip install 'nerlab\[onnx\]'$"):
        export(tagger_of("model/encoder=none"), tmp_path)


def test_a_broken_graph_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "emissions.onnx").write_bytes(b"\x08\x07nonsense")
    with pytest.raises(ValueError, match=r"emissions\.onnx: onnxruntime cannot load it \(.*\)$"):
        start_session(tmp_path / "emissions.onnx")
