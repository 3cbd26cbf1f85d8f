"""The JSON of requests and answers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """What a request may say beside its text."""

    model_config = ConfigDict(extra="forbid", strict=True)

    min_score: float = Field(0.0, ge=0, le=1, description="the least score of an entity")
    k: int = Field(0, ge=0, le=100, description="how many of the best tag sequences are listed")
    document: Literal["line", "file", "none"] = "line"
    tokens: bool = Field(False, description="list the tokens with their tags too")


class TextRequest(Options):
    """One text."""

    text: str


class TextsRequest(Options):
    """Several texts."""

    texts: list[str]
