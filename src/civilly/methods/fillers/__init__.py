"""Fillers: one file per way to find out what belongs into a hole."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from civilly.errors import UnknownNameError
from civilly.methods.holes import Filler
from civilly.registry import Option
from civilly.types import Tools

FILLERS = ("fim", "plain", "sentinel", "masked", "delete")
"""What ``filler`` may be; each is a module here with ``create(tools, options)``, `OPTIONS`."""
DEFAULT = "fim"


def open_filler(tools: Tools, options: Mapping[str, Any]) -> Filler:
    """The filler that the option ``filler`` names; the others of its options are its own.

    Raises:
        UnknownNameError: If there is no such filler.
        CivillyError: If an option is wrong.
    """
    return _filler(options).create(tools, options)  # type: ignore[no-any-return]


def filler_options(options: Mapping[str, Any]) -> Sequence[Option]:
    """The options of the filler that the option ``filler`` names.

    Raises:
        UnknownNameError: If there is no such filler.
    """
    return _filler(options).OPTIONS  # type: ignore[no-any-return]


def _filler(options: Mapping[str, Any]) -> ModuleType:
    name = str(options.get("filler") or DEFAULT)
    if name not in FILLERS:
        raise UnknownNameError("filler", name, FILLERS)
    return importlib.import_module(f"civilly.methods.fillers.{name}")
