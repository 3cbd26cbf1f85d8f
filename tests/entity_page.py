"""What a person does with the page of a server, and answers that a server might give."""

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

import nerlab
from nerlab.inference.output import jsonl
from nerlab.text import tokenize

TEXT = "Anna Smith flew to Berlin .\nIn Paris Omar met Eve ."
SCRIPT = "<script>window.ran = true</script><img src=x onerror='window.ran = true'>"


def find(page: Page, text: str) -> None:
    """Type a text, and have it tagged."""
    page.get_by_label("Text").fill(text)
    page.get_by_role("button", name="Find entities").click()


def marks(page: Page) -> Locator:
    """What is highlighted in the text, each with its label and score."""
    return page.locator("#drawing mark")


def move_slider(page: Page, score: float) -> None:
    page.get_by_label("Least score").fill(str(score))


def answer_with(page: Page, path: str, answer: object, status: int = 200, **headers: str) -> None:
    """From now on have this answer to requests for a path."""
    body = answer if isinstance(answer, str) else json.dumps(answer)
    page.route(f"**/{path}", lambda route: route.fulfill(status=status, body=body, headers=headers))


def answer_of(text: str, *entities: tuple[int, int, str, float]) -> dict[str, Any]:
    """An answer of the server with these entities and tokens."""
    found = [
        {"text": text[start:end], "label": label, "start": start, "end": end, "score": score}
        for start, end, label, score in entities
    ]
    tokens = [token._asdict() | {"tag": "O", "score": 0.5} for token in tokenize(text)]
    return {"text": text, "entities": found, "tokens": tokens}


def tagged(run: Path, text: str) -> dict[str, Any]:
    """What predict.py answers."""
    line: dict[str, Any] = json.loads(next(jsonl(nerlab.load(run).stream([text]))))
    return line
