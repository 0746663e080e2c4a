"""What Perspective's clients send, read as leniently as Google's servers read JSON.

Names in camelCase or snake_case, unknown fields ignored, null as if not there.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from civilly.serve.perspective_errors import PerspectiveError

Read = TypeVar("Read", bound="Message")


class Message(BaseModel):
    """A message of Perspective's interface."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        """Null is as if it were not there."""
        if isinstance(value, dict):
            return {name: item for name, item in value.items() if item is not None}
        return value


class TextEntry(Message):
    """A text and its type."""

    text: str = ""
    type: str = "PLAIN_TEXT"


class ArticleAndParentComment(Message):
    """What a comment answers."""

    article: TextEntry | None = None
    parent_comment: TextEntry | None = None


class Context(Message):
    """What stands around a comment; accepted and not used, as at Perspective."""

    entries: list[TextEntry] = Field(default_factory=list)
    article_and_parent_comment: ArticleAndParentComment | None = None


class AttributeParameters(Message):
    """How one attribute is asked for; below the threshold it is left out of the answer."""

    score_type: str = "PROBABILITY"
    score_threshold: float = 0.0


class Score(Message):
    """A score."""

    value: float = 0.0
    type: str = "PROBABILITY"


class SpanScore(Message):
    """The score of a stretch, in UTF-16 code units; ``end`` is exclusive."""

    begin: int = Field(ge=0)
    end: int = Field(ge=0)
    score: Score = Field(default_factory=Score)


class AttributeScores(Message):
    """The scores of one attribute."""

    summary_score: Score | None = None
    span_scores: list[SpanScore] = Field(default_factory=list)


class Extra(Message):
    """The block ``civilly``, which Perspective did not have: what else is wanted.

    Attributes:
        suggestion: Whether the text is rewritten, which takes longer than scoring it.
    """

    suggestion: bool = False


class AnalyzeRequest(Message):
    """The body of ``comments:analyze``."""

    comment: TextEntry = Field(default_factory=TextEntry)
    context: Context = Field(default_factory=Context)
    requested_attributes: dict[str, AttributeParameters] = Field(default_factory=dict)
    languages: list[str] = Field(default_factory=list)
    span_annotations: bool = False
    do_not_store: bool = False
    client_token: str | None = None
    session_id: str | None = None
    community_id: str | None = None
    civilly: Extra | None = None

    @field_validator("requested_attributes", mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        """Attributes without parameters, ``{"TOXICITY": null}``."""
        return {k: v or {} for k, v in value.items()} if isinstance(value, dict) else value


class SuggestRequest(Message):
    """The body of ``comments:suggestscore``."""

    comment: TextEntry = Field(default_factory=TextEntry)
    context: Context = Field(default_factory=Context)
    attribute_scores: dict[str, AttributeScores] = Field(default_factory=dict)
    languages: list[str] = Field(default_factory=list)
    client_token: str | None = None
    session_id: str | None = None
    community_id: str | None = None


def read(kind: type[Read], body: Any) -> Read:
    """A message out of parsed JSON.

    Raises:
        PerspectiveError: If it is none; says which field, never what stood there.
    """
    if not isinstance(body, dict):
        raise bad_json("The body must be a JSON object.")
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise bad_json(f"Invalid value at '{place}': {first['msg']}.") from None


def bad_json(problem: str) -> PerspectiveError:
    """A body that is no JSON, or not of the right kind; Google does not call it a comment's."""
    return PerspectiveError(
        f"Invalid JSON payload received. {problem}",
        details=[{"@type": "type.googleapis.com/google.rpc.BadRequest"}],
    )
