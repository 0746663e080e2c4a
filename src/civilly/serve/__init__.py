"""Serve: the line for other programs and people, over HTTP (extra ``serve``); a file per surface.

Only `civilly.serve.settings` and this file can be imported without the extra.
"""

from __future__ import annotations

from importlib.util import find_spec

from civilly.errors import MissingExtraError

NEEDED = ("fastapi", "uvicorn", "prometheus_client")
"""Packages of the extra."""


def require() -> None:
    """Makes sure that the extra is installed.

    Raises:
        MissingExtraError: If it is not.
    """
    for module in NEEDED:
        if find_spec(module) is None:
            raise MissingExtraError("The service", "serve", module)
