"""The quick ways of decoding give what the plain one gives."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
from helpers import TAGGED, make_batcher
from torch import Tensor, nn

from nerlab.models.decoding import decode, run
from nerlab.models.embedders import Characters
from nerlab.models.tagger import Tagger
from nerlab.modules.identity import Identity
from nerlab.modules.lstm import LSTM
from nerlab.modules.softmax import Softmax
from nerlab.tags import iobes_constraints

VOCABULARY, BATCHER = make_batcher()
lstm = partial(LSTM, hidden_dim=6, layers=2, bidirectional=True, dropout=0.5)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def make_tagger(encoder: Callable[..., nn.Module], context_free: bool) -> Tagger:
    torch.manual_seed(0)
    embedder = Characters(VOCABULARY, dim=4, filters=5, widths=[2, 3])
    embedder.context_free = context_free
    constraints = (torch.from_numpy(allowed) for allowed in iobes_constraints(VOCABULARY.tags))
    built = encoder(input_dim=embedder.output_dim)
    return Tagger(embedder, built, Softmax(*constraints), len(VOCABULARY.tags), 0.5)


@pytest.mark.parametrize("context_free", [True, False])
@pytest.mark.parametrize("encoder", [lstm, Identity])
def test_emissions_are_those_of_the_tagger(
    encoder: Callable[..., nn.Module], context_free: bool, threads: int
) -> None:
    tagger = make_tagger(encoder, context_free)
    seen = []
    for sentences, emissions in run(tagger, BATCHER, 12, lambda emissions, lengths: emissions):
        with torch.no_grad():
            batch = BATCHER.collate(sentences)
            expected = tagger.eval().emissions(batch)
        mask = torch.arange(expected.shape[1]) < batch.lengths[:, None]
        torch.testing.assert_close(emissions[mask], expected[mask], rtol=1e-4, atol=1e-6)
        seen += sentences.tolist()
    assert sorted(seen) == list(range(len(TAGGED)))
    assert torch.get_num_threads() == threads


def test_decoding_changes_the_threads_of_nobody_else(threads: int) -> None:
    tagger = make_tagger(lstm, True)

    def count(emissions: Tensor, lengths: Tensor) -> int:
        return torch.get_num_threads()

    for _, inside in run(tagger, BATCHER, 12, count):
        assert (inside, torch.get_num_threads()) == (1, threads)
    left = run(tagger, BATCHER, 12, count)
    assert isinstance(left, Generator)
    next(left)
    with ThreadPoolExecutor(1) as elsewhere:  # as a garbage collector may end it
        elsewhere.submit(torch.get_num_threads).result()  # else it has no number of its own yet
        elsewhere.submit(torch.set_num_threads, 5).result()
        elsewhere.submit(left.close).result()
        assert elsewhere.submit(torch.get_num_threads).result() == 5
        elsewhere.submit(torch.set_num_threads, threads).result()
    assert torch.get_num_threads() == threads
    with ThreadPoolExecutor(1) as begun_later:
        assert begun_later.submit(torch.get_num_threads).result() == threads


@pytest.mark.usefixtures("threads")
def test_a_decoder_that_fails_is_heard() -> None:
    def fail(emissions: Tensor, lengths: Tensor) -> Tensor:
        raise RuntimeError("the decoder failed")

    tagger = make_tagger(lstm, True).train()
    with pytest.raises(RuntimeError, match="the decoder failed"):
        list(run(tagger, BATCHER, 12, fail))
    assert tagger.training


@pytest.mark.parametrize("training", [True, False])
def test_a_tagger_is_in_its_mode_again_when_decoding_is_given_up(training: bool) -> None:
    tagger = make_tagger(lstm, True).train(training)
    batches = run(tagger, BATCHER, 12, lambda emissions, lengths: lengths)
    next(batches)
    assert not tagger.training
    batches.close()  # type: ignore[attr-defined]
    assert tagger.training == training


def test_a_tagger_is_in_its_mode_again_when_an_embedder_fails() -> None:
    tagger = make_tagger(lstm, True).train()

    def fail(*arguments: object) -> None:
        raise RuntimeError("the embedder failed")

    tagger.embedder.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="the embedder failed"):
        list(run(tagger, BATCHER, 12, lambda emissions, lengths: lengths))
    assert tagger.training


def test_decoding_is_the_same_in_any_number_of_threads() -> None:
    tagger = make_tagger(lstm, True)
    before = torch.get_num_threads()
    found = []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        found.append(decode(tagger, BATCHER, 8))
    torch.set_num_threads(before)
    assert all(np.array_equal(found[0], other) for other in found)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("fitting", [2, 1])
def test_batches_that_do_not_fit_into_memory_are_split(fitting: int) -> None:
    tagger = make_tagger(lstm, True)
    expected = decode(tagger, BATCHER, 1000)

    def decode_few(emissions: Tensor, lengths: Tensor) -> Tensor:
        if len(lengths) > fitting:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return tagger.decoder.decode(emissions, lengths)

    tags = np.zeros_like(expected)
    for sentences, predicted in run(tagger, BATCHER, 1000, decode_few):
        assert len(sentences) <= fitting
        positions, mask = BATCHER.positions(sentences)
        tags[positions[mask]] = predicted.numpy()[mask]
    np.testing.assert_array_equal(tags, expected)


@pytest.mark.usefixtures("threads")
def test_a_sentence_that_does_not_fit_into_memory_is_named() -> None:
    def decode_short(emissions: Tensor, lengths: Tensor) -> Tensor:
        if lengths.max() > 9:
            raise MemoryError
        return lengths

    with pytest.raises(ValueError, match=r"^sentence 7 \(10 tokens, .* into memory; cut"):
        list(run(make_tagger(lstm, True), BATCHER, 1000, decode_short))
