"""The plainest FastAPI loop around a tagger, which serving.py measures the server against.

python benchmarks/plain_server.py runs/latest       # prints the port that it listens on
"""

import argparse
import socket

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

import nerlab
from nerlab.device import use_threads

app = FastAPI()


class Asked(BaseModel):
    """A text."""

    text: str


class Found(BaseModel):
    """An entity of it."""

    text: str
    label: str
    start: int
    end: int
    score: float


class Answer(BaseModel):
    """The text with its entities."""

    text: str
    entities: list[Found]


@app.post("/predict")
def predict(asked: Asked) -> Answer:
    """Tag one text; FastAPI calls this in one of its threads."""
    (entities,) = app.state.tagger.predict([asked.text])
    return Answer(text=asked.text, entities=[Found(**entity._asdict()) for entity in entities])


def main() -> None:
    """Load the tagger and serve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--threads", default="1", help="auto, or a number")
    arguments = parser.parse_args()
    use_threads("auto" if arguments.threads == "auto" else int(arguments.threads))
    app.state.tagger = nerlab.load(arguments.checkpoint)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}/", flush=True)
        config = uvicorn.Config(app, access_log=False, log_level="warning")
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
