"""Run a tagger over a corpus without gradients, as fast as the machine allows.

Sentences are sorted by length, so there is next to no padding. Where the embedder looks at each
token by itself, every distinct token of the corpus is embedded once, not once a batch, and what
the encoder makes of it alone is computed once too. And the cores of a CPU work on different
batches, which shares out the small operations.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nerlab.data.batch import Batcher
from nerlab.memory import if_it_fits
from nerlab.models.tagger import Tagger
from nerlab.threads import use_one_thread_here

Result = TypeVar("Result")


@runtime_checkable
class Tabulating(Protocol):
    """An encoder that on a CPU gains from seeing every distinct input once.

    ``forward_tabulated(tabulate(rows), index, lengths)`` equals ``forward(rows[index], lengths)``.
    """

    def tabulate(self, rows: Tensor) -> Tensor:
        """``rows (L, input_dim)`` to a table of the encoder's own making."""

    def forward_tabulated(self, table: Tensor, index: Tensor, lengths: Tensor) -> Tensor:
        """``index (B, T)`` into the rows, ``lengths (B,)``, to ``(B, T, output_dim)``."""


def decode(tagger: Tagger, batcher: Batcher, batch_tokens: int) -> np.ndarray:
    """The predicted tag id ``(N,)`` of every token of the batcher's corpus, in its order."""
    tags = np.zeros(len(batcher.corpus.tokens), dtype=np.int64)
    for sentences, predicted in run(tagger, batcher, batch_tokens, tagger.decoder.decode):
        positions, mask = batcher.positions(sentences)
        tags[positions[mask]] = predicted.cpu().numpy()[mask]
    return tags


def run(
    tagger: Tagger,
    batcher: Batcher,
    batch_tokens: int,
    decode_batch: Callable[[Tensor, Tensor], Result],
) -> Iterator[tuple[np.ndarray, Result]]:
    """The sentences of each batch ``(B,)`` with what ``decode_batch`` makes of their emissions.

    A batch that does not fit into memory is split in two.

    Args:
        tagger: is put into evaluation mode while this runs.
        batcher: the corpus, taken from its shortest sentence to its longest.
        batch_tokens: tokens of a batch, padding counted.
        decode_batch: gets ``emissions (B, T, K)`` and ``lengths (B,)`` on the tagger's device, on
            a CPU in several threads.

    Raises:
        ValueError: a single sentence does not fit into memory.
    """
    device = next(tagger.parameters()).device
    was_training = tagger.training

    @torch.inference_mode()
    def decode_all(sentences: np.ndarray) -> tuple[np.ndarray, Result]:
        lengths = torch.from_numpy(batcher.corpus.lengths[sentences]).to(device)
        emissions = tagger.linear(encode(sentences, lengths))
        return sentences, decode_batch(emissions, lengths)

    def work(sentences: np.ndarray) -> list[tuple[np.ndarray, Result]]:
        done = if_it_fits(lambda: decode_all(sentences))
        if done is not None:
            return [done]
        if len(sentences) == 1:
            which = batcher.corpus.describe(sentences[0])
            raise ValueError(f"{which} does not fit into memory; cut it into shorter ones")
        middle = len(sentences) // 2
        return [*work(sentences[:middle]), *work(sentences[middle:])]

    tagger.eval()
    try:
        with torch.inference_mode():
            encode = _encoder_of(tagger, batcher, batch_tokens, device)
        yield from chain.from_iterable(_map(work, batcher.sorted_groups(batch_tokens), device))
    finally:
        tagger.train(was_training)


def _encoder_of(
    tagger: Tagger, batcher: Batcher, batch_tokens: int, device: torch.device
) -> Callable[[np.ndarray, Tensor], Tensor]:
    """The quickest way from sentences and their lengths to hidden states ``(B, T, D)``."""
    encoder = tagger.encoder

    def from_batch(sentences: np.ndarray, lengths: Tensor) -> Tensor:
        hidden: Tensor = encoder(tagger.embedder(batcher.collate(sentences).to(device)), lengths)
        return hidden

    if not getattr(tagger.embedder, "context_free", False) or not len(batcher.corpus):
        return from_batch
    rows = _embed_distinct(tagger, batcher, batch_tokens, device)  # (L, D)

    def from_rows(sentences: np.ndarray, lengths: Tensor) -> Tensor:
        tokens = batcher.tokens(sentences).to(device)
        hidden: Tensor = encoder(F.embedding(tokens, rows), lengths)
        return hidden

    if device.type != "cpu" or not isinstance(encoder, Tabulating):
        return from_rows
    table = encoder.tabulate(rows)
    return lambda sentences, lengths: encoder.forward_tabulated(
        table, batcher.tokens(sentences), lengths
    )


def _embed_distinct(
    tagger: Tagger, batcher: Batcher, batch_tokens: int, device: torch.device
) -> Tensor:
    """The embedding ``(L, D)`` of each distinct token of the corpus."""
    order, parts = [], []
    for distinct, batch in batcher.distinct_batches(batch_tokens):
        order.append(torch.from_numpy(distinct))
        parts.append(tagger.embedder(batch.to(device)).squeeze(1))
    rows = torch.cat(parts)
    sorted_rows = torch.empty_like(rows)
    sorted_rows[torch.cat(order).to(device)] = rows
    return sorted_rows


def _map(
    work: Callable[[np.ndarray], Result], groups: list[np.ndarray], device: torch.device
) -> Iterator[Result]:
    """``map``, on a CPU with as many threads as torch would use inside one operation."""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield from map(work, groups)
        return
    with ThreadPoolExecutor(threads, initializer=use_one_thread_here) as pool:
        # So many ahead that no thread waits, and so few that memory stays bounded.
        ahead: deque[Future[Result]] = deque()
        for group in groups:
            ahead.append(pool.submit(work, group))
            if len(ahead) > 2 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
