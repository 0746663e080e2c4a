"""Civilly rewrites toxic text so that it says the same thing civilly, offline, in 15 languages."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from civilly.pipeline import Detoxifier, rewrite

    __version__: str

__all__ = ["Detoxifier", "__version__", "rewrite"]

# A sub-package was called so. Where it was, a folder may still lie about (``__pycache__`` outlives
# the sources), and importing that would put an empty package in the place of the function.
sys.modules[f"{__name__}.rewrite"] = None  # type: ignore[assignment]


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("civilly")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+unknown"


if not TYPE_CHECKING:  # else no misspelt name would be found

    def __getattr__(name: str) -> Any:
        """Imports what is used only when it is used, so that ``import civilly`` stays instant."""
        if name == "__version__":
            return _version()
        if name in ("Detoxifier", "rewrite"):
            from civilly import pipeline

            return getattr(pipeline, name)
        raise AttributeError(f"module 'civilly' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
