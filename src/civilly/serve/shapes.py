"""JSON of the native surface: what requests may say, what answers do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from civilly.data.files import mend_surrogates
from civilly.errors import CivillyError
from civilly.methods.records import record_of
from civilly.select.reads import TOXIC
from civilly.select.strength import USUAL
from civilly.serve.refusals import refusal_of
from civilly.serve.service import Asked, Found, Rewritten

MAX_ALTERNATIVES = 8
String = Annotated[
    str, BeforeValidator(lambda given: mend_surrogates(given) if isinstance(given, str) else given)
]
"""A string; lone surrogates, which clients make by cutting an emoji, became U+FFFD."""
Name = Annotated[String, Field(max_length=64)]
Identity = Annotated[String, Field(max_length=256)] | int
Language = Annotated[Name | None, Field(description="Code, tag or name; none: it is detected.")]
_ONE_OF: dict[str, Any] = {"oneOf": [{"required": ["text"]}, {"required": ["texts"]}]}


class Strict(BaseModel):
    """An object that has no other fields: a misspelt one would be overlooked."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Item(Strict):
    """One text of several."""

    text: String
    lang: Language = None
    id: Annotated[Identity | None, Field(description="Comes back with the result.")] = None


class TextRequest(Strict):
    """One text, or several."""

    model_config = ConfigDict(json_schema_extra=_ONE_OF)

    text: Annotated[String, Field(description="One text.")] = ""
    texts: Annotated[list[String | Item], Field(description="Several texts.")] = []
    lang: Annotated[Name | None, Field(description="Of all texts that name none.")] = None
    offsets: Annotated[
        Literal["codepoints", "utf16"],
        Field(description="What starts and ends count: characters, or units as in JavaScript."),
    ] = "codepoints"

    @model_validator(mode="after")
    def _one_of(self) -> TextRequest:
        if len({"text", "texts"} & self.model_fields_set) != 1:
            raise ValueError("give text, or texts")
        return self

    @property
    def single(self) -> bool:
        """Whether it is one text, and not a list."""
        return "text" in self.model_fields_set

    @property
    def items(self) -> list[Item]:
        """Its texts."""
        given: Sequence[str | Item] = [self.text] if self.single else self.texts
        return [Item(text=each) if isinstance(each, str) else each for each in given]

    def asked(self) -> list[Asked]:
        """Its texts, as the service takes them."""
        return [Asked(item.text, item.lang or self.lang) for item in self.items]


class DetectRequest(TextRequest):
    """Texts to look at."""


class RewriteRequest(TextRequest):
    """Texts to rewrite, and how."""

    method: Annotated[Name | None, Field(description="See /v1/methods; several: tuned+infill.")] = (
        None
    )
    strength: Annotated[
        float, Field(ge=0, le=1, description="0 keeps a text unless a wording reads well.")
    ] = USUAL
    alternatives: Annotated[
        int | None, Field(ge=1, le=MAX_ALTERNATIVES, description="Candidates per text.")
    ] = None
    only_toxic: Annotated[
        float | None,
        Field(ge=0, le=1, description="Texts of a lower p(toxic) pass at the detector's speed."),
    ] = None


class FeedbackRequest(Strict):
    """What a person decided about a rewrite."""

    text: Annotated[String, Field(min_length=1)]
    rewritten: Annotated[String, Field(description="The suggestion.")]
    lang: Annotated[Name, Field(description="Code, tag or name.")]
    decision: Literal["accepted", "edited", "rejected"]
    final: Annotated[
        String | None, Field(description="What the person wrote instead, where it was edited.")
    ] = None
    method: Annotated[Name | None, Field(description="Who made the suggestion.")] = None
    id: Annotated[Identity | None, Field(description="Of the text.")] = None
    note: Annotated[String, Field(max_length=1000, description="Why.")] = ""

    @model_validator(mode="after")
    def _final_where_edited(self) -> FeedbackRequest:
        if (self.final is not None) != (self.decision == "edited"):
            raise ValueError("final is given where the decision is edited, and only there")
        return self


Place = Callable[[str, int], int]
"""Turns an offset in code points into one of what was asked for."""


def place_of(offsets: str) -> Place:
    """How offsets are counted: in code points, or in UTF-16 units."""
    if offsets == "codepoints":
        return lambda text, at: at
    return lambda text, at: len(text[:at].encode("utf-16-le")) // 2


def spans_of(text: str, spans: Sequence[Any], place: Place) -> list[dict[str, Any]]:
    """Spans of a text with what stands there."""
    return [
        {
            "start": place(text, span.start),
            "end": place(text, span.end),
            "score": span.score,
            "text": text[span.start : span.end],
        }
        for span in spans
    ]


def found_json(item: Item, found: Found | CivillyError, place: Place) -> dict[str, Any]:
    """The result of a detection."""
    if isinstance(found, CivillyError):
        return _failed(item, found)
    return {
        **_id_of(item),
        "text": item.text,
        "lang": found.lang,
        "language_sure": found.sure,
        "p_toxic": found.detection.p_toxic,
        "toxic": found.toxic,
        "threshold": TOXIC,
        "spans": spans_of(item.text, found.detection.spans, place),
        "flags": list(found.detection.flags),
    }


def rewritten_json(item: Item, made: Rewritten | CivillyError, place: Place) -> dict[str, Any]:
    """The result of a rewrite, as ``civilly rewrite --json`` writes it."""
    if isinstance(made, CivillyError):
        return _failed(item, made)
    result = made.rewrite
    record = record_of(result, item.text, made.filler, made.edits)
    for key, text, detection in (
        ("before", result.text, result.before),
        ("after", result.rewritten, result.after),
    ):
        record[key]["spans"] = spans_of(text, detection.spans, place)
    for edit in record["edits"]:
        edit["start"], edit["end"] = (place(result.text, edit[key]) for key in ("start", "end"))
    for candidate in record["candidates"]:
        if candidate["place"] is not None:
            candidate["place"] = [place(result.text, at) for at in candidate["place"]]
    return {**_id_of(item), **record}


def refusal_json(error: CivillyError, identity: str | None = None) -> dict[str, Any]:
    """An error of a request, or of one text of it."""
    refused = refusal_of(error)
    return {
        "error": {
            "type": refused.kind,
            "message": refused.problem,
            "allowed": refused.allowed,
            "mend": refused.mend,
            **({"request_id": identity} if identity else {}),
        }
    }


def _failed(item: Item, error: CivillyError) -> dict[str, Any]:
    return {**_id_of(item), **refusal_json(error)}


def _id_of(item: Item) -> dict[str, Any]:
    return {} if item.id is None else {"id": item.id}
