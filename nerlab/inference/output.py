"""Tagged texts as JSON lines, CoNLL columns or a table."""

import json
import re
from collections.abc import Iterable, Iterator

from nerlab.inference.predictor import Entity, TaggedSentence
from nerlab.messages import as_column, conll_sentence, escape_controls
from nerlab.tags import spans_of, tags_of

# JSON may have them as they are; a terminal obeys them, and UTF-8 has no half surrogate pair.
_CONTROL = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff]")

Tagged = tuple[str, list[TaggedSentence]]


def jsonl(texts: Iterable[Tagged]) -> Iterator[str]:
    """A line a text, ``{"text": …, "entities": [{"text", "label", "start", "end", "score"}]}``."""
    for text, tagged in texts:
        entities = [e._replace(score=round(e.score, 6))._asdict() for e in _entities(tagged)]
        line = json.dumps({"text": text, "entities": entities}, ensure_ascii=False)
        yield _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", line) + "\n"


def conll(texts: Iterable[Tagged]) -> Iterator[str]:
    """A line a token with its tag in IOB2, a blank line after each sentence.

    What would end a line or a column is spelt out, see :func:`nerlab.messages.as_column`.
    """
    for _, tagged in texts:
        for sentence in tagged:
            tags = tags_of(spans_of(sentence.tags), len(sentence.tags), "iob2")
            words = (as_column(token.text) for token in sentence.tokens)
            yield conll_sentence(words, map(as_column, tags))


def table(texts: Iterable[Tagged]) -> Iterator[str]:
    """For the eye: a line an entity under each text."""
    for text, tagged in texts:
        yield escape_controls(text, keep="\t\n") + "\n"
        for entity in _entities(tagged):
            offsets = f"{entity.start}-{entity.end}"
            label = escape_controls(entity.label)
            name = escape_controls(" ".join(entity.text.split()))
            yield f"  {label:<8} {entity.score:.3f}  {offsets:>9}  {name}\n"


FORMATS = {"jsonl": jsonl, "conll": conll, "table": table}


def _entities(tagged: list[TaggedSentence]) -> list[Entity]:
    return [entity for sentence in tagged for entity in sentence.entities]
