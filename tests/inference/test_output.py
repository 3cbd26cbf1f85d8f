"""Tagged texts as JSON lines and CoNLL columns."""

import json

from hypothesis import given
from tagged_texts import tagged_texts

from nerlab.inference.annotation import labelstudio, spacy
from nerlab.inference.output import Tagged, conll, jsonl
from nerlab.inference.predictor import Entity, TaggedSentence
from nerlab.text import Token

TEXT = 'Anna  Smith "flew" .\nRome'
TAGGED = [
    TaggedSentence(
        [Token("Anna", 0, 4), Token("Smith", 6, 11), Token("flew", 13, 17)],
        ["B-PER", "E-PER", "O"],
        [Entity("Anna  Smith", "PER", 0, 11, 0.12345678)],
    ),
    TaggedSentence([Token("Rome", 21, 25)], ["S-LOC"], [Entity("Rome", "LOC", 21, 25, 1.0)]),
]


def test_jsonl_is_a_line_a_text() -> None:
    first, second = jsonl([(TEXT, TAGGED), ("", [])])
    assert json.loads(first) == {
        "text": TEXT,
        "entities": [
            {"text": "Anna  Smith", "label": "PER", "start": 0, "end": 11, "score": 0.123457},
            {"text": "Rome", "label": "LOC", "start": 21, "end": 25, "score": 1.0},
        ],
    }
    assert second == '{"text": "", "entities": []}\n'


@given(tagged_texts())
def test_jsonl_gives_back_any_text_with_its_offsets(texts: list[Tagged]) -> None:
    lines = list(jsonl(texts))
    assert len(lines) == len(texts)
    for (text, tagged), line in zip(texts, lines, strict=True):
        assert line.count("\n") == 1
        found = json.loads(line.encode("utf-8"))
        assert found["text"] == text
        assert len(found["entities"]) == sum(len(sentence.entities) for sentence in tagged)
        for entity in found["entities"]:
            assert text[entity["start"] : entity["end"]] == entity["text"]


def test_conll_is_a_line_a_token_in_iob2_and_a_blank_line_a_sentence() -> None:
    text = "".join(conll([(TEXT, TAGGED), ("", [])]))
    assert text == "Anna B-PER\nSmith I-PER\nflew O\n\nRome B-LOC\n\n"


@given(tagged_texts())
def test_conll_has_two_columns_for_any_text(texts: list[Tagged]) -> None:
    lines = "".join(conll(texts)).encode("utf-8").decode("utf-8").split("\n")
    rows = [line.split(" ") for line in lines if line]
    assert {len(row) for row in rows} <= {2}
    count = sum(len(sentence.tokens) for _, tagged in texts for sentence in tagged)
    assert len(rows) == count


@given(tagged_texts())
def test_every_format_can_be_written_as_utf8(texts: list[Tagged]) -> None:
    for write in (jsonl, conll, spacy, labelstudio):
        "".join(write(texts)).encode("utf-8")
