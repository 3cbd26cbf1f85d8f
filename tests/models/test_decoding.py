"""The quick ways of decoding give what the plain one gives."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
import pytest
import torch
from helpers import TAGGED, make_batcher, make_crf, make_embedders, make_softmax
from torch import Tensor, nn
from torch.nn import functional as F

from nerlab.data.batch import Batch, Batcher
from nerlab.evaluation.report import flat_metrics
from nerlab.models.decoding import CorpusDecoder, score
from nerlab.models.tagger import Embedders, Tagger
from nerlab.modules.identity import Identity
from nerlab.modules.lstm import LSTM
from nerlab.tags import spans_of

Result = TypeVar("Result")
VOCABULARY, BATCHER = make_batcher()
lstm = partial(LSTM, hidden_dim=6, layers=2, bidirectional=True, dropout=0.5)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


class Contextual(nn.Module):
    """An embedder that says of itself that it looks at the sentence."""

    contextual = True

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part, self.output_dim = part, part.output_dim

    def forward(self, features: Mapping[str, Tensor], batch: Batch) -> Tensor:
        return F.embedding(batch.token_index, self.part(features))


def make_tagger(encoder: Callable[..., nn.Module], contextual: bool = False) -> Tagger:
    torch.manual_seed(0)
    embedder = make_embedders(VOCABULARY)
    if contextual:
        embedder = Embedders({name: Contextual(part) for name, part in embedder.items()})
    stages = {"encoder": encoder(input_dim=embedder.output_dim)}
    tagger = Tagger(embedder, stages, make_softmax(VOCABULARY.tags), len(VOCABULARY.tags), 0.5)
    return tagger.eval()


def run(
    tagger: Tagger, batch_tokens: int, decode_batch: Callable[[Tensor, Tensor], Result]
) -> Iterator[tuple[np.ndarray, Result]]:
    return CorpusDecoder(tagger, BATCHER, batch_tokens).run(decode_batch)


def decode(tagger: Tagger, batch_tokens: int) -> np.ndarray:
    return CorpusDecoder(tagger, BATCHER, batch_tokens).tags()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("contextual", [True, False])
@pytest.mark.parametrize("encoder", [lstm, Identity])
def test_emissions_are_those_of_the_tagger(
    encoder: Callable[..., nn.Module], contextual: bool, dtype: torch.dtype, threads: int
) -> None:
    tagger = make_tagger(encoder, contextual)
    tagger.autocast_dtype = dtype
    seen = []
    precise = dtype == torch.float32
    for sentences, emissions in run(tagger, 12, lambda emissions, lengths: emissions):
        with torch.no_grad():
            batch = BATCHER.collate(sentences)
            expected = tagger.emissions(batch)
        assert emissions.dtype == expected.dtype == dtype
        mask = torch.arange(expected.shape[1]) < batch.lengths[:, None]
        rtol, atol = (1e-4, 1e-6) if precise else (0.05, 0.02)
        torch.testing.assert_close(emissions[mask], expected[mask], rtol=rtol, atol=atol)
        seen += sentences.tolist()
    assert sorted(seen) == list(range(len(TAGGED)))
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("batch_tokens", [1, 12, 1000])
@pytest.mark.parametrize("make_decoder", [make_crf, make_softmax])
def test_the_loss_is_the_mean_over_tokens_of_that_of_each_sentence(
    make_decoder: Callable[[Sequence[str]], nn.Module], batch_tokens: int
) -> None:
    tagger = make_tagger(lstm)
    tagger.decoder = make_decoder(VOCABULARY.tags)  # type: ignore[assignment]
    losses, lengths = [], BATCHER.corpus.lengths
    for sentence in range(len(TAGGED)):
        with torch.no_grad():
            losses.append(tagger.loss(BATCHER.collate(np.array([sentence]))).item())
    tags, loss = CorpusDecoder(tagger, BATCHER, batch_tokens).tags_and_loss()
    assert loss == pytest.approx(np.average(losses, weights=lengths), rel=1e-5)
    assert loss is not None
    assert loss > 0
    with torch.no_grad():  # what training computes of the same sentences in one batch
        assert loss == pytest.approx(tagger.loss(BATCHER.collate(np.arange(8))).item(), rel=1e-5)
    report = score(tagger, VOCABULARY, BATCHER, "dev", batch_tokens)
    assert flat_metrics(report)["dev/loss"] == loss
    assert [tag for tags in report.predicted for tag in tags] == [VOCABULARY.tags[i] for i in tags]


def test_sentences_with_an_unknown_label_have_no_loss() -> None:
    tagger = make_tagger(lstm)
    known = replace(VOCABULARY, labels=("LOC", "PER"))  # without ORG
    tagger.decoder = make_softmax(known.tags)
    tagger.linear = nn.Linear(tagger.linear.in_features, len(known.tags))
    batcher = Batcher(BATCHER.corpus, known, with_tags=True)
    left = np.array([i for i, line in enumerate(TAGGED) if "ORG" not in line])
    with torch.no_grad():
        expected = tagger.loss(batcher.collate(left)).item()
    tags, loss = CorpusDecoder(tagger, batcher, 30).tags_and_loss()
    assert loss == pytest.approx(expected, rel=1e-5)
    without = CorpusDecoder(tagger, Batcher(BATCHER.corpus, known, with_tags=False), 30)
    assert np.array_equal(without.tags(), tags)
    assert without.tags_and_loss()[1] is None
    report = score(tagger, known, Batcher(BATCHER.corpus, known, False), "dev", 30)
    assert "dev/loss" not in flat_metrics(report)


@pytest.mark.parametrize("contextual", [True, False])
def test_no_product_has_so_few_rows_that_it_adds_up_in_another_order(contextual: bool) -> None:
    rows = []

    class Recording(Tagger):
        def emissions(self, batch: Batch) -> Tensor:
            rows.append(batch.token_index.numel())
            return super().emissions(batch)

    tagger = make_tagger(lstm, contextual)
    plain = decode(tagger, 1000)
    tagger.__class__ = Recording
    assert np.array_equal(decode(tagger, 1), plain)  # each sentence by itself
    assert len(rows) == len(TAGGED)
    assert min(BATCHER.corpus.lengths) < min(rows) == 4


def test_a_tagger_with_emissions_of_its_own_decodes_with_them() -> None:
    class Doubled(Tagger):
        def emissions(self, batch: Batch) -> Tensor:
            return 2 * super().emissions(batch)

    plain = make_tagger(lstm)
    doubled = make_tagger(lstm)
    doubled.__class__ = Doubled
    for (_, expected), (_, found) in zip(
        *(run(tagger, 12, lambda emissions, lengths: emissions) for tagger in (plain, doubled)),
        strict=True,
    ):
        torch.testing.assert_close(found, 2 * expected)


def test_a_tagger_in_training_mode_is_refused_and_stays_in_it() -> None:
    tagger = make_tagger(lstm).train()
    with pytest.raises(ValueError, match=r"in evaluation mode; call eval\(\) first"):
        decode(tagger, 12)
    assert tagger.training


@pytest.mark.usefixtures("threads")
def test_several_threads_decode_with_one_tagger_at_once() -> None:
    tagger = make_tagger(lstm)
    expected = decode(tagger, 12)
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(decode, tagger, 12) for _ in range(24)]
        assert all(np.array_equal(expected, done.result()) for done in found)
    assert not any(module.training for module in tagger.modules())


def test_every_distinct_token_is_embedded_once() -> None:
    tagger = make_tagger(lstm)
    seen: list[int] = []
    tagger.embedder["words"].register_forward_hook(
        lambda _, arguments, __: seen.append(len(arguments[0]["words"]))
    )
    decode(tagger, 3)
    assert sum(seen) == len(BATCHER.corpus.lexicon)


@pytest.mark.usefixtures("threads")
def test_a_report_that_is_written_has_the_probability_of_each_span() -> None:
    tagger = make_tagger(lstm)
    with torch.no_grad():
        tagger.linear.weight *= 30  # so that tags differ, and some spans are left outside
        tagger.linear.bias[VOCABULARY.tags.index("O")] += 0.8
    report = score(tagger, VOCABULARY, BATCHER, "dev", 12, with_probabilities=True)
    assert report.sha256 == BATCHER.corpus.digest()
    assert report.documents == [None] * len(TAGGED)
    assert report.span_scores is not None
    assert report.outside_scores is not None
    assert any(report.span_scores)
    assert any(report.outside_scores)
    columns = (report.gold, report.predicted, report.span_scores, report.outside_scores)
    for sentence, (gold, tags, scores, missed) in enumerate(zip(*columns, strict=True)):
        with torch.no_grad():
            emissions = tagger.emissions(BATCHER.collate(np.array([sentence])))
        ids = [VOCABULARY.tags.index(tag) for tag in tags]
        chosen = emissions[0].softmax(1)[range(len(ids)), ids]  # (T,), independent in a softmax
        expected = [chosen[span.start : span.end].prod().item() for span in spans_of(tags)]
        assert scores == pytest.approx(expected, rel=1e-4)
        left_out = [s for s in spans_of(gold) if set(tags[s.start : s.end]) == {"O"}]
        expected = [chosen[span.start : span.end].prod().item() for span in left_out]
        assert missed == pytest.approx(expected, rel=1e-4)
    quick = score(tagger, VOCABULARY, BATCHER, "dev", 12)
    without = replace(report, span_scores=None, documents=None, sha256=None, outside_scores=None)
    assert without == replace(quick, loss=None)


def test_decoding_changes_the_threads_of_nobody_else(threads: int) -> None:
    tagger = make_tagger(lstm)

    def count(emissions: Tensor, lengths: Tensor) -> int:
        return torch.get_num_threads()

    for _, inside in run(tagger, 12, count):
        assert (inside, torch.get_num_threads()) == (1, threads)
    left = run(tagger, 12, count)
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

    with pytest.raises(RuntimeError, match="the decoder failed"):
        list(run(make_tagger(lstm), 12, fail))


def test_decoding_is_the_same_in_any_number_of_threads() -> None:
    tagger = make_tagger(lstm)
    before = torch.get_num_threads()
    found = []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        found.append(decode(tagger, 8))
    torch.set_num_threads(before)
    assert all(np.array_equal(found[0], other) for other in found)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("fitting", [2, 1])
def test_batches_that_do_not_fit_into_memory_are_split(fitting: int) -> None:
    tagger = make_tagger(lstm)
    expected = decode(tagger, 1000)

    def decode_few(emissions: Tensor, lengths: Tensor) -> Tensor:
        if len(lengths) > fitting:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return tagger.decoder.decode(emissions, lengths)

    tags = np.zeros_like(expected)
    for sentences, predicted in run(tagger, 1000, decode_few):
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
        list(run(make_tagger(lstm), 1000, decode_short))
