"""The line from text to rewrite, one file per station: sentences, find, write, choose, join."""

from civilly.pipeline.detoxifier import (
    DEFAULT_METHOD,
    DEFAULT_SELECTOR,
    FALLBACK,
    Detoxifier,
    rewrite,
)
from civilly.toolbox import Toolbox

__all__ = [
    "DEFAULT_METHOD",
    "DEFAULT_SELECTOR",
    "FALLBACK",
    "Detoxifier",
    "Toolbox",
    "rewrite",
]
