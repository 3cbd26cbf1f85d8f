"""Word vectors of others, to begin with."""

import torch

from nerlab.data.vectors import read_vectors
from nerlab.data.vocabulary import Vocabulary
from nerlab.models.embedders import Words
from nerlab.models.tagger import Tagger


def load_vectors(tagger: Tagger, vocabulary: Vocabulary, path: str) -> str:
    """Put word vectors from a file into the word table; returns what to say about it."""
    words = next((m for m in tagger.modules() if isinstance(m, Words)), None)
    if words is None:
        raise ValueError("data.vectors: the model has no word embedder to put them in")
    vectors = read_vectors(path, vocabulary, words.output_dim)
    words.table.weight.data[torch.from_numpy(vectors.ids)] = torch.from_numpy(vectors.values)
    if not len(vectors.ids):
        return (
            f"warning: vectors: none of the {len(vocabulary.words)} words of train is found in "
            f"{path}; set data.vectors to a file of words of this language, in UTF-8"
        )
    share = len(vectors.ids) / max(len(vocabulary.words), 1)
    return (
        f"vectors: {len(vectors.ids)} of {len(vocabulary.words)} words of train found "
        f"({share:.1%}), {vectors.exact} in their exact form"
    )
