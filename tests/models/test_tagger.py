"""The tagger: the same for a sentence alone and in company, whatever it is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from helpers import TAGGED, make_batcher, make_crf, make_embedders, make_softmax
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nerlab.data.batch import Batch
from nerlab.data.vocabulary import UNKNOWN
from nerlab.models.decoding import CorpusDecoder
from nerlab.models.tagger import Embedders, Tagger
from nerlab.models.words import WordIndexer, Words
from nerlab.modules.identity import Identity
from nerlab.modules.lstm import LSTM
from nerlab.modules.transformer import Transformer

VOCABULARY, BATCHER = make_batcher()
EIGHT = np.arange(len(TAGGED))
LENGTHS = [len(line.split()) for line in TAGGED]


def make_tagger(
    encoder: Callable[..., nn.Module],
    make_decoder: Callable[[Sequence[str]], nn.Module],
    dropout: float = 0.3,
) -> Tagger:
    torch.manual_seed(0)
    embedder = make_embedders(VOCABULARY)
    tags = VOCABULARY.tags
    stages = {"encoder": encoder(input_dim=embedder.output_dim)}
    tagger = Tagger(embedder, stages, make_decoder(tags), len(tags), dropout)
    tagger.linear.weight.data.mul_(5.0)  # decided tags, not ties
    return tagger.eval()


lstm = partial(LSTM, hidden_dim=8, layers=2, bidirectional=True, dropout=0.3)
transformer = partial(
    Transformer,
    hidden_dim=8,
    layers=2,
    heads=2,
    feedforward_dim=16,
    dropout=0.3,
    attention_dropout=0.0,
    norm="pre",
    positions="rotary",
    max_positions=512,
)
TAGGERS = {
    "lstm, crf": make_tagger(lstm, make_crf),
    "lstm, softmax": make_tagger(lstm, make_softmax),
    "transformer, crf": make_tagger(transformer, make_crf),
    "transformer, softmax": make_tagger(transformer, make_softmax),
    "none, crf": make_tagger(Identity, make_crf),
}
every_tagger = pytest.mark.parametrize("tagger", TAGGERS.values(), ids=TAGGERS.keys())


def decoded(tagger: Tagger, batch: Batch) -> Tensor:
    return tagger.decoder.decode(tagger.emissions(batch), batch.lengths)


def marginals(tagger: Tagger, batch: Batch) -> Tensor:
    return tagger.decoder.marginals(tagger.emissions(batch), batch.lengths)


def path_log_probabilities(tagger: Tagger, batch: Batch) -> tuple[Tensor, Tensor]:
    """Of the decoded tags."""
    tags = decoded(tagger, batch)
    return tagger.decoder.path_log_probabilities(tagger.emissions(batch), batch.lengths, tags)


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
            decoded(tagger, batch),
            marginals(tagger, batch),
            *path_log_probabilities(tagger, batch),
        )
        for b, sentence in enumerate(sentences):
            one = BATCHER.collate(np.array([sentence]))
            alone = (
                tagger.emissions(one),
                decoded(tagger, one),
                marginals(tagger, one),
                *path_log_probabilities(tagger, one),
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
    padding = torch.arange(batch.token_index.shape[1]) >= batch.lengths[:, None]
    filled = replace(
        batch,
        token_index=batch.token_index.masked_fill(padding, 5),
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
        tags = decoded(tagger, batch)
        marginal, _ = path_log_probabilities(tagger, batch)
        expected = marginals(tagger, batch).gather(2, tags[..., None]).squeeze(2)
    mask = torch.arange(tags.shape[1]) < batch.lengths[:, None]
    torch.testing.assert_close(marginal.exp()[mask], expected[mask], check_dtype=False)
    assert not tags[~mask].any()
    assert not marginals(tagger, batch)[~mask].any()


def test_a_batch_without_tags_has_no_loss() -> None:
    batch = replace(BATCHER.collate(EIGHT), tags=None)
    with pytest.raises(ValueError, match="this batch has no tags"):
        TAGGERS["lstm, crf"].loss(batch)


def test_dropout_works_in_training_alone() -> None:
    tagger, batch = make_tagger(Identity, make_softmax, dropout=0.5), BATCHER.collate(EIGHT)
    assert torch.equal(tagger.emissions(batch), tagger.emissions(batch))
    tagger.train()
    assert not torch.equal(tagger.emissions(batch), tagger.emissions(batch))


def test_embedders_stand_side_by_side() -> None:
    embedder, batch = make_embedders(VOCABULARY), BATCHER.collate(EIGHT)
    words, characters = (part(batch.features[name]) for name, part in embedder.items())
    rows = torch.cat([words, characters], dim=1)  # (U, D)
    assert rows.shape == (len(batch.distinct), embedder.output_dim)
    assert torch.equal(embedder.distinct(batch.features), rows)
    assert torch.equal(embedder(batch), rows[batch.token_index])
    paris = embedder(batch)[0, 6], embedder(batch)[4, 0]
    assert torch.equal(*paris)


class Neighbours(nn.Module):
    """A contextual embedder: how many tokens the sentence has, and the word's own number."""

    contextual = True
    output_dim = 2

    def forward(self, features: Mapping[str, Tensor], batch: Batch) -> Tensor:
        own = features["words"][batch.token_index].float()
        return torch.stack([batch.lengths[:, None].expand_as(own).float(), own], dim=2)


