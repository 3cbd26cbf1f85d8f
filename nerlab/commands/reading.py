"""Splits of a corpus, and their sentences with the entities that the tags stand for."""

from collections.abc import Iterable, Iterator

from nerlab.config import DataConfig
from nerlab.data.index import sentences_of
from nerlab.data.load import Source, split_source, splits_of
from nerlab.data.published import MissingFileError
from nerlab.data.readers.messages import warn
from nerlab.data.sentence import Sentence, check_tags
from nerlab.messages import counted_on_terminal
from nerlab.tags import Span, spans_of

Annotated = tuple[Sentence, list[Span]]


def present_splits(data: DataConfig, trusted: tuple[str, ...]) -> dict[str, Source]:
    """The splits of a data set; of a test split whose file is not there it is only warned, since
    training does without it too."""
    sources: dict[str, Source] = {}
    for split in splits_of(data):
        try:
            sources[split] = split_source(data, split, trusted)
        except MissingFileError as error:
            if split != "test":
                raise
            warn(f"test is left out: {error}")
    return sources


def read_annotated(source: Source, data: DataConfig) -> Iterator[Annotated]:
    """The :func:`annotated` sentences of a split, counted on the terminal."""
    path = str(source.path)
    return annotated(counted_on_terminal(sentences_of(source), path, "sentences"), data, path)


def annotated(sentences: Iterable[Sentence], data: DataConfig, source: str) -> Iterator[Annotated]:
    """Sentences with their entities; with ``data.repair`` illegal tag sequences are read by
    conlleval's rules. ``ValueError`` names file and line of what is wrong with the tags."""
    for sentence in sentences:
        check_tags(sentence, data.scheme.value, data.repair, source)
        yield sentence, spans_of(sentence.tags)
