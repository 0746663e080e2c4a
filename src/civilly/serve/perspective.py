"""The shape of the Perspective API: ``comments:analyze``, ``comments:suggestscore``, batches.

These routes score texts and do not rewrite them unless a request asks for it, so that they answer
within the few hundred milliseconds that Perspective's clients wait. What maps to what stands in
docs/perspective.md; attributes are those of `civilly.serve.perspective_attributes`.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Sequence
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response

from civilly.detect.by_sentence import sentences_of
from civilly.detect.language import script_shares
from civilly.errors import CivillyError
from civilly.languages import LANGUAGES
from civilly.serve.bodies import AnyJSON, as_bytes, described, from_here, parsed
from civilly.serve.feedback import append
from civilly.serve.keys import BATCHES, check_key
from civilly.serve.perspective_attributes import attribute, ours, utf16, value, written
from civilly.serve.perspective_batch import Answer, Call, calls, multipart
from civilly.serve.perspective_discovery import document
from civilly.serve.perspective_errors import (
    PerspectiveError,
    invalid,
    refused_as,
    said,
    unsupported,
)
from civilly.serve.perspective_feedback import lines_of
from civilly.serve.perspective_messages import (
    AnalyzeRequest,
    AttributeParameters,
    Context,
    SuggestRequest,
    TextEntry,
    bad_json,
    read,
)
from civilly.serve.refusals import Refused, refusal_of
from civilly.serve.service import Asked, Choices, Found, Service
from civilly.serve.settings import Settings
from civilly.types import Span, Text

PREFIX = "/v1alpha1/"
PREFIXES = (PREFIX, "/batch", "/$discovery/")
"""Paths whose errors have this surface's shape."""
DETECTING = frozenset({f"{PREFIX}comments:analyze", f"{PREFIX}comments:suggestscore"})
"""Paths of POST requests that are detections and nothing else."""
TYPES = ("PLAIN_TEXT", "TEXT_TYPE_UNSPECIFIED", "HTML")
SENTENCES_AT_ONCE = 64
"""So many sentences of one text are put into the queue together."""
KINDS_OF_SCORE = ("PROBABILITY", "SCORE_TYPE_UNSPECIFIED")
_SCRIPTS = {"Japanese": {"Japanese", "Han"}}
"""The scripts that may tell of a language, where it is not the main one alone."""

Result = TypeVar("Result")


def refusal(refused: Refused, request_id: str) -> Response:
    """An error in this surface's shape; the request id is in a header."""
    error = said(refused)
    return AnyJSON(error.body, error.status, error.headers)


def router(service: Service, settings: Settings) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["perspective"], dependencies=[Depends(from_here(settings))])
    comments = Comments(service, settings)

    @routes.post(
        f"{PREFIX}comments:analyze",
        summary="How toxic a comment is, in Perspective's shape.",
        openapi_extra=described(AnalyzeRequest),
    )
    async def analyze(request: Request) -> Response:
        return AnyJSON(await comments.analyze(await request.body()))

    @routes.post(
        f"{PREFIX}comments:suggestscore",
        summary="What a comment should have been scored; kept where feedback is.",
        openapi_extra=described(SuggestRequest),
    )
    async def suggestscore(request: Request) -> Response:
        return AnyJSON(await comments.suggest_score(await request.body()))

    @routes.get("/$discovery/rest", summary="The discovery document of these routes.")
    async def discovery(request: Request) -> Response:
        return AnyJSON(document(str(request.base_url)))

    async def batch(request: Request) -> Response:
        content_type = request.headers.get("content-type", "")
        asked = calls(content_type, await request.body(), settings.max_texts)
        known = not settings.keys or _carries_key(request.scope, settings)
        answers = await asyncio.gather(*(comments.called(call, known) for call in asked))
        content_type, body = multipart(asked, answers)
        return Response(body, headers={"Content-Type": content_type})

    for path in BATCHES:
        routes.add_api_route(path, batch, methods=["POST"], summary="Several calls in one request.")
    return routes


