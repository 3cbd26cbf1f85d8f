"""Published models as embedders: pieces to tokens, windows, groups; runs that begin with one."""

import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from composed import compose
from conftest import run_script
from helpers import TAGGED, one_in
from hypothesis import given, settings
from hypothesis import strategies as st
from published_folders import FAMILIES, make_folder
from torch import Tensor, nn

from nerlab.data.batch import Batch, Batcher
from nerlab.data.build import build_corpus
from nerlab.data.sentence import Sentence
from nerlab.data.vocabulary import Ragged, Vocabulary
from nerlab.models.build import build_tagger, fit_vocabulary
from nerlab.models.decoding import score
from nerlab.models.pretrained import Pretrained, PretrainedIndexer
from nerlab.modules.lstm import LockedDropout
from nerlab.training.optimizer import TaggerOptimizer

POSITIONS = 12  # so few that most sentences go through windows of 10
words = st.sampled_from(["Berlin", "a", "Rome", "Siemens", "\u200b", "x" * 25])
texts = st.lists(st.lists(words, min_size=1, max_size=25), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of each family, and a BERT with few positions."""
    root = tmp_path_factory.mktemp("published")
    for family in FAMILIES:
        make_folder(root / family, family, "ForTokenClassification")
    make_folder(root / "short", "bert", max_position_embeddings=POSITIONS)
    return root


@pytest.fixture(scope="module")
def short(folders: Path) -> PretrainedIndexer:
    return fitted(folders / "short")


def fitted(folder: Path) -> PretrainedIndexer:
    indexer = PretrainedIndexer(str(folder))
    indexer.fit([])
    return indexer


def batch_of(indexer: PretrainedIndexer, text: Sequence[Sequence[str]]) -> Batch:
    sentences = [Sentence(list(tokens), ["O"] * len(tokens)) for tokens in text]
    corpus = build_corpus(sentences, "iob2", False, "test")
    return Batcher(corpus, Vocabulary((), {"embedder": indexer}), False).collate(
        np.arange(len(corpus))
    )


@torch.no_grad()
def vectors(model: Pretrained, batch: Batch) -> Tensor:
    found = model(batch.features["embedder"], batch)
    assert isinstance(found, Tensor)
    return found


@torch.no_grad()
def one_by_one(model: Pretrained, indexer: PretrainedIndexer, tokens: Sequence[str]) -> Tensor:
    """The vectors of a sentence ``(T, D)``: each window by itself, pieces put together in loops."""
    rows = indexer.index(tokens).arrays["pieces"]
    assert isinstance(rows, Ragged)
    ids = torch.from_numpy(rows.values - 1).long()
    n, size = len(ids), model.window
    stride = size - size // 4
    states = torch.empty(n, model.output_dim)
    start = 0
    while True:
        window = ids[start : start + size]
        encoded = model.encode(window[None], torch.tensor([len(window)]))[0]
        first = 0 if start == 0 else (size // 4) // 2  # the one before saw more around these
        states[start + first : start + len(window)] = encoded[first:]
        if start + size >= n:
            break
        start += stride
    bounds = rows.offsets.tolist()
    pieces = [states[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]
    return torch.stack([p[0] if model.align == "first" else p.mean(0) for p in pieces])


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0.0, atol=2e-5)


@settings(max_examples=25)
@given(text=texts, align=st.sampled_from(["first", "mean"]))
def test_a_sentence_is_the_same_alone_in_a_batch_and_window_by_window(
    short: PretrainedIndexer, text: list[list[str]], align: str
) -> None:
    model = made(short, align)
    together = vectors(model, batch_of(short, text))
    for row, tokens in zip(together, text, strict=True):
        alone = vectors(model, batch_of(short, [tokens]))[0]
        assert_close(row[: len(tokens)], alone)
        assert_close(alone, one_by_one(model, short, tokens))


@cache
def made(indexer: PretrainedIndexer, align: str) -> Pretrained:
    return Pretrained(indexer, align, layer_decay=1.0).eval()  # type: ignore[arg-type]


def test_nothing_of_three_thousand_words_is_truncated(short: PretrainedIndexer) -> None:
    rng = np.random.default_rng(1)
    tokens = [str(word) for word in rng.choice(["Berlin", "a", "Rome"], 3000)]
    for align in ("first", "mean"):
        model = made(short, align)
        found = vectors(model, batch_of(short, [tokens]))[0]
        assert found.shape == (3000, 16)
        assert_close(found, one_by_one(model, short, tokens))
        other = vectors(model, batch_of(short, [[*tokens[:-1], "Oslo"]]))[0]
        assert torch.equal(other[:-20], found[:-20])
        assert not torch.equal(other[-1], found[-1])


@pytest.mark.parametrize("align", ["first", "mean"])
def test_nor_of_a_token_of_thousands_of_pieces(folders: Path, align: str) -> None:
    indexer = fitted(folders / "roberta")  # WordPiece has one piece for so long a word
    model = made(indexer, align)
    token = "x" * 4000
    found = vectors(model, batch_of(indexer, [["Rome", token, "Berlin"]]))[0]
    assert_close(found, one_by_one(model, indexer, ["Rome", token, "Berlin"]))
    other = vectors(model, batch_of(indexer, [["Rome", token + "y", "Berlin"]]))[0]
    assert not torch.equal(other[2], found[2])
    assert torch.equal(other[1], found[1]) == (align == "first")


def test_a_sentence_that_fits_is_encoded_as_it_is(short: PretrainedIndexer) -> None:
    model = made(short, "first")
    text = [["Berlin"] * 10, ["Rome"], ["Paris", "the"]]  # "Rome" has four pieces
    batch = batch_of(short, text)
    lengths = [10, 4, 2]
    ids = torch.zeros(3, 10, dtype=torch.long)
    for row, tokens in zip(ids, text, strict=True):
        pieces = short.index(tokens).arrays["pieces"]
        assert isinstance(pieces, Ragged)
        row[: len(pieces.values)] = torch.from_numpy(pieces.values - 1)
    with torch.no_grad():
        encoded = model.encode(ids, torch.tensor(lengths))
    found = vectors(model, batch)
    assert torch.equal(found[0], encoded[0])
    assert torch.equal(found[1, 0], encoded[1, 0])
    assert torch.equal(found[2, :2], encoded[2, :2])


def test_a_window_begins_and_ends_as_the_family_has_it(folders: Path) -> None:
    for family in FAMILIES:
        indexer = fitted(folders / family)
        model = Pretrained(indexer, "first", layer_decay=1.0).eval()
        seen: list[Tensor] = []
        model.pieces.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))
        model.encode(torch.tensor([[5, 6, 7], [8, 9, 9]]), torch.tensor([3, 1]))
        start, end = indexer.tokenizer.start, indexer.tokenizer.end
        padding = 1 if "roberta" in family else 0
        expected = [[start, 5, 6, 7, end], [start, 8, end, padding, padding]]
        assert seen[0].tolist() == expected


def test_each_layer_learns_slower_than_the_one_above(short: PretrainedIndexer) -> None:
    model = Pretrained(short, "first", layer_decay=0.5)
    groups = model.parameter_groups()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    factors = {names[id(p)]: g.learning_rate_factor for g in groups for p in g.parameters}
    assert sum(len(group.parameters) for group in groups) == len(factors) == len(names)
    for name, factor in factors.items():
        assert factor == {"layers.layers.0": 0.5, "layers.layers.1": 1.0}.get(name[:15], 0.25)
    assert all(group.pretrained for group in groups)
    assert [names[id(p)] for g in groups if g.sparse for p in g.parameters] == ["pieces.weight"]


def test_no_weights_are_drawn_that_those_of_a_file_replace(short: PretrainedIndexer) -> None:
    loaded = PretrainedIndexer("not there")
    loaded.load(short.files())
    before = torch.get_rng_state()
    for indexer in (short, loaded):
        Pretrained(indexer, "first", layer_decay=1.0)
        assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("family", one_in(5, FAMILIES))
def test_every_family_learns_eight_sentences_by_heart(folders: Path, family: str) -> None:
    torch.manual_seed(1)
    config = compose("train", ["model=pretrained", f"model.path={folders / family}"])
    pairs = [[token.rsplit("/", 1) for token in line.split()] for line in TAGGED]
    sentences = [Sentence([w for w, _ in pair], [t for _, t in pair]) for pair in pairs]
    corpus = build_corpus(sentences, "iob2", False, "eight sentences")
    vocabulary = fit_vocabulary(config.model, corpus)
    batcher = Batcher(corpus, vocabulary, with_tags=True)
    tagger = build_tagger(config.model, vocabulary).train()
    for module in tagger.modules():
        if isinstance(module, (nn.Dropout, LockedDropout)):
            module.p = 0.0
    for layer in tagger.embedder["embedder"].layers.layers:  # type: ignore[union-attr]
        layer.attention_dropout = 0.0
    config.trainer.learning_rate = 0.01
    optimizer = TaggerOptimizer(tagger, config.trainer, torch.device("cpu"))
    batch = batcher.collate(np.arange(len(corpus)))
    for _ in range(200):
        loss = tagger.loss(batch)
        if loss * batch.lengths.sum() < 0.5:  # every sentence is likelier right than wrong
            break
        optimizer.backward(loss)
        optimizer.step(optimizer.clip(loss.detach()), 0.5)
    assert score(tagger.eval(), vocabulary, batcher, "train", 1000).scores.total.f1 == 1.0


@pytest.fixture(scope="module")
def run(folders: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that began with a folder which is not there any more."""
    root = tmp_path_factory.mktemp("run")
    folder = Path(shutil.copytree(folders / "short", root / "it's = (a) folder"))
    directory = root / "run"
    keys = ("model=pretrained", f"model.path={folder}", "data=conll", "tracker=none")
    more = (f"data.dir={corpus}", f"run.dir={directory}", "trainer.batch_tokens=300")
    result = run_script("train", *keys, *more, "trainer.epochs=3", "trainer.keep_last=10")
    assert result.status == 0, result.err
    assert f"pretrained: {folder}, bert with 2 layers" in (directory / "train.log").read_text()
    shutil.rmtree(folder)
    return directory


def test_a_run_is_scored_and_predicts_without_the_folder(run: Path, tmp_path: Path) -> None:
    (tmp_path / "dev.conll").write_text("Berlin B-LOC\n" * 3000 + "\n")
    keys = (f"checkpoint={run}", f"data.dir={tmp_path}", f"output={tmp_path / 'out'}")
    result = run_script("evaluate", *keys, "split=dev")
    assert result.status == 0, result.err
    predicted = tmp_path / "out" / "evaluation" / "dev" / "predictions.conll"
    assert predicted.read_text().count("Berlin") == 3000
    assert run_script("predict", f"checkpoint={run}", "text=Anna flew to Rome .").status == 0


def test_a_run_goes_on_without_the_folder_to_the_same_bits(run: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(run, tmp_path / "again"))
    steps = sorted((again / "checkpoints").glob("step-*"), key=lambda path: int(path.name[5:]))
    assert run_script("train", f"resume={steps[0]}").status == 0
    first, second = (r / "checkpoints" / "last" / "model.safetensors" for r in (run, again))
    assert first.read_bytes() == second.read_bytes()
