"""An ensemble is the mixture of its members, held against the sum over every tag sequence."""

import itertools
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest
import torch
from helpers import fit_on, make_crf, make_embedders, make_softmax
from torch import nn

from nerlab.data.batch import Batcher
from nerlab.data.build import build_corpus
from nerlab.data.sentence import Sentence
from nerlab.data.vocabulary import Vocabulary
from nerlab.models.decoding import CorpusDecoder
from nerlab.models.ensemble import EnsembleDecoder
from nerlab.models.tagger import Tagger
from nerlab.modules.identity import Identity
from nerlab.tags import iobes_constraints, iobes_tags, spans_of

SENTENCES = ["Anna", "Anna Smith", "Eve met Tom", "in New York City", "Bakı met Anna Smith Eve"]
CORPUS = build_corpus(
    [Sentence(s.split(), ["B-PER"] + ["B-LOC"] * (len(s.split()) - 1)) for s in SENTENCES],
    "iob2",
    False,
    "test",
)
LABELS = ("LOC", "PER")


class Member:
    """A tagger with weights of its own, whose labels have an order of their own."""

    def __init__(
        self, seed: int, labels: tuple[str, ...], make_decoder: Callable[..., nn.Module] = make_crf
    ) -> None:
        torch.manual_seed(seed)
        self.vocabulary = Vocabulary(labels, fit_on(CORPUS).indexers)
        self.tags = self.vocabulary.tags
        embedder = make_embedders(self.vocabulary)
        stages = {"encoder": Identity(embedder.output_dim)}
        decoder = make_decoder(self.tags)
        self.tagger = Tagger(embedder, stages, decoder, len(self.tags), 0.5).eval()
        with torch.no_grad():
            for weights in (*self.tagger.linear.parameters(), *decoder.parameters()):
                weights.normal_(0, 1.5)
        self.batcher = Batcher(CORPUS, self.vocabulary, with_tags=False)


def ensemble(members: Sequence[Member], batch_tokens: int = 8) -> EnsembleDecoder:
    taggers, batchers = [m.tagger for m in members], [m.batcher for m in members]
    return EnsembleDecoder(taggers, batchers, [m.tags for m in members], batch_tokens)


@cache
def legal_paths(length: int) -> list[list[str]]:
    """Every sequence of tags that IOBES allows."""
    names = iobes_tags(LABELS)
    start, moves, end = iobes_constraints(names)
    paths = [[k] for k in range(len(names)) if start[k]]
    for _ in range(length - 1):
        paths = [[*path, k] for path in paths for k in range(len(names)) if moves[path[-1], k]]
    return [[names[k] for k in path] for path in paths if end[path[-1]]]


def probabilities(member: Member, sentence: int) -> np.ndarray:
    """Of every legal sequence of tags of a sentence."""
    batch = member.batcher.collate(np.array([sentence]))
    paths = legal_paths(int(batch.lengths))
    ids = torch.tensor([[member.tags.index(tag) for tag in path] for path in paths])
    with torch.inference_mode():
        emissions = member.tagger.emissions(batch).double().expand(len(ids), -1, -1)
        nll = member.tagger.decoder.nll(emissions, batch.lengths.expand(len(ids)), ids)
    return np.exp(-nll.numpy())


@pytest.mark.parametrize(
    "members",
    [
        [Member(1, LABELS), Member(2, LABELS), Member(3, LABELS)],
        [Member(4, LABELS), Member(5, ("PER", "LOC"))],
        [Member(6, ("PER", "LOC")), Member(7, LABELS), Member(8, ("PER", "LOC"))],
    ],
    ids=["one order", "two orders", "the order of the first"],
)
@pytest.mark.parametrize("batch_tokens", [1, 100])
def test_all_of_an_ensemble_is_that_of_the_mixture(
    members: list[Member], batch_tokens: int
) -> None:
    decoder = ensemble(members, batch_tokens)
    names = members[0].tags
    marginals, scored = decoder.marginals(), decoder.scored_tags()
    assert np.array_equal(scored.tags, decoder.tags())
    assert marginals.shape == (len(CORPUS.tokens), len(names))
    for index, (first, last) in enumerate(itertools.pairwise(CORPUS.offsets.tolist())):
        paths = legal_paths(last - first)
        mixture = np.mean([probabilities(member, index) for member in members], axis=0)
        assert mixture.sum() == pytest.approx(1)
        expected = np.zeros((last - first, len(names)))
        for path, probability in zip(paths, mixture, strict=True):
            expected[np.arange(len(path)), [names.index(tag) for tag in path]] += probability
        np.testing.assert_allclose(marginals[first:last], expected, atol=1e-5)
        right = [expected[range(len(p)), [names.index(tag) for tag in p]].sum() for p in paths]
        tags = [names[tag] for tag in scored.tags[first:last]]
        assert right[paths.index(tags)] == pytest.approx(max(right), abs=1e-5)
        spans = spans_of(tags)
        for span, score in zip(spans, scored.probabilities(slice(first, last), spans), strict=True):
            has_span = [span in spans_of(path) for path in paths]
            assert score == pytest.approx(mixture[has_span].sum(), abs=1e-5)


@pytest.mark.parametrize("make_decoder", [make_crf, make_softmax])
def test_one_tagger_three_times_is_decoded_by_its_own_marginals(
    make_decoder: Callable[..., nn.Module],
) -> None:
    member = Member(1, LABELS, make_decoder)
    alone = CorpusDecoder(member.tagger, member.batcher, 100)
    decoder = ensemble([member] * 3)
    np.testing.assert_allclose(decoder.marginals(), alone.marginals(), atol=1e-6)
    tags = decoder.tags()
    for first, last in itertools.pairwise(CORPUS.offsets.tolist()):
        marginals = alone.marginals()[first:last]
        paths = [[member.tags.index(tag) for tag in path] for path in legal_paths(last - first)]
        right = [marginals[range(len(path)), path].sum() for path in paths]
        assert tags[first:last].tolist() == paths[int(np.argmax(right))]


def test_the_tags_of_an_ensemble_are_not_those_of_one_member() -> None:
    """Else the tests above would show little."""
    members = [Member(seed, LABELS) for seed in (1, 2, 3)]
    found = ensemble(members).tags()
    for member in members:
        alone = CorpusDecoder(member.tagger, member.batcher, 100).tags()
        assert (alone != found).any()
