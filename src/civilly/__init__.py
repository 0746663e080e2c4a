"""Civilly rewrites toxic text so that it says the same thing civilly, offline, in 15 languages."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from civilly.pipeline import Detoxifier, rewrite

__all__ = ["Detoxifier", "__version__", "rewrite"]

try:
    __version__ = version("civilly")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    """Imports the pipeline only when it is used, so that ``import civilly`` stays instant."""
    if name in ("Detoxifier", "rewrite"):
        from civilly import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module 'civilly' has no attribute {name!r}")
