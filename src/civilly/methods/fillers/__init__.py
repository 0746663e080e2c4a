"""Fillers: one file per way to find out what belongs into a hole."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from civilly.errors import UnknownNameError
from civilly.methods.holes import Filler
from civilly.types import Tools

FILLERS = ("fim", "plain", "sentinel", "masked", "delete")
"""What ``filler`` may be; each is a module here with ``create(tools, options)``."""
DEFAULT = "fim"


def open_filler(tools: Tools, options: Mapping[str, Any]) -> Filler:
    """The filler that the option ``filler`` names; the others of its options are its own.

    Raises:
        UnknownNameError: If there is no such filler.
        CivillyError: If an option is wrong.
    """
    name = str(options.get("filler") or DEFAULT)
    if name not in FILLERS:
        raise UnknownNameError("filler", name, FILLERS)
    module = importlib.import_module(f"civilly.methods.fillers.{name}")
    return module.create(tools, options)  # type: ignore[no-any-return]
