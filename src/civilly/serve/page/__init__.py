"""The moderator's page: static files, served at ``/``, that speak to the native interface only."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import APIRouter

TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "html": "text/html"}
BASE = "base.css"
"""The style that all our pages have; it is the leaderboard's."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def router() -> APIRouter:
    """The page at ``/`` and its parts under ``/page/``; none of them needs a key or a model."""
    from fastapi import APIRouter, Response

    routes = APIRouter(include_in_schema=False)

    def page() -> Response:
        return Response(index(), media_type=TYPES["html"], headers=HEADERS)

    def part(name: str) -> Response:
        content = parts().get(name)
        if content is None:
            return Response("There is no such file.", 404, HEADERS, "text/plain")
        return Response(content, media_type=TYPES[name.rpartition(".")[2]], headers=HEADERS)

    routes.add_api_route("/", page, methods=["GET", "HEAD"])
    routes.add_api_route("/page/{name}", part, methods=["GET", "HEAD"])
    return routes


@cache
def index() -> str:
    """The page itself, with what its scripts know of languages and columns."""
    from civilly.leaderboard.page import script_json

    return Template(_read("index.html")).substitute(setup=script_json(setup()))


@cache
def parts() -> dict[str, str]:
    """Its scripts and styles, by name."""
    from civilly.leaderboard.page import page_style

    names = [item.name for item in files(__name__).iterdir() if item.is_file()]
    wanted = (name for name in names if name.rpartition(".")[2] in ("js", "css", "svg"))
    return {BASE: page_style()} | {name: _read(name) for name in wanted}


def setup() -> dict[str, Any]:
    """What the page's scripts know of languages, and how columns are recognised."""
    from civilly.data.columns import LANG_COLUMNS, TEXT_COLUMNS
    from civilly.languages import LANGUAGES
    from civilly.leaderboard.page import language_data

    return {
        "languages": language_data(),
        "aliases": {alias: code for code, known in LANGUAGES.items() for alias in known.aliases},
        "textColumns": TEXT_COLUMNS,
        "langColumns": LANG_COLUMNS,
    }


def _read(name: str) -> str:
    return (files(__name__) / name).read_text(encoding="utf-8")