def test_a_contextual_embedder_sees_the_sentence_beside_others_that_do_not() -> None:
    parts = make_embedders(VOCABULARY)
    embedder = Embedders({"words": Neighbours(), "characters": parts["characters"]})
    batch = BATCHER.collate(EIGHT)
    found = embedder(batch)
    assert embedder.contextual
    assert not parts.contextual
    assert found.shape == (*batch.token_index.shape, embedder.output_dim)
    assert found[0, :7, 0].tolist() == [len(TAGGED[0].split())] * 7
    characters = parts["characters"](batch.features["characters"])[batch.token_index]
    assert torch.equal(found[..., 2:], characters)


class SameWord(nn.Module):
    """A context: the mean of the vectors of a token's fellows, the same word in the batch."""

    takes_batch = True

    def __init__(self, input_dim: int) -> None:
        super().__init__()
        self.output_dim = input_dim

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        mask = torch.arange(x.shape[1]) < batch.lengths[:, None]
        same = (batch.token_index[mask][:, None] == torch.arange(len(batch.distinct))).float()
        means = (same / same.sum(0)).T @ x[mask]  # (U, D)
        return means[batch.token_index]


def test_a_context_stands_between_embedders_and_encoder_and_sees_the_batch() -> None:
    plain = make_tagger(Identity, make_softmax)
    stages = {"context": SameWord(plain.embedder.output_dim), **plain.stages}
    decoder = make_softmax(VOCABULARY.tags)
    tagger = Tagger(plain.embedder, stages, decoder, plain.linear.out_features, 0.0)
    tagger.linear.load_state_dict(plain.linear.state_dict())
    batch = BATCHER.collate(EIGHT)
    mask = torch.arange(batch.token_index.shape[1]) < batch.lengths[:, None]
    with torch.no_grad():
        found, expected = tagger.eval().emissions(batch), plain.emissions(batch)
    torch.testing.assert_close(found[mask], expected[mask])  # equal words have equal vectors here


@given(st.sampled_from([0.0, 1.0]))
def test_rare_word_dropout_touches_words_seen_once_alone_and_only_in_training(rate: float) -> None:
    embedder, batch = make_embedders(VOCABULARY, rate)["words"], BATCHER.collate(EIGHT)
    words = batch.features["words"]["words"]
    lowered = [token.rsplit("/", 1)[0].lower() for line in TAGGED for token in line.split()]
    once = [lowered.count(BATCHER.corpus.lexicon[i].lower()) == 1 for i in batch.distinct]
    expected = words.masked_fill(torch.tensor(once) & (rate == 1.0), UNKNOWN)
    table = embedder.get_parameter("table.weight")
    assert torch.equal(embedder.train()({"words": words}), table[expected])
    assert torch.equal(embedder.eval()({"words": words}), table[words])


def test_rare_word_dropout_drops_the_share_asked_for() -> None:
    torch.manual_seed(0)
    indexer = WordIndexer(True, True, False, 1, vectors=None)
    indexer.fit([(f"x{'a' * i}", 1) for i in range(10_000)])
    table = Words(indexer, dim=1, rare_word_dropout=0.3)
    words = torch.arange(2, indexer.num_words)
    dropped = table({"words": words})[:, 0] == table.table.weight[UNKNOWN]
    assert dropped.float().mean().item() == pytest.approx(0.3, abs=0.03)


@every_tagger
@pytest.mark.parametrize("batch_tokens", [1, 20, 1000])
def test_a_corpus_is_decoded_in_its_own_order(tagger: Tagger, batch_tokens: int) -> None:
    found = CorpusDecoder(tagger, BATCHER, batch_tokens).tags()
    with torch.no_grad():
        expected = [decoded(tagger, BATCHER.collate(np.array([i])))[0].numpy() for i in EIGHT]
    assert found.tolist() == np.concatenate(expected).tolist()
    assert len(set(found.tolist())) > 2
