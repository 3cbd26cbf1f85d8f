"""Tagged texts as JSON lines, CoNLL columns or a table."""

import json
from collections.abc import Callable, Iterable, Iterator

from nerlab.inference.predictor import Entity, TaggedSentence
from nerlab.tags import spans_of, tags_of

Tagged = tuple[str, list[TaggedSentence]]


def jsonl(texts: Iterable[Tagged]) -> Iterator[str]:
    """A line a text, ``{"text": …, "entities": [{"text", "label", "start", "end", "score"}]}``."""
    for text, tagged in texts:
        entities = [entity._asdict() for entity in _entities(tagged)]
        for entity in entities:
            entity["score"] = round(entity["score"], 6)
        yield _writable(json.dumps({"text": text, "entities": entities}, ensure_ascii=False)) + "\n"


def conll(texts: Iterable[Tagged]) -> Iterator[str]:
    """A line a token with its tag in IOB2, a blank line after each sentence."""
    for _, tagged in texts:
        for sentence in tagged:
            tags = tags_of(spans_of(sentence.tags), len(sentence.tags), "iob2")
            for token, tag in zip(sentence.tokens, tags, strict=True):
                yield _writable(f"{token.text} {tag}\n")
            yield "\n"


def table(texts: Iterable[Tagged]) -> Iterator[str]:
    """For the eye: a line an entity under each text."""
    for text, tagged in texts:
        yield _writable(text) + "\n"
        for entity in _entities(tagged):
            place = f"{entity.start}-{entity.end}"
            name = " ".join(entity.text.split())
            yield _writable(f"  {entity.label:<8} {entity.score:.3f}  {place:>9}  {name}\n")


FORMATS: dict[str, Callable[[Iterable[Tagged]], Iterator[str]]] = {
    "jsonl": jsonl,
    "conll": conll,
    "table": table,
}


def _entities(tagged: list[TaggedSentence]) -> Iterator[Entity]:
    for sentence in tagged:
        yield from sentence.entities


def _writable(line: str) -> str:
    """Half a surrogate pair cannot be written as UTF-8; JSON can spell it, other formats not."""
    return line.encode("utf-8", "backslashreplace").decode("utf-8")
