"""Tagged texts for programs: JSON lines, CoNLL columns."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from nerlab.inference.predictor import Entity, TaggedSentence
from nerlab.messages import as_column, conll_sentence
from nerlab.tags import spans_of, tags_of

# JSON may have them as they are; a terminal obeys them, and UTF-8 has no half surrogate pair.
_CONTROL = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff]")

Tagged = tuple[str, list[TaggedSentence]]


def jsonl(texts: Iterable[Tagged]) -> Iterator[str]:
    """A line a text, ``{"text": …, "entities": [{"text", "label", "start", "end", "score"}]}``."""
    for text, tagged in texts:
        entities = [e._replace(score=round(e.score, 6))._asdict() for e in entities_of(tagged)]
        yield f"{to_json({'text': text, 'entities': entities})}\n"


def conll(texts: Iterable[Tagged]) -> Iterator[str]:
    """A line a token with its tag in IOB2, a blank line after each sentence.

    What would end a line or a column is spelt out, see :func:`nerlab.messages.as_column`.
    """
    for _, tagged in texts:
        for sentence in tagged:
            tags = tags_of(spans_of(sentence.tags), len(sentence.tags), "iob2")
            words = (as_column(token.text) for token in sentence.tokens)
            yield conll_sentence(words, map(as_column, tags))


def to_json(value: Any) -> str:
    """A value on one line, with nothing in it that a terminal obeys; it is UTF-8 in any case."""
    line = json.dumps(value, ensure_ascii=False)
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", line)


def entities_of(tagged: Iterable[TaggedSentence]) -> list[Entity]:
    """The entities of a text."""
    return [entity for sentence in tagged for entity in sentence.entities]
