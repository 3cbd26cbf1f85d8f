"""The JSON of requests and answers.

What stands before the colon of a field's description is what an error says was expected.
"""

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field
from pydantic.json_schema import SkipJsonSchema


def _whole(value: object) -> object:
    """3.0 is a whole number in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Document = Literal["line", "file", "none"]
Score = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(description="a string: the text, of any length")]
Word = Annotated[str, Field(min_length=1)]
MinScore = Annotated[
    float, Field(ge=0, le=1, description="a number from 0 to 1: the least score of an entity")
]
DocumentOption = Annotated[
    Document,
    Field(
        description=f"one of {', '.join(get_args(Document))}: what a model that looks at documents "
        "sees together: the sentences of each text, all texts, no two sentences"
    ),
]
K = Annotated[
    int,
    Field(
        ge=0,
        le=100,
        description="a whole number from 0 to 100: how many of the best tag sequences of each "
        "sentence are listed",
    ),
    BeforeValidator(_whole),  # behind, else the bounds are not in the JSON schema
]
Tokens = Annotated[
    bool, Field(description="true or false: list the tokens of the text with their tags too")
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class QueryOptions(_Request):
    """What a request may say beside its text, wherever its text stands."""

    min_score: MinScore = 0.0
    document: DocumentOption = "line"


class TextRequest(QueryOptions):
    """One text."""

    text: Text
    k: K = 0
    tokens: Tokens = False


class TextsRequest(QueryOptions):
    """Several texts, each with an answer of its own."""

    texts: Annotated[list[str], FailFast(), Field(description="a list of strings: the texts")]
    k: K = 0
    tokens: Tokens = False


class SentenceRequest(QueryOptions):
    """A sentence that is cut into tokens already; one of more than 500 is cut into several."""

    sentence: Annotated[
        list[Word],
        FailFast(),
        Field(description="a list of strings, none of them empty: the tokens"),
    ]
    k: K = 0


class FormRequest(TextRequest):
    """The fields of a form; a number or a truth value is written as in JSON."""


class PlainRequest(QueryOptions):
    """A text/plain body."""

    text: Text


class EntityAnswer(BaseModel):
    """An entity, ``text[start:end]``, counted in Unicode code points."""

    text: str
    label: str
    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=1)]
    score: Annotated[
        Score, Field(description="the model's probability of the whole entity with this label")
    ]


class TokenAnswer(BaseModel):
    """A token, ``text[start:end]``, with its tag in IOB2 and the probability of that tag."""

    text: str
    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=1)]
    tag: str
    score: Score


class SequenceAnswer(BaseModel):
    """Tags in IOB2 of all tokens of a sentence, and the model's probability of this sequence."""

    tags: list[str]
    probability: Score


class _Parts(BaseModel):
    tokens: Annotated[
        list[TokenAnswer] | SkipJsonSchema[None], Field(description="if tokens is true")
    ] = None
    sequences: Annotated[
        list[list[SequenceAnswer]] | SkipJsonSchema[None],
        Field(description="if k > 0: the best sequences of each sentence, the best first"),
    ] = None


class TextAnswer(_Parts):
    """A text and its entities, in its order."""

    text: str
    entities: list[EntityAnswer]


class TextsAnswer(BaseModel):
    """An answer a text."""

    results: list[TextAnswer]


class SentenceAnswer(BaseModel):
    """The tag of each token in IOB2, and the probability of that tag at that token."""

    tags: list[str]
    scores: list[Score]
    sequences: Annotated[
        list[list[SequenceAnswer]] | SkipJsonSchema[None], Field(description="if k > 0")
    ] = None


class FormAnswer(_Parts):
    """The entities of a text by label, in its order."""

    entities: dict[str, list[str]]


PlainAnswer = list[Annotated[list[str], Field(min_length=2, max_length=2)]]
PredictAnswer = TextAnswer | TextsAnswer | SentenceAnswer | FormAnswer | PlainAnswer


class LabelsAnswer(BaseModel):
    """The types of entities that the model knows, and the colour of each on pages."""

    labels: list[str]
    colors: dict[str, Annotated[str, Field(pattern="^#[0-9a-f]{6}$")]]


class ExampleText(BaseModel):
    """A sentence, and the tag of its language (BCP 47)."""

    language: str
    text: str


class ExamplesAnswer(BaseModel):
    """Sentences to try."""

    examples: list[ExampleText]


class StateAnswer(BaseModel):
    """That the server does what it should."""

    status: Literal["ok"]


class ErrorAnswer(BaseModel):
    """One line: where, what was expected, what was found, what to do."""

    error: str
