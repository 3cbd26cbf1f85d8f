"""Tagged texts for programs: JSON lines, CoNLL columns."""

from collections.abc import Iterable, Iterator

from nerlab.inference.predictor import Entity, TaggedSentence
from nerlab.messages import as_column, conll_sentence, json_line
from nerlab.tags import spans_of, tags_of

Tagged = tuple[str, list[TaggedSentence]]


def jsonl(texts: Iterable[Tagged]) -> Iterator[str]:
    """A line a text, ``{"text": …, "entities": [{"text", "label", "start", "end", "score"}]}``."""
    for text, tagged in texts:
        entities = [entity_object(entity) for entity in entities_of(tagged)]
        yield f"{json_line({'text': text, 'entities': entities})}\n"


def entity_object(entity: Entity) -> dict[str, object]:
    """An entity as JSON has it."""
    return entity._replace(score=round(entity.score, 6))._asdict()


def conll(texts: Iterable[Tagged]) -> Iterator[str]:
    """A line a token with its tag in IOB2, a blank line after each sentence.

    What would end a line or a column is spelt out, see :func:`nerlab.messages.as_column`.
    """
    for _, tagged in texts:
        for sentence in tagged:
            tags = tags_of(spans_of(sentence.tags), len(sentence.tags), "iob2")
            words = (as_column(token.text) for token in sentence.tokens)
            yield conll_sentence(words, map(as_column, tags))


def entities_of(tagged: Iterable[TaggedSentence]) -> list[Entity]:
    """The entities of a text."""
    return [entity for sentence in tagged for entity in sentence.entities]
