"""The answers of /predict, held against predict.py and sums over single tags."""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import run_script
from example_tagger import LIMITS, ExampleTagger
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tagged_texts import some_text

from nerlab.inference.masking import MaskedSentence, TaggedSpan
from nerlab.inference.output import conll, jsonl
from nerlab.inference.pieces import Piece
from nerlab.inference.predictor import Predictor, load
from nerlab.messages import json_line
from nerlab.models.loading import load_checkpoint
from nerlab.serving.app import make_app
from nerlab.tags import spans_of, split_tag, tags_of
from nerlab.text import sentences

TEXTS = (
    "Anna Smith flew to Berlin . In Oslo Omar met Eve .",
    "In Bakı Aygün Əliyeva met Eve.",
    "北京 Li Wei met Eve .",
    "👩‍👩‍👧‍👦 Tom flew to Rome 🇦🇿!",
    'a "quoted" \\ back\x85slash\u2028 Eve',
    "",
    " \t\u200b ",
)
words = st.sampled_from(
    ["Anna", "Smith", "Eve", "Berlin", "Bakı", "北京", "In", "met", "👩🏽‍🚀", ".", "\n"]
)
texts = st.one_of(some_text, st.lists(words, max_size=30).map(" ".join))
_SCORE = re.compile(r'(?<="score": )[^}]+')
quick = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def predictor(run: Path) -> Predictor:
    return load(run, device="cpu")


@pytest.fixture(scope="module")
def client(predictor: Predictor) -> Iterator[TestClient]:
    with TestClient(make_app(predictor, LIMITS, timeout=10)) as client:
        yield client


