"""What was found, as JSON."""

import json
from collections.abc import Sequence

from nerlab.inference.predictor import SentenceTags
from nerlab.text import Token


def text_answer(
    text: str, sentences: Sequence[list[Token]], found: Sequence[SentenceTags], min_score: float
) -> dict[str, object]:
    """The entities of a text."""
    entities = []
    for tokens, tagged in zip(sentences, found, strict=True):
        for span in tagged.spans:
            if span.score >= min_score:
                start, end = tokens[span.start].start, tokens[span.end - 1].end
                entities.append(
                    {
                        "text": text[start:end],
                        "label": span.label,
                        "start": start,
                        "end": end,
                        "score": round(span.score, 6),
                    }
                )
    return {"text": text, "entities": entities}


def as_json(answer: object) -> bytes:
    """The bytes of an answer; half a surrogate pair is escaped."""
    return json.dumps(answer, ensure_ascii=False).encode("utf-8", "surrogatepass")
