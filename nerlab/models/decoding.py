"""Run a tagger over a corpus without gradients, as fast as the machine allows.

Sentences are sorted by length, so there is next to no padding. Where the embedder looks at each
token by itself, every distinct token of the corpus is embedded once, not once a batch. And the
cores of a CPU work on different batches, which shares out the small operations too.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nerlab.data.batch import Batcher
from nerlab.models.tagger import Tagger

Result = TypeVar("Result")


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

    Args:
        tagger: is put into evaluation mode while this runs.
        batcher: the corpus, taken from its shortest sentence to its longest.
        batch_tokens: tokens of a batch, padding counted.
        decode_batch: gets ``emissions (B, T, K)`` and ``lengths (B,)`` on the tagger's device, on
            a CPU in several threads.
    """
    device = next(tagger.parameters()).device
    was_training = tagger.training
    tagger.eval()
    with torch.inference_mode():
        table = _embed_distinct(tagger, batcher, batch_tokens, device)

    @torch.inference_mode()
    def work(sentences: np.ndarray) -> tuple[np.ndarray, Result]:
        if table is None:
            batch = batcher.collate(sentences).to(device)
            x, lengths = tagger.embedder(batch), batch.lengths
        else:
            positions, mask = batcher.positions(sentences)
            tokens = np.zeros(mask.shape, dtype=np.int64)
            tokens[mask] = batcher.corpus.tokens[positions[mask]]
            x = F.embedding(torch.from_numpy(tokens).to(device), table)
            lengths = torch.from_numpy(batcher.corpus.lengths[sentences]).to(device)
        return sentences, decode_batch(tagger.emissions_of(x, lengths), lengths)

    yield from _map(work, batcher.sorted_groups(batch_tokens), device)
    tagger.train(was_training)


def _embed_distinct(
    tagger: Tagger, batcher: Batcher, batch_tokens: int, device: torch.device
) -> Tensor | None:
    """The embedding ``(L, D)`` of each distinct token; None where it depends on the sentence."""
    if not getattr(tagger.embedder, "context_free", False) or not len(batcher.corpus):
        return None
    order, parts = [], []
    for distinct, batch in batcher.distinct_batches(batch_tokens):
        order.append(torch.from_numpy(distinct))
        parts.append(tagger.embedder(batch.to(device)).squeeze(1))
    rows = torch.cat(parts)
    table = torch.empty_like(rows)
    table[torch.cat(order).to(device)] = rows
    return table


def _map(
    work: Callable[[np.ndarray], Result], groups: list[np.ndarray], device: torch.device
) -> Iterator[Result]:
    """``map``, on a CPU with as many threads as torch would use inside one operation."""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield from map(work, groups)
        return
    try:
        with ThreadPoolExecutor(threads, initializer=lambda: torch.set_num_threads(1)) as pool:
            # So many ahead that no thread waits, and so few that memory stays bounded.
            ahead: deque[Future[Result]] = deque()
            for group in groups:
                ahead.append(pool.submit(work, group))
                if len(ahead) > 2 * threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
    finally:
        torch.set_num_threads(threads)
