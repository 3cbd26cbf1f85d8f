"""Score a tagger on a corpus."""

from nerlab.data.batch import Batcher
from nerlab.data.vocabulary import Vocabulary
from nerlab.evaluation.report import Report, make_report
from nerlab.models.decoding import decode
from nerlab.models.tagger import Tagger


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
