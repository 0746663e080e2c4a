"""The shape of OpenAI's ``/v1/moderations``.

Of its thirteen categories three are served: ``harassment`` is p(toxic); ``harassment/threatening``
and ``self-harm`` are the detector's flags, 1 or 0. The others are not evaluated, which
``category_applied_input_types`` says with an empty list; their score is 0.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Request, Response

from civilly.detect import SELF_HARM, THREAT
from civilly.serve.bodies import AnyJSON, described
from civilly.serve.openai_shape import Asking, ShapeError, good, read
from civilly.serve.service import Asked, Found, Service
from civilly.serve.settings import Settings

MODEL = "omni-moderation-latest"
"""What clients get who name no model; whatever they name, it is our detector."""
TOXICITY, THREATS, HARM = "harassment", "harassment/threatening", "self-harm"
NULLABLE = ("illicit", "illicit/violent")
"""Categories that may be null, which is more honest than false."""
CATEGORIES = (
    TOXICITY, THREATS, "hate", "hate/threatening", *NULLABLE, HARM, "self-harm/instructions",
    "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip


class Part(Asking):
    """A part of an input of several."""

    type: Literal["text", "image_url"]
    text: str = ""


class ModerationRequest(Asking):
    """The body: one text, several, or one input of several parts."""

    input: str | list[str] | list[Part]
    model: str = MODEL


def router(service: Service, settings: Settings) -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.post(
        "/v1/moderations",
        summary="Classify texts, in OpenAI's shape.",
        openapi_extra=described(ModerationRequest),
    )
    async def moderations(request: Request) -> Response:
        asked = read(ModerationRequest, await request.body())
        texts = _texts(asked.input, settings.max_texts)
        found = [good(each) for each in await service.detect([Asked(text) for text in texts])]
        return AnyJSON({
            "id": f"modr-{uuid4().hex}",
            "model": asked.model,
            "results": [_result(text, each) for text, each in zip(texts, found, strict=True)],
        })  # fmt: skip

    return routes


def _texts(given: str | list[str] | list[Part], most: int) -> list[str]:
    """The texts that get a result each; the parts of one input get one together."""
    if isinstance(given, str):
        return [given]
    if not given:
        raise ShapeError("There is no input.", "input", allowed="a text, or a list of texts")
    if len(given) > most:
        raise ShapeError(f"There are {len(given)} inputs.", "input", allowed=f"{most} at most")
    texts = [each for each in given if isinstance(each, str)]
    if texts:
        return texts
    parts = [each for each in given if isinstance(each, Part)]
    if any(part.type != "text" for part in parts):
        raise ShapeError("Images are not read here.", "input", allowed="parts of type 'text'")
    return ["\n".join(part.text for part in parts)]


def _result(text: str, found: Found) -> dict[str, Any]:
    detection = found.detection
    scores = {
        TOXICITY: detection.p_toxic,
        THREATS: float(THREAT in detection.flags),
        HARM: float(SELF_HARM in detection.flags),
    }
    decided = {TOXICITY: found.toxic, THREATS: scores[THREATS] > 0, HARM: scores[HARM] > 0}
    others = {name: None if name in NULLABLE else False for name in CATEGORIES}
    return {
        "flagged": any(decided.values()),
        "categories": {**others, **decided},
        "category_scores": {**dict.fromkeys(CATEGORIES, 0.0), **scores},
        "category_applied_input_types": {
            name: ["text"] if name in scores else [] for name in CATEGORIES
        },
        "civilly": {
            "lang": found.lang,
            "p_toxic": detection.p_toxic,
            "spans": [
                {**asdict(span), "text": text[span.start : span.end]} for span in detection.spans
            ],
            "flags": list(detection.flags),
        },
    }
