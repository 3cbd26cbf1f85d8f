"""Decode a corpus, and score what came out."""

import numpy as np
import torch

from nerlab.data.batch import Batcher
from nerlab.data.vocabulary import Vocabulary
from nerlab.evaluation.report import Report, make_report
from nerlab.models.tagger import Tagger


def decode(tagger: Tagger, batcher: Batcher, batch_tokens: int) -> np.ndarray:
    """The predicted tag id ``(N,)`` of every token of the batcher's corpus, in its order."""
    device = next(tagger.parameters()).device
    corpus = batcher.corpus
    tags = np.zeros(len(corpus.tokens), dtype=np.int64)
    was_training = tagger.training
    tagger.eval()
    with torch.inference_mode():
        for batch in batcher.sorted_batches(batch_tokens):
            predicted = tagger.decode(batch.to(device)).cpu().numpy()  # (B, T)
            sentences = batch.sentence_ids.numpy()
            steps = np.arange(predicted.shape[1])
            mask = steps < corpus.lengths[sentences][:, None]
            tags[(corpus.offsets[sentences][:, None] + steps)[mask]] = predicted[mask]
    tagger.train(was_training)
    return tags


def score(
    tagger: Tagger, vocabulary: Vocabulary, batcher: Batcher, split: str, batch_tokens: int
) -> Report:
    """Tag a corpus and hold the result against its own tags."""
    names = vocabulary.tags
    corpus = batcher.corpus
    flat = [names[i] for i in decode(tagger, batcher, batch_tokens)]
    borders = corpus.offsets.tolist()
    sentences = range(len(corpus))
    return make_report(
        split,
        [corpus.sentence_tokens(i) for i in sentences],
        [corpus.sentence_tags(i) for i in sentences],
        [flat[start:end] for start, end in zip(borders, borders[1:], strict=False)],
        vocabulary.labels,
    )
