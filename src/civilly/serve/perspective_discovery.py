"""The discovery document: from it generated clients learn addresses, parameters and shapes.

Google's discovery format v1. ``rootUrl`` is the address that the document was asked for at, so a
client that is given this document talks to this server.
"""

from __future__ import annotations

from typing import Any

STRING = {"type": "string"}
PARAMETERS: dict[str, Any] = {
    "$.xgafv": {"type": "string", "location": "query", "enum": ["1", "2"]},
    "access_token": {"type": "string", "location": "query"},
    "alt": {
        "type": "string", "location": "query", "default": "json", "enum": ["json", "media", "proto"]
    },
    "callback": {"type": "string", "location": "query"},
    "fields": {"type": "string", "location": "query"},
    "key": {"type": "string", "location": "query", "description": "The API key."},
    "oauth_token": {"type": "string", "location": "query"},
    "prettyPrint": {"type": "boolean", "location": "query", "default": "true"},
    "quotaUser": {"type": "string", "location": "query"},
    "uploadType": {"type": "string", "location": "query"},
    "upload_protocol": {"type": "string", "location": "query"},
}  # fmt: skip
SCOPE = "https://www.googleapis.com/auth/userinfo.email"


def document(root: str) -> dict[str, Any]:
    """The document.

    Args:
        root: The address of the server, with a slash at its end.
    """
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": "commentanalyzer:v1alpha1",
        "name": "commentanalyzer",
        "canonicalName": "Comment Analyzer",
        "version": "v1alpha1",
        "version_module": True,
        "revision": "20190414",
        "title": "Perspective Comment Analyzer API",
        "description": "The shape of the Perspective Comment Analyzer API, served by Civilly.",
        "documentationLink": f"{root}docs",
        "ownerName": "Civilly",
        "ownerDomain": "localhost",
        "icons": {},
        "protocol": "rest",
        "rootUrl": root,
        "mtlsRootUrl": root,
        "baseUrl": root,
        "basePath": "",
        "servicePath": "",
        "batchPath": "batch",
        "fullyEncodeReservedExpansion": True,
        "auth": {"oauth2": {"scopes": {SCOPE: {"description": "Ignored; use a key."}}}},
        "parameters": PARAMETERS,
        "resources": {
            "comments": {
                "methods": {
                    "analyze": _method("analyze", "AnalyzeComment"),
                    "suggestscore": _method("suggestscore", "SuggestCommentScore"),
                }
            }
        },
        "schemas": SCHEMAS,
    }


def _method(name: str, message: str) -> dict[str, Any]:
    path = f"v1alpha1/comments:{name}"
    return {
        "id": f"commentanalyzer.comments.{name}",
        "path": path,
        "flatPath": path,
        "httpMethod": "POST",
        "parameterOrder": [],
        "parameters": {},
        "request": {"$ref": f"{message}Request"},
        "response": {"$ref": f"{message}Response"},
        "scopes": [SCOPE],
    }


def _object(name: str, **properties: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "type": "object", "properties": properties}


def _list(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def _map(value: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": {"$ref": value}}


_BOOLEAN = {"type": "boolean"}
_PLACE = {"type": "integer", "format": "int32"}
_NUMBER = {"type": "number", "format": "float"}
_SCORE_TYPE = {
    "type": "string",
    "enum": ["SCORE_TYPE_UNSPECIFIED", "PROBABILITY", "STD_DEV_SCORE", "PERCENTILE", "RAW"],
}
_TEXT_TYPE = {"type": "string", "enum": ["TEXT_TYPE_UNSPECIFIED", "PLAIN_TEXT", "HTML"]}
_ASKED = {
    "comment": {"$ref": "TextEntry"},
    "context": {"$ref": "Context"},
    "languages": _list(STRING),
    "clientToken": STRING,
    "sessionId": STRING,
    "communityId": STRING,
}
SCHEMAS: dict[str, Any] = {
    schema["id"]: schema
    for schema in (
        _object("TextEntry", text=STRING, type=_TEXT_TYPE),
        _object(
            "Context",
            entries=_list({"$ref": "TextEntry"}),
            articleAndParentComment={"$ref": "ArticleAndParentComment"},
        ),
        _object(
            "ArticleAndParentComment",
            article={"$ref": "TextEntry"},
            parentComment={"$ref": "TextEntry"},
        ),
        _object("AttributeParameters", scoreType=_SCORE_TYPE, scoreThreshold=_NUMBER),
        _object("Score", value=_NUMBER, type=_SCORE_TYPE),
        _object("SpanScore", begin=_PLACE, end=_PLACE, score={"$ref": "Score"}),
        _object(
            "AttributeScores",
            summaryScore={"$ref": "Score"},
            spanScores=_list({"$ref": "SpanScore"}),
        ),
        _object(
            "AnalyzeCommentRequest",
            **_ASKED,
            requestedAttributes=_map("AttributeParameters"),
            spanAnnotations=_BOOLEAN,
            doNotStore=_BOOLEAN,
            civilly={"$ref": "CivillyRequest"},
        ),
        _object(
            "AnalyzeCommentResponse",
            attributeScores=_map("AttributeScores"),
            languages=_list(STRING),
            detectedLanguages=_list(STRING),
            clientToken=STRING,
            civilly={"$ref": "CivillyResponse"},
        ),
        _object("SuggestCommentScoreRequest", **_ASKED, attributeScores=_map("AttributeScores")),
        _object(
            "SuggestCommentScoreResponse",
            requestedLanguages=_list(STRING),
            detectedLanguages=_list(STRING),
            clientToken=STRING,
        ),
        _object("CivillyRequest", suggestion=_BOOLEAN),
        _object(
            "CivillyResponse",
            pToxic=_NUMBER,
            flags=_list(STRING),
            spanScores=_list({"$ref": "SpanScore"}),
            suggestion={"$ref": "CivillySuggestion"},
        ),
        _object(
            "CivillySuggestion",
            text=STRING,
            changed=_BOOLEAN,
            method=STRING,
            reason=STRING,
            pToxic=_NUMBER,
        ),
    )
}
