"""The tagger: the same for a sentence alone and in company, whatever it is made of."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from helpers import TAGGED, make_batcher
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nerlab.data.batch import Batch
from nerlab.models.decoding import decode
from nerlab.models.embedders import Characters, Concatenation, Words
from nerlab.models.tagger import Tagger
from nerlab.modules.crf import CRF
from nerlab.modules.identity import Identity
from nerlab.modules.lstm import LSTM
from nerlab.modules.softmax import Softmax
from nerlab.modules.transformer import Transformer
from nerlab.tags import iobes_constraints

VOCABULARY, BATCHER = make_batcher()
EIGHT = np.arange(len(TAGGED))
LENGTHS = [len(line.split()) for line in TAGGED]


def make_tagger(
    encoder: Callable[..., nn.Module], decoder: Callable[..., nn.Module], dropout: float = 0.3
) -> Tagger:
    torch.manual_seed(0)
    parts: dict[str, Callable[..., nn.Module]] = {
        "words": partial(Words, dim=8),
        "characters": partial(Characters, dim=4, filters=5, widths=[2, 3]),
    }
    embedder = Concatenation(VOCABULARY, parts)
    K = len(VOCABULARY.tags)
    constraints = (torch.from_numpy(c) for c in iobes_constraints(VOCABULARY.tags))
    tagger = Tagger(
        embedder, encoder(input_dim=embedder.output_dim), decoder(*constraints), K, dropout
    )
    tagger.linear.weight.data.mul_(5.0)  # decided tags, not ties
    return tagger.eval()


lstm = partial(LSTM, hidden_dim=8, layers=2, bidirectional=True, dropout=0.3)
transformer = partial(Transformer, hidden_dim=8, layers=2, heads=2, feedforward_dim=16, dropout=0.3)
TAGGERS = {
    "lstm, crf": make_tagger(lstm, CRF),
    "lstm, softmax": make_tagger(lstm, Softmax),
    "transformer, crf": make_tagger(transformer, CRF),
    "transformer, softmax": make_tagger(transformer, Softmax),
    "none, crf": make_tagger(Identity, CRF),
}
every_tagger = pytest.mark.parametrize("tagger", TAGGERS.values(), ids=TAGGERS.keys())


def tags_of(batch: Batch) -> Tensor:
    assert batch.tags is not None
    return batch.tags


@every_tagger
@settings(max_examples=10, deadline=None)
@given(sentences=st.lists(st.sampled_from(list(EIGHT)), min_size=1, max_size=8))
def test_a_sentence_fares_alone_as_it_does_among_others(
    tagger: Tagger, sentences: list[int]
) -> None:
    batch = BATCHER.collate(np.array(sentences))
    with torch.no_grad():
        together = (
            tagger.emissions(batch),
            tagger.decode(batch),
            tagger.marginals(batch),
            *tagger.decode_scored(tagger.emissions(batch), batch.lengths),
        )
        for b, sentence in enumerate(sentences):
            one = BATCHER.collate(np.array([sentence]))
            alone = (
                tagger.emissions(one),
                tagger.decode(one),
                tagger.marginals(one),
                *tagger.decode_scored(tagger.emissions(one), one.lengths),
            )
            for in_batch, by_itself in zip(together, alone, strict=True):
                n = LENGTHS[sentence]
                torch.testing.assert_close(in_batch[b, :n], by_itself[0], rtol=1e-4, atol=1e-5)


@every_tagger
def test_loss_is_the_mean_over_all_tokens_of_the_batch(tagger: Tagger) -> None:
    singles = [tagger.loss(BATCHER.collate(np.array([i]))).item() for i in EIGHT]
    expected = sum(loss * n for loss, n in zip(singles, LENGTHS, strict=True)) / sum(LENGTHS)
    assert tagger.loss(BATCHER.collate(EIGHT)).item() == pytest.approx(expected, rel=1e-4)


@every_tagger
def test_what_stands_in_the_padding_changes_neither_loss_nor_gradient(tagger: Tagger) -> None:
    batch = BATCHER.collate(EIGHT)
    padding = torch.arange(batch.words.shape[1]) >= batch.lengths[:, None]
    filled = replace(
        batch,
        words=batch.words.masked_fill(padding, 5),
        character_index=batch.character_index.masked_fill(padding, 3),
        tags=tags_of(batch).masked_fill(padding, 2),
    )
    parameters = [p for p in tagger.parameters() if p.requires_grad]
    losses = [tagger.loss(b) for b in (batch, filled)]
    torch.testing.assert_close(losses[0], losses[1])
    gradients = [torch.autograd.grad(loss, parameters) for loss in losses]
    for expected, found in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@every_tagger
def test_scores_are_those_of_the_decoded_tags(tagger: Tagger) -> None:
    batch = BATCHER.collate(EIGHT)
    with torch.no_grad():
        tags, marginal, _ = tagger.decode_scored(tagger.emissions(batch), batch.lengths)
        assert torch.equal(tags, tagger.decode(batch))
        expected = tagger.marginals(batch).gather(2, tags[..., None]).squeeze(2)
    mask = torch.arange(tags.shape[1]) < batch.lengths[:, None]
    torch.testing.assert_close(marginal.exp()[mask], expected[mask], check_dtype=False)
    assert not tags[~mask].any()
    assert not tagger.marginals(batch)[~mask].any()


def test_a_batch_without_tags_has_no_loss() -> None:
    batch = replace(BATCHER.collate(EIGHT), tags=None)
    with pytest.raises(ValueError, match="this batch has no tags"):
        TAGGERS["lstm, crf"].loss(batch)


def test_dropout_works_in_training_alone() -> None:
    tagger, batch = make_tagger(Identity, Softmax, dropout=0.5), BATCHER.collate(EIGHT)
    assert torch.equal(tagger.emissions(batch), tagger.emissions(batch))
    tagger.train()
    assert not torch.equal(tagger.emissions(batch), tagger.emissions(batch))


def test_words_and_characters_stand_side_by_side() -> None:
    embedder, batch = TAGGERS["lstm, crf"].embedder, BATCHER.collate(EIGHT)
    assert isinstance(embedder, Concatenation)
    words, characters = embedder.parts["words"], embedder.parts["characters"]
    expected = torch.cat([words(batch), characters(batch)], dim=2)
    assert expected.shape[2] == embedder.output_dim == 8 + 2 * 5
    assert torch.equal(embedder(batch), expected)


def test_a_token_has_the_same_characters_wherever_it_stands() -> None:
    embedder = TAGGERS["lstm, crf"].embedder
    assert isinstance(embedder, Concatenation)
    features = embedder.parts["characters"](BATCHER.collate(EIGHT))
    paris = [features[0, 6], features[4, 0]]
    torch.testing.assert_close(paris[0], paris[1])
    assert not torch.allclose(paris[0], features[0, 4])  # Berlin


@every_tagger
@pytest.mark.parametrize("batch_tokens", [1, 20, 1000])
def test_a_corpus_is_decoded_in_its_own_order(tagger: Tagger, batch_tokens: int) -> None:
    found = decode(tagger, BATCHER, batch_tokens)
    with torch.no_grad():
        expected = [tagger.decode(BATCHER.collate(np.array([i])))[0].numpy() for i in EIGHT]
    assert found.tolist() == np.concatenate(expected).tolist()
    assert len(set(found.tolist())) > 2


@pytest.mark.parametrize("training", [True, False])
def test_decoding_a_corpus_is_without_dropout_and_leaves_the_mode_as_it_was(training: bool) -> None:
    tagger = make_tagger(lstm, CRF, dropout=0.9).train(training)
    expected = decode(tagger, BATCHER, 1000)
    assert tagger.training == tagger.encoder.training == training
    assert decode(tagger, BATCHER, 1000).tolist() == expected.tolist()