class Comments:
    """Google's service of comments, on ours.

    Args:
        service: Detects and rewrites.
        settings: What the server was started with.
    """

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service = service
        self._settings = settings

    async def analyze(self, body: bytes) -> dict[str, Any]:
        """The answer to ``comments:analyze``.

        Raises:
            PerspectiveError: If the request is none that can be answered.
            CivillyError: If the service refused it.
        """
        request = read(AnalyzeRequest, _json(body))
        self._check_comment(request.comment, request.context)
        asked = self._attributes(request.requested_attributes)
        found = await self._found(request.comment.text, request.languages, [*asked])
        sentences = [(0, len(request.comment.text), found)]
        if request.span_annotations:
            sentences = await self._sentences(request.comment.text, found)
        scores = {
            name: _scores(base, request.comment.text, found, sentences)
            for name, base in asked.items()
            if value(base, found.detection) >= request.requested_attributes[name].score_threshold
        }
        detected = [written(found.lang)]
        answer: dict[str, Any] = {
            "attributeScores": scores,
            "languages": request.languages or detected,
            "detectedLanguages": detected,
        }
        if request.client_token is not None:
            answer["clientToken"] = request.client_token
        if request.civilly is not None:
            suggestion = request.civilly.suggestion
            answer["civilly"] = await self._more(request.comment.text, found, suggestion)
        return answer

    async def suggest_score(self, body: bytes) -> dict[str, Any]:
        """The answer to ``comments:suggestscore``; what was said is kept where a file is named.

        Raises:
            PerspectiveError: If the request is none that can be answered.
            CivillyError: If the service refused it.
        """
        request = read(SuggestRequest, _json(body))
        self._check_comment(request.comment, request.context)
        if not request.attribute_scores:
            raise invalid(["Missing attribute_scores"])
        found = await self._found(request.comment.text, request.languages, None)
        if self._settings.feedback is not None:
            lines = lines_of(request, found.lang)
            await asyncio.to_thread(append, self._settings.feedback, lines)
        detected = [written(found.lang)]
        answer: dict[str, Any] = {
            "requestedLanguages": request.languages,
            "detectedLanguages": detected,
        }
        if request.client_token is not None:
            answer["clientToken"] = request.client_token
        return answer

    async def called(self, call: Call, known: bool) -> Answer:
        """The answer to one call of a batch.

        Args:
            call: It.
            known: Whether the batch as a whole carries a key, so that its calls need none.
        """
        answers = {
            f"{PREFIX}comments:analyze": self.analyze,
            f"{PREFIX}comments:suggestscore": self.suggest_score,
        }

        try:
            if not known:
                check_key(call.scope, self._settings.keys)
            if call.method != "POST" or call.path not in answers:
                raise PerspectiveError("Method not found.", code=404)
            return Answer(200, {}, as_bytes(await answers[call.path](call.body)))
        except Exception as error:
            refused = said(refusal_of(error))
            return Answer(refused.status, refused.headers, as_bytes(refused.body))

    def _check_comment(self, comment: TextEntry, context: Context) -> None:
        if context.entries and context.article_and_parent_comment:
            raise invalid([
                "Context can have either entries or article_and_parent_comment, "
                "but both fields were populated."
            ])  # fmt: skip
        if not comment.text.strip():
            raise refused_as("COMMENT_EMPTY", "Comment must be non-empty.")
        if len(comment.text) > self._settings.max_text_chars:
            raise refused_as("COMMENT_TOO_LONG", "Comment text too long.")
        if comment.type not in TYPES:
            raise invalid(["Unknown text type"])
        if comment.type == "HTML":
            raise invalid(["Currently, only 'PLAIN_TEXT' comments are supported"])

    def _attributes(self, requested: dict[str, AttributeParameters]) -> dict[str, str]:
        """What each of the names that were asked for is served from."""
        if not requested:
            raise refused_as("NO_REQUESTED_ATTRIBUTES", "Missing requested_attributes")
        policy = self._settings.perspective_attributes
        served = {name: attribute(name, policy) for name in requested}
        problems = [
            f"Unknown requested attribute: {name}" for name, base in served.items() if base is None
        ] + [
            f"Requested score type {each.score_type} is not supported by attribute {name}"
            for name, each in requested.items()
            if served[name] and each.score_type not in KINDS_OF_SCORE
        ]
        if problems:
            raise invalid(problems)
        return {name: base for name, base in served.items() if base is not None}

    async def _found(
        self, text: str, languages: Sequence[str], attributes: Sequence[str] | None
    ) -> Found:
        """Scores a text in the language that was asked for.

        Of several it is the one that the text is in. A text without a letter in the script of any
        is scored in the language that it is in: some clients ask for English where they do not
        know better. None of ours in letters that none of our languages is written in.

        Args:
            text: The text.
            languages: What was asked for; nothing: the language is detected.
            attributes: What is refused in a language that is not ours; None: nothing is, and the
                language is detected.
        """
        codes = ours(languages)
        unknown = [tag for tag, code in zip(languages, codes, strict=True) if code is None]
        if unknown and attributes is not None:
            raise unsupported(attributes, unknown, languages)
        shares = script_shares(unicodedata.normalize("NFKC", text))
        if not shares and any(map(str.isalpha, text)) and attributes is not None:
            raise refused_as("LANGUAGE_DETECTION_FAILED", "Unable to detect language")
        fitting = [code for code in codes if code and (not shares or _fits(code, shares))]
        if len(fitting) != 1:
            found = await self._detected(text, None)
            if not fitting or found.lang in fitting:
                return found
        return await self._detected(text, fitting[0])

    async def _detected(self, text: str, lang: str | None) -> Found:
        (found,) = await self._service.detect([Asked(text, lang)])
        return _good(found)

    async def _sentences(self, text: str, found: Found) -> list[tuple[int, int, Found]]:
        """Start, end and scores of each sentence of a text."""
        parts = sentences_of(Text(text, found.lang))
        if len(parts) == 1:
            return [(0, len(text), found)]
        unique = list(dict.fromkeys(part.text for _, part in parts))
        scored: dict[str, Found] = {}
        for first in range(0, len(unique), SENTENCES_AT_ONCE):
            some = unique[first : first + SENTENCES_AT_ONCE]
            results = await self._service.detect([Asked(each, found.lang) for each in some])
            scored.update(zip(some, map(_good, results), strict=True))
        return [(start, start + len(part.text), scored[part.text]) for start, part in parts]

    async def _more(self, text: str, found: Found, suggestion: bool) -> dict[str, Any]:
        """The block ``civilly``: what Perspective did not have."""
        detection = found.detection
        more: dict[str, Any] = {
            "pToxic": detection.p_toxic,
            "flags": list(detection.flags),
            "spanScores": _spans(text, detection.spans),
        }
        if suggestion:
            (result,) = await self._service.rewrite([Asked(text, found.lang)], Choices())
            rewrite = _good(result).rewrite
            more["suggestion"] = {
                "text": rewrite.rewritten,
                "changed": rewrite.changed,
                "method": rewrite.method,
                "reason": rewrite.reason,
                "pToxic": rewrite.after.p_toxic,
            }
        return more