def ask(client: TestClient, **fields: object) -> Any:
    answer = client.post("/predict", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_answer_is_the_line_that_predict_py_writes(
    client: TestClient, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "texts").write_text("\n".join(TEXTS), encoding="utf-8", newline="\n")
    arguments = (f"checkpoint={run}", f"input={tmp_path / 'texts'}", "min_score=0.3", "device=cpu")
    lines = run_script("predict", *arguments).out.split("\n")[:-1]
    assert len(lines) == len(TEXTS) and sum('"label"' in line for line in lines) >= 4  # noqa: PT018
    results = ask(client, texts=TEXTS, min_score=0.3)["results"]
    for text, result, line in zip(TEXTS, results, lines, strict=True):
        hold(json_line(result), line)
        hold(client.post("/predict", json={"text": text, "min_score": 0.3}).text, line)


def hold(answer: str, line: str) -> None:
    """They are the same; scores to the rounding of batches of other sizes."""
    assert _SCORE.sub("", answer) == _SCORE.sub("", line)
    found, expected = (list(map(float, _SCORE.findall(text))) for text in (answer, line))
    assert found == pytest.approx(expected, abs=2e-6)


@given(text=texts, min_score=st.floats(0, 1))
@quick
def test_any_text_has_the_tokens_tags_and_entities_of_predict_py(
    client: TestClient, predictor: Predictor, text: str, min_score: float
) -> None:
    tagged = list(predictor.stream([text], min_score=min_score))
    answer = ask(client, text=text, min_score=min_score, tokens=True)
    tokens = answer.pop("tokens")
    assert [json_line(answer) + "\n"] == list(jsonl(tagged))
    assert all(text[token["start"] : token["end"]] == token["text"] for token in tokens)
    expected = [line.split(" ") for line in "".join(conll(tagged)).split("\n") if line]
    assert [token["tag"] for token in tokens] == [tag for _, tag in expected]
    plain = client.post(
        f"/predict?min_score={min_score!r}",
        content=text.encode(),
        headers={"Content-Type": "text/plain; charset=UTF-8"},
    )
    assert plain.json() == [[token["text"], token["tag"]] for token in tokens]


@given(st.lists(words.filter(str.strip), max_size=20), st.floats(0, 1))
@quick
def test_the_score_of_a_tag_is_the_sum_of_those_it_stands_for(
    client: TestClient, predictor: Predictor, sentence: list[str], min_score: float
) -> None:
    answer = ask(client, sentence=sentence, min_score=min_score)
    (marginals,) = predictor.marginals([sentence])
    (found,) = predictor.predict_tokens([sentence], min_score=min_score)
    assert answer["tags"] == tags_of([s.span for s in found], len(sentence), "iob2")
    stands_for = {"B": "BS", "I": "IE", "O": "O"}
    for tag, score, row in zip(answer["tags"], answer["scores"], marginals, strict=True):
        role, label = split_tag(tag)
        sums = (
            p
            for name, p in zip(predictor.tags, row.tolist(), strict=True)
            if split_tag(name)[0] in stands_for[role] and split_tag(name)[1] == label
        )
        assert score == pytest.approx(sum(sums), abs=2e-6)


def test_tokens_have_the_scores_that_they_have_in_a_sentence(client: TestClient) -> None:
    tokens = ask(client, text="Anna Smith flew to Berlin .", tokens=True)["tokens"]
    answer = ask(client, sentence=[token["text"] for token in tokens])
    assert [token["score"] for token in tokens] == answer["scores"]
    assert [token["tag"] for token in tokens] == answer["tags"]


def test_the_best_sequences_are_those_of_each_sentence(client: TestClient, run: Path) -> None:
    answer = ask(client, text="Anna met Eve . Eve flew to Oslo .", k=3)
    assert [len(best) for best in answer["sequences"]] == [3, 3]
    checkpoint = load_checkpoint(run, torch.device("cpu"))
    for tokens, found in zip(sentences(answer["text"]), answer["sequences"], strict=True):
        span = TaggedSpan(0, 1, "PER", ["S-PER"])
        best = MaskedSentence(checkpoint, [token.text for token in tokens], span).best_sequences(3)
        expected = [tags_of(spans_of(b.tags), len(tokens), "iob2") for b in best]
        assert [b["tags"] for b in found] == expected
        probabilities = [b["probability"] for b in found]
        assert probabilities == pytest.approx([b.probability for b in best], abs=2e-6)
        assert probabilities == sorted(probabilities, reverse=True)
    of_tokens = ask(client, sentence=["Anna", "met", "Eve", "."], k=3)["sequences"]
    assert of_tokens == answer["sequences"][:1]
    assert ask(client, texts=["", "Eve"], k=1)["results"][0]["sequences"] == []


def test_a_sentence_of_any_length_is_cut_as_those_of_texts_are(
    client: TestClient, predictor: Predictor, run: Path
) -> None:
    tagger = Recorder(run)
    with TestClient(make_app(tagger, LIMITS, timeout=10)) as recorded:
        ask(recorded, sentence=["a"] * 1001)
        ask(recorded, text="a " * 1001)
    assert tagger.lengths == [500, 500, 1, 500, 500, 1]
    tokens = ["Eve", "met", "Anna", "Smith"] * 300
    answer = ask(client, sentence=tokens)
    windows = [tokens[:500], tokens[500:1000], tokens[1000:]]
    found = predictor.predict_tokens(windows)
    expected = [
        tags_of([s.span for s in f], len(w), "iob2") for f, w in zip(found, windows, strict=True)
    ]
    assert answer["tags"] == list(chain.from_iterable(expected))
    assert len(answer["scores"]) == len(tokens)
    in_text = ask(client, text=" ".join(tokens), tokens=True)["tokens"]
    assert [token["tag"] for token in in_text] == answer["tags"]


def test_a_form_is_answered_with_the_texts_of_each_label_in_order(client: TestClient) -> None:
    text = "Eve flew to Oslo . Anna Smith met Eve ."
    entities = ask(client, text=text)["entities"]
    for sent in ({"data": {"text": text}}, {"files": {"text": (None, text)}}):
        answer = client.post("/predict/", **sent).json()
        assert answer["entities"] == {
            label: [e["text"] for e in entities if e["label"] == label]
            for label in dict.fromkeys(e["label"] for e in entities)
        }
    assert len(answer["entities"]["PER"]) == 3
    options = {"text": text, "min_score": "1", "k": "1", "tokens": "true"}
    answer = client.post("/predict/", data=options).json()
    assert answer["entities"] == {}
    assert len(answer["sequences"]) == 2
    assert {token["tag"] for token in answer["tokens"]} == {"O"}


def test_an_option_of_the_body_goes_before_that_of_the_query(client: TestClient) -> None:
    fields = {"text": "Eve flew to Oslo ."}
    assert client.post("/predict?min_score=1", json=fields).json()["entities"] == []
    found = client.post("/predict?min_score=1", json={**fields, "min_score": 0}).json()
    assert len(found["entities"]) == 2


class Recorder(ExampleTagger):
    """Notes how it is asked to cut into pieces what of which length."""

    def __init__(self, run: Path) -> None:
        super().__init__(run)
        self.documents: list[str] = []
        self.lengths: list[int] = []

    def pieces(self, texts: Sequence[Sequence[list[str]]], document: str) -> list[Piece]:
        self.documents.append(document)
        self.lengths += [len(sentence) for text in texts for sentence in text]
        return super().pieces(texts, document)


def test_document_says_what_is_seen_together(run: Path) -> None:
    tagger = Recorder(run)
    with TestClient(make_app(tagger, LIMITS, timeout=10)) as client:
        ask(client, texts=["Berlin", "Paris"], document="file")
        ask(client, text="Berlin", document="none")
        ask(client, text="Berlin")
        client.post("/predict?document=file", content="x", headers={"Content-Type": "text/plain"})
    assert tagger.documents == ["file", "none", "line", "file"]


def test_a_mark_of_the_byte_order_is_no_text(client: TestClient) -> None:
    body = json.dumps({"text": "Eve"}).encode("utf-8-sig")
    headers = {"Content-Type": "application/json"}
    assert client.post("/predict", content=body, headers=headers).json()["text"] == "Eve"
    body, headers = "Eve".encode("utf-8-sig"), {"Content-Type": "text/plain"}
    assert client.post("/predict", content=body, headers=headers).json() == [["Eve", "B-PER"]]


def test_an_ensemble_has_all_but_best_sequences(run: Path) -> None:
    with TestClient(make_app(load([run, run], device="cpu"), LIMITS, timeout=10)) as client:
        answer = ask(client, text="Eve flew", tokens=True, k=0)
        assert [token["tag"] for token in answer["tokens"]] == ["B-PER", "O"]
        answer = client.post("/predict", json={"text": "Eve flew", "k": 1})
        assert answer.status_code == 422
        assert "k: expected 0" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/", "/style.css", "/health"])
def test_a_load_balancer_may_ask_for_the_head_alone(client: TestClient, path: str) -> None:
    head, answer = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == answer.headers["content-type"]


def test_labels_have_the_colours_of_pages(client: TestClient) -> None:
    colors = {"LOC": "#009e73", "PER": "#0072b2"}
    assert client.get("/labels").json() == {"labels": ["LOC", "PER"], "colors": colors}


def test_a_server_says_whether_it_works_and_takes_texts(run: Path) -> None:
    tagger = ExampleTagger(run)
    with TestClient(make_app(tagger, LIMITS, timeout=10)) as client:
        for path in ("/health", "/ready", "/ping"):
            assert (client.get(path).status_code, client.get(path).json()) == (
                200,
                {"status": "ok"},
            )
    for path in ("/health", "/ready", "/ping"):  # what tags has ended
        assert client.get(path).status_code == 503
        assert client.get(path).headers["Retry-After"] == "1"
    with TestClient(make_app(tagger, LIMITS._replace(queue_requests=0), timeout=10)) as client:
        assert client.get("/ready").status_code == 503
        assert client.get("/health").status_code == client.get("/ping").status_code == 200
