"""Run a tagger over a corpus without gradients, as fast as the machine allows."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, pairwise, starmap
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nerlab.data.batch import Batch, Batcher, to_device
from nerlab.data.corpus import Corpus
from nerlab.data.vocabulary import Vocabulary
from nerlab.device import use_one_thread_here
from nerlab.evaluation.predictions import spans_outside
from nerlab.evaluation.report import Report
from nerlab.memory import is_out_of_memory
from nerlab.models.decoded import (
    BestSequences,
    Decoder,
    Details,
    ScoredTags,
    TagsWithProbabilities,
    best_sequences,
)
from nerlab.models.tagger import Tagger
from nerlab.tags import spans_of

Result = TypeVar("Result")
# Of fewer rows a matrix product adds up in another order: a short sentence would have other bits by
# itself than among others.
_LEAST_POSITIONS = 4


class CorpusDecoder:
    """Decodes a corpus with :meth:`Tagger.emissions`, whose speed-ups are here and in its parts.

    Sentences are sorted by length, so there is next to no padding. Where the embedders look at
    each token by itself, every distinct token of the corpus is embedded once, not once a batch.
    And the cores of a CPU work on different batches, which shares out the small operations.

    The tagger is not changed, so several threads may decode with it at once.

    Args:
        tagger: the model, in evaluation mode.
        batcher: the corpus.
        batch_tokens: positions of a batch, padding counted.
    """

    def __init__(self, tagger: Tagger, batcher: Batcher, batch_tokens: int) -> None:
        if tagger.training:
            raise ValueError("decoding: expected the tagger in evaluation mode; call eval() first")
        self._tagger, self._batcher, self._batch_tokens = tagger, batcher, batch_tokens
        self._device = next(tagger.parameters()).device

    def tags(self) -> np.ndarray:
        """The predicted tag id ``(N,)`` of every token of the corpus, in its order."""
        tags = np.zeros(len(self._batcher.corpus.tokens), dtype=np.int64)
        decoder = self._tagger.decoder
        self.fill((tags,), lambda emissions, lengths: (decoder.decode(emissions, lengths),))
        return tags

    def tags_and_loss(self) -> tuple[np.ndarray, float | None]:
        """The same, and where the batches carry tags what training minimises, of the same
        emissions: the mean over the tokens of the corpus.

        Sentences with a label that the tagger does not know have no loss and are left out of it.
        """
        tags = np.zeros(len(self._batcher.corpus.tokens), dtype=np.int64)
        total, tokens = 0.0, 0
        for sentences, (predicted, loss, count) in self._run(self._decode_and_compare):
            positions, mask = self._batcher.positions(sentences)
            tags[positions[mask]] = predicted.cpu().numpy()[mask]
            total, tokens = total + count * loss, tokens + count
        return tags, total / tokens if tokens else None

    def _decode_and_compare(self, emissions: Tensor, batch: Batch) -> tuple[Tensor, float, int]:
        """Predicted tags ``(B, T)``, the mean loss of the tokens that have one, their number."""
        decoder, lengths = self._tagger.decoder, batch.lengths
        predicted = decoder.decode(emissions, lengths)
        if batch.tags is None:
            return predicted, 0.0, 0
        known = (batch.tags >= 0).all(1)
        emissions, lengths, tags = emissions[known], lengths[known], batch.tags[known]
        count = int(lengths.sum())
        return predicted, decoder.loss(emissions, lengths, tags).item() if count else 0.0, count

    def scored_tags(self) -> TagsWithProbabilities:
        """The same with their probabilities."""
        return self.details(with_marginals=False, sequences=0).scored

    def details(self, with_marginals: bool, sequences: int) -> Details:
        """The same, and of the same emissions the marginals and so many of the best sequences."""
        decoder = self._tagger.decoder

        def decode_batch(
            emissions: Tensor, lengths: Tensor
        ) -> tuple[list[Tensor], tuple[Tensor, Tensor] | None]:
            tags = decoder.decode(emissions, lengths)
            found = [tags, *decoder.path_log_probabilities(emissions, lengths, tags)]
            if with_marginals:
                found.append(decoder.marginals(emissions, lengths))
            if not sequences:
                return found, None
            # log p is the difference of two large numbers
            return found, decoder.best_paths(emissions.double(), lengths, sequences)

        corpus = self._batcher.corpus
        size, K = len(corpus.tokens), self._tagger.linear.out_features
        scored = ScoredTags(np.zeros(size, dtype=np.int64), np.zeros(size), np.zeros(size))
        marginals = np.zeros((size, K), np.float32) if with_marginals else None
        arrays = [*scored, marginals] if marginals is not None else [*scored]
        best: dict[int, BestSequences] = {}  # by the number of the sentence
        for sentences, (found, paths) in self.run(decode_batch):
            self._put(arrays, sentences, found)
            if paths is not None:
                in_batch = best_sequences(*paths, corpus.lengths[sentences])
                best.update(zip(sentences.tolist(), in_batch, strict=True))
        in_order = [best[sentence] for sentence in range(len(corpus))] if sequences else None
        return Details(scored, marginals, in_order)

    def marginals(self) -> np.ndarray:
        """``p(y_t = k)`` ``(N, K)`` of every token and tag."""
        size = len(self._batcher.corpus.tokens), self._tagger.linear.out_features
        marginals, decoder = np.zeros(size, np.float32), self._tagger.decoder
        self.fill((marginals,), lambda emissions, lengths: (decoder.marginals(emissions, lengths),))
        return marginals

    def fill(
        self,
        arrays: Sequence[np.ndarray],
        decode_batch: Callable[[Tensor, Tensor], tuple[Tensor, ...]],
    ) -> None:
        """Put what :meth:`run` finds, tensors ``(B, T, ...)``, into arrays ``(N, ...)``."""
        for sentences, found in self.run(decode_batch):
            self._put(arrays, sentences, found)

    def _put(
        self, arrays: Sequence[np.ndarray], sentences: np.ndarray, found: Sequence[Tensor]
    ) -> None:
        positions, mask = self._batcher.positions(sentences)
        for flat, values in zip(arrays, found, strict=True):
            flat[positions[mask]] = values.cpu().numpy()[mask]

    def run(
        self, decode_batch: Callable[[Tensor, Tensor], Result]
    ) -> Iterator[tuple[np.ndarray, Result]]:
        """The sentences of each batch ``(B,)``, the shortest first, with what ``decode_batch``
        makes of ``emissions (B, T, K)`` and ``lengths (B,)``, on a CPU in several threads.

        A batch that does not fit into memory is split in two.

        Raises:
            ValueError: a single sentence does not fit into memory.
        """
        return self._run(lambda emissions, batch: decode_batch(emissions, batch.lengths))

    def _run(
        self, decode_batch: Callable[[Tensor, Batch], Result]
    ) -> Iterator[tuple[np.ndarray, Result]]:
        groups = self._batcher.sorted_groups(self._batch_tokens)
        if not groups:
            return
        rows = None if self._tagger.embedder.contextual else self._embed_distinct()

        @torch.inference_mode()
        def decode(sentences: np.ndarray) -> tuple[np.ndarray, Result]:
            batch = self._batcher.collate(sentences, rows is None).to(self._device)
            T = batch.token_index.shape[1]
            missing = -(-_LEAST_POSITIONS // len(sentences)) - T
            if missing > 0:
                batch = replace(batch, token_index=F.pad(batch.token_index, (0, missing)))
            if rows is not None:
                vectors = F.embedding(batch.distinct[batch.token_index], rows)
                batch = replace(batch, vectors=vectors)
            return sentences, decode_batch(self._tagger.emissions(batch)[:, :T], batch)

        def work(sentences: np.ndarray) -> list[tuple[np.ndarray, Result]]:
            try:
                return [decode(sentences)]
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            # Only here the tensors that the frames of the error held are free.
            if torch.cuda.is_initialized():
                torch.cuda.empty_cache()
            if len(sentences) == 1:
                which = self._batcher.corpus.describe(sentences[0])
                raise ValueError(f"{which} does not fit into memory; cut it into shorter ones")
            return [done for half in self._batcher.halves(sentences) for done in work(half)]

        threads = torch.get_num_threads() if self._device.type == "cpu" else 1
        if min(threads, len(groups)) == 1:
            yield from chain.from_iterable(map(work, groups))
            return
        with ThreadPoolExecutor(threads, initializer=use_one_thread_here) as pool:
            yield from chain.from_iterable(pool.map(work, groups))

    @torch.inference_mode()
    def _embed_distinct(self) -> Tensor:
        """The vectors ``(U, D)`` of the distinct tokens of the corpus."""
        groups = list(self._batcher.lexicon_groups(self._batch_tokens))
        order = torch.from_numpy(np.concatenate(groups)).to(self._device)
        rows = []
        with self._tagger.autocast():
            for distinct in groups:
                features = to_device(self._batcher.features(distinct), self._device)
                rows.append(self._tagger.embedder.distinct(features))
        sorted_rows = torch.cat(rows)
        return torch.empty_like(sorted_rows).index_copy_(0, order, sorted_rows)


def score(
    tagger: Tagger,
    vocabulary: Vocabulary,
    batcher: Batcher,
    split: str,
    batch_tokens: int,
    with_probabilities: bool = False,
) -> Report:
    """Tag a corpus and hold the result against its own tags; see :func:`report_of`. The report of
    an epoch, without probabilities, has the loss, if the batches carry tags."""
    decoder, corpus = CorpusDecoder(tagger, batcher, batch_tokens), batcher.corpus
    if with_probabilities:
        return report_of(decoder, vocabulary, corpus, split, with_probabilities)
    tags, loss = decoder.tags_and_loss()
    return replace(_report(tags, vocabulary, corpus, split), loss=loss)


def report_of(
    decoder: Decoder, vocabulary: Vocabulary, corpus: Corpus, split: str, with_probabilities: bool
) -> Report:
    """The tags that a decoder finds in a corpus, and the corpus's own.

    ``with_probabilities`` for a report that is written: those of its spans, and of gold ones to be
    outside of any, which take longer, its documents, and the SHA-256 of the corpus.
    """
    scored = decoder.scored_tags() if with_probabilities else None
    tags = decoder.tags() if scored is None else scored.tags
    report = _report(tags, vocabulary, corpus, split)
    if scored is None:
        return report
    sentences = list(zip(_sentences(corpus), report.gold, report.predicted, strict=True))
    return replace(
        report,
        span_scores=[scored.probabilities(tokens, spans_of(tags)) for tokens, _, tags in sentences],
        outside_scores=[
            scored.probabilities(tokens, spans_outside(gold, tags))
            for tokens, gold, tags in sentences
        ],
        documents=[number if number >= 0 else None for number in corpus.documents.tolist()],
        sha256=corpus.digest(),
    )


def _report(tags: np.ndarray, vocabulary: Vocabulary, corpus: Corpus, split: str) -> Report:
    names, sentences = [vocabulary.tags[i] for i in tags], range(len(corpus))
    return Report(
        split,
        [corpus.sentence_tokens(i) for i in sentences],
        [corpus.sentence_tags(i) for i in sentences],
        [names[tokens] for tokens in _sentences(corpus)],
        vocabulary.labels,
    )


def _sentences(corpus: Corpus) -> list[slice]:
    """Where the tokens of each sentence lie."""
    return list(starmap(slice, pairwise(corpus.offsets.tolist())))
