"""The probability of an entity in a sentence whose words are masked, against plain predictions."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from composed import compose
from helpers import make_batcher
from published_folders import FAMILIES, make_folder
from torch import Tensor, nn

from nerlab.data.batch import Batch, Batcher
from nerlab.data.build import build_corpus
from nerlab.data.sentence import Sentence
from nerlab.inference.masking import MASK, MaskedSentence, TaggedSpan
from nerlab.models.build import build_tagger, fit_vocabulary
from nerlab.models.loading import Checkpoint
from nerlab.models.pretrained import Pretrained, PretrainedIndexer

TOKENS = ["Yesterday", "Ada", "Lovelace", "wrote", "to", "unheard", "Ada", "from", "Geneva"]
SPAN = TaggedSpan(1, 3, "PER", ["B-PER", "E-PER"])
MODELS = (
    ("model=bilstm_crf",),
    ("model=bilstm",),
    ("model=transformer_crf",),
    (
        "model=bilstm_crf",
        "model/embedder=subwords",
        "model.embedder.subwords.indexer.vocab_size=80",
    ),
)


def checkpoint_of(*keys: str) -> Checkpoint:
    """A tagger of the eight sentences, not trained, in float64."""
    torch.manual_seed(1)
    config = compose("train", keys)
    _, batcher = make_batcher()
    vocabulary = fit_vocabulary(config.model, batcher.corpus)
    tagger = build_tagger(config.model, vocabulary).double().eval()
    for parameter in tagger.parameters():
        parameter.data *= 2  # so that words make a difference
    return Checkpoint(tagger, vocabulary, config, Path())


@pytest.fixture(scope="module", params=MODELS, ids=lambda keys: "-".join(keys))
def checkpoint(request: pytest.FixtureRequest) -> Checkpoint:
    return checkpoint_of(*request.param)


@pytest.fixture(
    scope="module",
    params=[pytest.param(f, marks=[pytest.mark.long] * (f != "bert")) for f in FAMILIES],
)
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Checkpoint:
    """A published model of 14 positions, so a sentence goes through several windows."""
    folder = tmp_path_factory.mktemp("published") / request.param
    make_folder(folder, request.param, max_position_embeddings=14)
    return checkpoint_of("model=pretrained", f"model.path={folder}")


def batch_of(checkpoint: Checkpoint, tokens: Sequence[str]) -> Batch:
    sentence = Sentence(tokens, ["O"] * len(tokens))
    corpus = build_corpus([sentence], "iob2", False, "text")
    return Batcher(corpus, checkpoint.vocabulary, with_tags=False).collate(np.arange(1))


def log_p(checkpoint: Checkpoint, batch: Batch) -> float:
    """log p of the span, put together token by token."""
    tags = torch.zeros(1, len(TOKENS), dtype=torch.long)
    for t, tag in enumerate(SPAN.tags, start=SPAN.start):
        tags[0, t] = checkpoint.vocabulary.tags.index(tag)
    tagger = checkpoint.tagger
    with torch.no_grad():
        emissions = tagger.emissions(batch)
        marginal, conditional = tagger.decoder.path_log_probabilities(
            emissions, batch.lengths, tags
        )
    return float(marginal[0, SPAN.start] + conditional[0, SPAN.start + 1])


def some_masks() -> np.ndarray:
    masks = np.random.default_rng(1).integers(0, 2, (4, len(TOKENS)))
    return np.concatenate([np.ones((1, len(TOKENS))), np.zeros((1, len(TOKENS))), masks])


def test_a_masked_word_is_the_unknown_word(checkpoint: Checkpoint) -> None:
    masks = some_masks()
    found = MaskedSentence(checkpoint, TOKENS, SPAN).values(masks)
    for mask, value in zip(masks, found, strict=True):
        tokens = [token if kept else MASK for token, kept in zip(TOKENS, mask, strict=True)]
        assert value == pytest.approx(log_p(checkpoint, batch_of(checkpoint, tokens)), abs=1e-9)
    assert len(set(found.round(6))) == len(found)


def test_a_masked_word_of_a_published_model_is_so_many_unknown_pieces(
    published: Checkpoint,
) -> None:
    masks = some_masks()
    found = MaskedSentence(published, TOKENS, SPAN).values(masks)
    (part,) = published.tagger.embedder.values()
    assert isinstance(part, Pretrained)
    (indexer,) = published.vocabulary.indexers.values()
    assert isinstance(indexer, PretrainedIndexer)
    for mask, value in zip(masks, found, strict=True):
        batch = batch_of(published, TOKENS)
        # Ada, who stands there twice, is two words, one of which may be masked.
        pieces = batch.features["embedder"]["pieces"][batch.token_index[0]].clone()  # (T, P)
        for t, kept in enumerate(mask):
            if not kept:
                pieces[t][pieces[t] > 0] = indexer.tokenizer.unknown + 1
        features = {"embedder": {"pieces": pieces}}
        batch = replace(batch, features=features, token_index=torch.arange(len(TOKENS))[None])
        assert value == pytest.approx(log_p(published, batch), abs=1e-9)
    assert len(set(found.round(6))) == len(found)


def hold_gradients(checkpoint: Checkpoint) -> None:
    """Gradients are finite differences."""
    f, T, h = MaskedSentence(checkpoint, TOKENS, SPAN), len(TOKENS), 1e-6
    z = np.random.default_rng(2).random((2, T))
    found = f.gradients(z)
    for row, gradient in zip(z, found, strict=True):
        low, high = (f.values(row + side * h * np.eye(T)) for side in (-1, 1))
        assert gradient == pytest.approx((high - low) / (2 * h), abs=1e-5)
    assert np.abs(found).max() > 1e-3


def test_gradients_are_finite_differences(checkpoint: Checkpoint) -> None:
    hold_gradients(checkpoint)


def test_gradients_of_a_published_model_are_finite_differences(published: Checkpoint) -> None:
    hold_gradients(published)


def test_masks_are_looked_at_in_parts_that_fit_and_do_not_touch_each_other(
    checkpoint: Checkpoint,
) -> None:
    config = deepcopy(checkpoint.config)
    config.trainer.decode_tokens = 2 * len(TOKENS)
    masks = some_masks()
    together = MaskedSentence(checkpoint, TOKENS, SPAN)
    in_pairs = MaskedSentence(replace(checkpoint, config=config), TOKENS, SPAN)
    assert in_pairs.values(masks) == pytest.approx(together.values(masks), abs=1e-9)
    assert in_pairs.gradients(masks) == pytest.approx(together.gradients(masks), abs=1e-9)


class Fellows(nn.Module):
    """A context: adds what the batch says of the same word, and of the same document."""

    takes_batch = True

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        words = x.new_zeros(len(batch.distinct), x.shape[2])
        words = words.index_add(0, batch.token_index.flatten(), x.flatten(0, 1))
        assert batch.document_ids is not None
        same = (batch.document_ids[:, None] == batch.document_ids).to(x.dtype)
        return x + words[batch.token_index] + (same @ x.sum(1))[:, None]


def test_a_context_sees_no_other_masked_sentence() -> None:
    checkpoint = checkpoint_of("model=bilstm_crf")
    stages = checkpoint.tagger.stages
    without = MaskedSentence(checkpoint, TOKENS, SPAN).values(some_masks())
    checkpoint.tagger.stages = nn.ModuleDict({"context": Fellows(), **dict(stages.items())})
    f = MaskedSentence(checkpoint, TOKENS, SPAN)
    together = f.values(some_masks())
    assert together == pytest.approx([f.values(mask[None])[0] for mask in some_masks()], abs=1e-9)
    assert np.abs(together - without).min() > 1e-3


def test_an_embedder_that_looks_at_the_sentence_in_its_own_way_is_refused() -> None:
    checkpoint = checkpoint_of("model=bilstm_crf")
    checkpoint.tagger.embedder["words"].contextual = True  # type: ignore[assignment]
    with pytest.raises(
        ValueError, match=r"^model\.embedder\.words: expected one that looks at each"
    ):
        MaskedSentence(checkpoint, TOKENS, SPAN)


def test_the_best_sequences_come_in_order_and_the_first_is_what_is_predicted(
    checkpoint: Checkpoint,
) -> None:
    best = MaskedSentence(checkpoint, TOKENS, SPAN).best_sequences(20)
    probabilities = [sequence.probability for sequence in best]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len({tuple(sequence.tags) for sequence in best}) == 20
    assert sum(probabilities) <= 1 + 1e-9
    batch = batch_of(checkpoint, TOKENS)
    with torch.no_grad():
        emissions = checkpoint.tagger.emissions(batch)
        tags = checkpoint.tagger.decoder.decode(emissions, batch.lengths)
        nll = checkpoint.tagger.decoder.nll(emissions, batch.lengths, tags)
    names = [checkpoint.vocabulary.tags[tag] for tag in tags[0].tolist()]
    assert best[0].tags == names
    assert best[0].probability == pytest.approx(float(torch.exp(-nll)))
