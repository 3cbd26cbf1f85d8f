"""The JSON of ``GET /model``: what :func:`nerlab.reports.card.card_of` makes."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from nerlab.serving.schemas import Score

Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ScoreOfSpans(_Part):
    """Precision, recall and F1 of entities as fractions, and how many there are in the data."""

    precision: Score
    recall: Score
    f1: Score
    support: Count


class Figures(ScoreOfSpans):
    """Those of all entities of a split together, and of each type; what the split holds."""

    sentences: Count
    tokens: Count
    per_type: dict[str, ScoreOfSpans]


class ModelPart(_Part):
    """A part of the model: where it stands in the configuration, its class and its options."""

    part: str
    kind: Annotated[str, Field(alias="class")]
    options: str
    parameters: Count


class Split(_Part):
    """A split of the data, and the SHA-256 of its tokens and tags."""

    sentences: Count
    tokens: Count
    sha256: str | None


class Data(_Part):
    """What it was trained on: the last name of the folder, the tag scheme of its files."""

    dir: str | None
    scheme: str | None
    splits: dict[str, Split]


class Training(_Part):
    """How it was trained: the command, the published model that it began with, the versions."""

    command: list[str] | None
    seed: int | None
    precision: str | None
    published: str | None
    versions: dict[str, str | None]


class Card(_Part):
    """A model: an ensemble has no parts, figures, data and training itself."""

    name: str
    versions: Annotated[dict[str, str], Field(description="those of the server")]
    labels: list[str]
    parameters: Count
    parts: list[ModelPart]
    figures: Annotated[dict[str, Figures], Field(description="of dev, and of test if measured")]
    data: Data | None
    training: Training | None


class ModelAnswer(Card):
    """The card of what is served; of an ensemble those of its members too."""

    members: list[Card]


EXAMPLE: dict[str, object] = {
    "name": "bilstm_crf-demo",
    "versions": {"nerlab": "0.1.0", "torch": "2.13.0+cpu"},
    "labels": ["LOC", "PER"],
    "parameters": 1262254,
    "parts": [
        {
            "part": "encoder",
            "class": "LSTM",
            "options": "hidden_dim=200, layers=1",
            "parameters": 322400,
        }
    ],
    "figures": {
        "dev": {
            "sentences": 604,
            "tokens": 5049,
            "precision": 0.9047,
            "recall": 0.9127,
            "f1": 0.9087,
            "support": 1020,
            "per_type": {
                "LOC": {"precision": 0.9598, "recall": 0.8831, "f1": 0.9199, "support": 325}
            },
        }
    },
    "data": {
        "dir": "data/demo",
        "scheme": "iob2",
        "splits": {"train": {"sentences": 10005, "tokens": 84005, "sha256": "90110782da91"}},
    },
    "training": {
        "command": ["python", "train.py"],
        "seed": 1,
        "precision": "auto",
        "published": None,
        "versions": {"nerlab": "0.1.0", "torch": "2.13.0+cpu"},
    },
    "members": [],
}