def _fits(code: str, shares: dict[str, float]) -> bool:
    script = LANGUAGES[code].script
    return not _SCRIPTS.get(script, {script}).isdisjoint(shares)


def _scores(
    base: str, text: str, found: Found, sentences: Sequence[tuple[int, int, Found]]
) -> dict[str, Any]:
    """The scores of one attribute."""
    spans = [Span(start, end, value(base, each.detection)) for start, end, each in sentences]
    summary = {"value": value(base, found.detection), "type": "PROBABILITY"}
    return {"summaryScore": summary, "spanScores": _spans(text, spans)}


def _spans(text: str, spans: Sequence[Span]) -> list[dict[str, Any]]:
    """Spans as Perspective writes them, in UTF-16 code units."""
    places = utf16(text, [place for span in spans for place in (span.start, span.end)])
    return [
        {"begin": begin, "end": end, "score": {"value": span.score, "type": "PROBABILITY"}}
        for span, begin, end in zip(spans, places[::2], places[1::2], strict=True)
    ]


def _good(result: Result | CivillyError) -> Result:
    if isinstance(result, CivillyError):
        raise result
    return result


def _json(body: bytes) -> Any:
    try:
        return parsed(body)
    except Refused as refused:
        raise bad_json(refused.problem) from None


def _carries_key(scope: Any, settings: Settings) -> bool:
    try:
        check_key(scope, settings.keys)
    except Refused:
        return False
    return True
