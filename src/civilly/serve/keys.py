"""API keys: where they come from, where a request may carry one, and the comparison."""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from starlette.datastructures import Headers, QueryParams
from starlette.types import Scope

from civilly.errors import DataError
from civilly.serve.refusals import INVALID_KEY, MISSING_KEY, Refused

VARIABLE = "CIVILLY_API_KEYS"
"""Environment variable with keys, separated by commas or blanks."""
OPEN = frozenset({"/", "/healthz", "/readyz", "/health", "/openapi.json", "/$discovery/rest"})
"""Paths that need no key: they tell nothing about texts, and do no work."""
OPEN_FOLDERS = ("/page/", "/discovery/")


def read_keys(file: Path | None) -> tuple[str, ...]:
    """The keys of a file, one a line (``#`` begins a comment), and of the environment.

    Raises:
        DataError: If the file cannot be read, or has no key in it.
    """
    keys = os.environ.get(VARIABLE, "").replace(",", " ").split()
    if file is not None:
        try:
            lines = file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"The keys in {str(file)!r} cannot be read: {error}.") from error
        listed = [key for key in (line.partition("#")[0].strip() for line in lines) if key]
        if not listed:
            raise DataError(f"{str(file)!r} has no key in it.", mend="write one key per line")
        keys += listed
    return tuple(dict.fromkeys(keys))


def needs_key(path: str) -> bool:
    """Whether a path is closed to those without a key, where there are keys."""
    return path not in OPEN and not path.startswith(OPEN_FOLDERS)


def check_key(scope: Scope, keys: Sequence[str]) -> None:
    """Makes sure that a request carries one of the keys.

    It may be a bearer token, the header ``X-API-Key`` or ``X-Goog-Api-Key``, or ``?key=``.

    Raises:
        Refused: If it carries none (`MISSING_KEY`) or another one (`INVALID_KEY`).
    """
    mend = "Authorization: Bearer KEY, X-API-Key: KEY, or ?key=KEY"
    given = _given(scope)
    if given is None:
        raise Refused("There is no API key.", status=401, kind=MISSING_KEY, mend=mend)
    digest = sha256(given.encode("utf-8", "replace")).digest()
    # All are compared, each in constant time: how long it takes tells nothing of any of them.
    matches = [hmac.compare_digest(digest, sha256(key.encode()).digest()) for key in keys]
    if not any(matches):
        raise Refused("The API key is not valid.", status=401, kind=INVALID_KEY, mend=mend)


def _given(scope: Scope) -> str | None:
    headers = Headers(scope=scope)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    for name in ("x-api-key", "x-goog-api-key"):
        if headers.get(name):
            return headers[name]
    return QueryParams(scope["query_string"]).get("key") or None
