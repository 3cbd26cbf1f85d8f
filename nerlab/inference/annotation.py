"""Tagged texts as annotation tools read them: brat, spaCy, Label Studio."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from nerlab.inference.output import Tagged, entities_of
from nerlab.inference.predictor import TaggedSentence
from nerlab.messages import as_column, json_line
from nerlab.text import Token

# What brat cannot have in an annotation: its lines end there, or its columns.
_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_FRAGMENT = re.compile(rf"[^\s{_CONTROL}](?:[^{_CONTROL}]*[^\s{_CONTROL}])?")


def brat(texts: Iterable[Tagged]) -> Iterator[tuple[str, str]]:
    r"""The parts of a document and of its annotations in brat's standoff format, a pair a text.

    The document is the texts with a line end after each; offsets count its characters. A line
    ``T1<tab>PER 0 4<tab>Anna`` is an entity, ``#1<tab>AnnotatorNotes T1<tab>0.993`` its score. An
    entity with a line end, a tab or another control character in it is written in fragments,
    ``T1<tab>PER 0 4;5 10<tab>Anna Smith``.
    """
    number, position = 0, 0
    for text, tagged in texts:
        lines = []
        for entity in entities_of(tagged):
            number += 1
            found = list(_FRAGMENT.finditer(text, entity.start, entity.end))
            places = ";".join(f"{position + f.start()} {position + f.end()}" for f in found)
            name = " ".join(f[0] for f in found)
            lines.append(f"T{number}\t{as_column(entity.label)} {places}\t{name}\n")
            lines.append(f"#{number}\tAnnotatorNotes T{number}\t{entity.score:.6f}\n")
        yield f"{text}\n", "".join(lines)
        position += len(text) + 1


def spacy(texts: Iterable[Tagged]) -> Iterator[str]:
    """A line a text, as spaCy's ``Doc.to_json()`` has it: ``{"text", "ents": [{"start", "end",
    "label"}], "sents": [{"start", "end"}], "tokens": [{"id", "start", "end"}]}``.

    displaCy's manual mode draws it, ``Doc(vocab).from_json`` makes a document of it. As in spaCy,
    white space is a token, but for one space behind another token.
    """
    for text, tagged in texts:
        tokens = enumerate(_with_white_space(text, [t for s in tagged for t in s.tokens]))
        value = {
            "text": text,
            "ents": [
                {"start": e.start, "end": e.end, "label": e.label} for e in entities_of(tagged)
            ],
            "sents": [{"start": s.tokens[0].start, "end": s.tokens[-1].end} for s in tagged],
            "tokens": [{"id": i, "start": start, "end": end} for i, (start, end) in tokens],
        }
        yield f"{json_line(value)}\n"


def _with_white_space(text: str, tokens: Iterable[Token]) -> Iterator[tuple[int, int]]:
    """Start and end of the tokens of a text, and of the white space that spaCy takes for tokens."""
    done = 0
    for _, start, end in (*tokens, Token("", len(text), len(text))):
        if done and text[done:start].startswith(" "):
            done += 1
        if done < start:
            yield done, start
        if start < end:
            yield start, end
        done = end


def labelstudio(texts: Iterable[Tagged]) -> Iterator[str]:
    """A JSON array of tasks with predictions, as Label Studio imports them.

    ``score`` of a region is that of the entity, of a prediction the lowest of them: sorted by it,
    the texts that should be looked at come first. The labelling interface calls the text ``text``
    and the labels ``label``, as Label Studio's template does.
    """
    separator = "[\n"
    for text, tagged in texts:
        yield separator + json_line({"data": {"text": text}, "predictions": [_prediction(tagged)]})
        separator = ",\n"
    yield "\n]\n" if separator == ",\n" else "[]\n"


def _prediction(tagged: list[TaggedSentence]) -> dict[str, Any]:
    entities = entities_of(tagged)
    scores = [round(entity.score, 6) for entity in entities]
    regions = [
        {
            "id": f"entity-{number}",
            "from_name": "label",
            "to_name": "text",
            "type": "labels",
            "score": score,
            "value": {"start": e.start, "end": e.end, "text": e.text, "labels": [e.label]},
        }
        for number, (e, score) in enumerate(zip(entities, scores, strict=True), start=1)
    ]
    lowest = {"score": min(scores)} if scores else {}
    return {"model_version": "nerlab", **lowest, "result": regions}
