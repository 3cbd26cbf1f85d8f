"""A run begins with the weights of another: row by row, against loops over names."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from composed import compose
from conftest import SMALL_MODEL, run_script
from helpers import reseal
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import load_file

from nerlab.data.build import build_corpus
from nerlab.data.corpus import Corpus
from nerlab.data.sentence import Sentence
from nerlab.data.vocabulary import FIRST_ID, Vocabulary
from nerlab.models.build import build_tagger, fit_vocabulary
from nerlab.models.loading import Checkpoint
from nerlab.training.warm_start import begin_with

WEIGHTS = Path("checkpoints", "best", "model.safetensors")
MODEL = [key for key in SMALL_MODEL if key.startswith("model")]
WORDS = ("Ada", "ada", "Paris", "met", "in", "7", "x", "İx", "Q-1", "\ud800")
LABELS = ("PER", "LOC", "ORG", "x-y")


def corpus_of(words: Sequence[str], labels: Sequence[str]) -> Corpus:
    """All words, each twice, of which some are entities."""
    tags = [f"B-{label}" for label in labels] + ["O"] * len(words)
    sentences = [Sentence(list(words), tags[: len(words)])] * 2
    return build_corpus(sentences, "iob2", False, "words")


def checkpoint_of(model: DictConfig, words: Sequence[str], labels: Sequence[str]) -> Checkpoint:
    """As loaded: a tagger with weights of its own."""
    torch.manual_seed(7)
    vocabulary = fit_vocabulary(model, corpus_of(words, labels))
    tagger = build_tagger(model, vocabulary)
    config = compose("train", MODEL)
    return Checkpoint(tagger, vocabulary, config, Path("before"))


def begun(
    model: DictConfig, vocabulary: Vocabulary, before: Checkpoint
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], list[str]]:
    """The weights as drawn, those of a tagger that begins with others, and what is said."""
    weights, lines = [], [""]
    for is_warm in (False, True):
        torch.manual_seed(1)
        tagger = build_tagger(model, vocabulary)
        if is_warm:
            lines = begin_with(before, tagger, vocabulary)
        weights.append(tagger.state_dict())
    return weights[0], weights[1], lines


subsets = st.lists(st.sampled_from(WORDS), min_size=4, unique=True)
labels = st.lists(st.sampled_from(LABELS), min_size=1, max_size=4, unique=True)


# A failure is plain as it is; to shrink it takes minutes.
@settings(max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(words=subsets, old_words=subsets, new_labels=labels, old_labels=labels)
def test_rows_and_tags_go_by_what_they_stand_for(
    words: list[str], old_words: list[str], new_labels: list[str], old_labels: list[str]
) -> None:
    model = compose("train", MODEL).model
    before = checkpoint_of(model, old_words, old_labels)
    new_corpus = corpus_of(words, new_labels)
    vocabulary = fit_vocabulary(model, new_corpus, (), before.vocabulary)
    drawn, found, _ = begun(model, vocabulary, before)
    old = before.tagger.state_dict()

    alone = fit_vocabulary(model, new_corpus)
    new_words, known, of_corpus = (
        v.indexers["words"].words  # type: ignore[attr-defined]
        for v in (vocabulary, before.vocabulary, alone)
    )
    assert new_words.keys() == known.keys() | of_corpus.keys()
    table = "embedder.words.table.weight"
    for word, row in new_words.items():
        expected = old[table][known[word]] if word in known else drawn[table][row]
        assert torch.equal(found[table][row], expected), word
    assert torch.equal(found[table][:FIRST_ID], old[table][:FIRST_ID])

    characters, known_characters = (
        v.indexers["characters"].characters  # type: ignore[attr-defined]
        for v in (vocabulary, before.vocabulary)
    )
    assert set(characters) >= set(known_characters)
    name = "embedder.characters.embedding"
    for i, character in enumerate(characters, start=FIRST_ID):
        expected = drawn[name][i]
        if character in known_characters:
            expected = old[name][FIRST_ID + known_characters.index(character)]
        assert torch.equal(found[name][i], expected)

    places = [
        before.vocabulary.tags.index(tag) if tag in before.vocabulary.tags else None
        for tag in vocabulary.tags
    ]
    for i, row in enumerate(places):
        for name in ("linear.weight", "linear.bias", "decoder.start_transitions"):
            assert torch.equal(found[name][i], drawn[name][i] if row is None else old[name][row])
        for j, column in enumerate(places):
            name, is_known = "decoder.transitions", row is not None and column is not None
            assert torch.equal(
                found[name][i, j], old[name][row, column] if is_known else drawn[name][i, j]
            )
    for name in (n for n in found if n.startswith(("stages.", "embedder.characters.weights"))):
        assert torch.equal(found[name], old[name])


def test_what_differs_in_shape_or_class_stays_new_and_is_named() -> None:
    model = compose("train", MODEL).model
    before = checkpoint_of(model, WORDS, LABELS)
    keys = [*MODEL, "model.encoder.hidden_dim=16", "model/decoder=softmax"]
    other = compose("train", keys).model
    vocabulary = fit_vocabulary(other, corpus_of(WORDS, LABELS), (), before.vocabulary)
    drawn, found, lines = begun(other, vocabulary, before)
    for name in (name for name in found if name.startswith("stages")):
        assert torch.equal(found[name], drawn[name])
    text = "\n".join(lines)
    assert "  stages.encoder: new: layers.0.forwards.weight_ih_l0 is (64, 48) there" in text
    assert "  embedder.words: 176 of 176 numbers\n" in text
    assert "  linear: new: weight is (17, 32) there, (17, 16) here" in text
    third = compose("train", [*MODEL, "model/encoder=transformer", "model.encoder.hidden_dim=16"])
    _, _, lines = begun(third.model, vocabulary, before)
    assert "  stages.encoder: new: it is a LSTM there" in lines


def test_a_model_that_has_nothing_in_common_is_refused() -> None:
    model = compose("train", MODEL).model
    before = checkpoint_of(model, WORDS, LABELS)
    other = compose(
        "train",
        [
            "model/embedder=subwords",
            "model.encoder.hidden_dim=16",
            "model.embedder.subwords.indexer.vocab_size=40",
            "model/decoder=softmax",
        ],
    ).model
    vocabulary = fit_vocabulary(other, corpus_of(WORDS[:5], ["NEW"]), (), before.vocabulary)
    tagger = build_tagger(other, vocabulary)
    with pytest.raises(
        ValueError, match=r"^init=before: nothing in it fits; expected a model with [^\n]+$"
    ):
        begin_with(before, tagger, vocabulary)


def train(corpus: Path, run: Path, *keys: str) -> str:
    """Train; returns what is printed."""
    result = run_script("train", *SMALL_MODEL, f"data.dir={corpus}", f"run.dir={run}", *keys)
    assert (result.status, result.err) == (0, "")
    return result.out


def f1_of(run: Path) -> float:
    return float(json.loads((run / "evaluation" / "dev" / "metrics.json").read_text())["f1"])


def test_without_a_step_a_run_is_as_good_as_the_one_that_it_begins_with(
    run: Path, corpus: Path, tmp_path: Path
) -> None:
    keys = ("trainer.learning_rate=0", "trainer.epochs=1", f"init={run}")
    printed = train(corpus, tmp_path / "run", *keys)
    weights = sum(tensor.numel() for tensor in load_file(run / WEIGHTS).values())
    assert f"init: {weights:,} of {weights:,} numbers are those of {run}\n" in printed
    old, new = load_file(run / WEIGHTS), load_file(tmp_path / "run" / WEIGHTS)
    assert old.keys() == new.keys()
    assert all(torch.equal(old[name], new[name]) for name in old)
    assert f1_of(tmp_path / "run") == f1_of(run) > 0.5


def test_a_run_goes_on_without_the_one_that_it_began_with(
    run: Path, corpus: Path, tmp_path: Path
) -> None:
    before = tmp_path / "before, (1) = ünsere"  # what Hydra would read otherwise
    shutil.copytree(run / "checkpoints" / "best", before)
    keys = (f"init={before}", "trainer.epochs=1", "trainer.ema=0.5")
    train(corpus, tmp_path / "run", *keys)
    shutil.rmtree(before)
    assert OmegaConf.load(tmp_path / "run" / "config.yaml").init == str(before)
    resumed = run_script("train", f"resume={tmp_path / 'run'}")
    assert (resumed.status, resumed.err) == (0, "")
    assert "the run is finished" in resumed.out
    train(corpus, tmp_path / "run", *keys, "resume=auto")
    refused = run_script("train", f"resume={tmp_path / 'run'}", f"init={run}")
    assert refused.err.startswith("error: init: a run that is resumed goes on as it began")
    begun = run_script("train", *SMALL_MODEL, f"data.dir={corpus}", *keys)
    assert begun.err.startswith(f"error: {before}: no such folder; expected a run")


def test_other_labels_and_another_corpus_are_said(run: Path, tmp_path: Path) -> None:
    text = "Zoe B-PER\nflew O\nto O\nQuux B-TOWN\n\n" * 2
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.conll").write_text(text)
    printed = train(tmp_path, tmp_path / "run", f"init={run}", "trainer.epochs=1")
    assert "  labels that it lacks: TOWN\n  labels left out: LOC\n" in printed
    before = json.loads((run / "checkpoints" / "best" / "indexer.words.words.json").read_bytes())
    found = json.loads(
        (tmp_path / "run" / "checkpoints" / "best" / "indexer.words.words.json").read_bytes()
    )
    assert set(found["words"]) == {*before["words"], "zoe", "quux"}
    assert found["singletons"] == 0


def test_what_somebody_else_wrote_is_looked_at_before_it_is_used(
    run: Path, corpus: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(run / "checkpoints" / "best", tmp_path / "before"))
    keys = (*SMALL_MODEL, f"data.dir={corpus}", f"run.dir={tmp_path / 'run'}", f"init={folder}")
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("nerlab.modules.lstm.LSTM", "os.system"))
    refused = run_script("train", *keys)
    assert refused.err.startswith(f"error: {folder}/config.yaml: broken file, its checksum")
    reseal(folder)
    refused = run_script("train", *keys)
    assert refused.err.startswith(f"error: {folder}/config.yaml: model.encoder: _target_ 'os.sys")
    assert (refused.err.count("\n"), (tmp_path / "run").exists()) == (1, False)
