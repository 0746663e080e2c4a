"""Finds the methods of a room: a file's name is the method's name.

A room is a sub-package (``civilly.methods``, ``civilly.engines``, …). Every public module in it
that defines ``create(tools)`` is a method; other packages add theirs by entry points in the group
named like the room. Nothing is imported before it is used.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from civilly.errors import CivillyError, UnknownNameError

ROOMS = {
    "methods": "rewriting method",
    "engines": "engine",
    "detect": "detector",
    "select": "selector",
    "score": "metric",
    "train.rewards": "reward",
    "synth.filters": "filter of synthetic data",
}
"""Rooms that hold methods, with what one is called in messages."""

OLD_GROUPS = {"methods": "civilly.rewrite"}
"""What a room's group of entry points was called before; packages that say so are still found."""


@dataclass(frozen=True, slots=True)
class Option:
    """What a user may say to a method: ``--option NAME=VALUE``.

    A module of a room lists its options as ``OPTIONS``; where they depend on each other, it has a
    function ``options(given)`` that lists them for what was given. One that does neither is given
    all options unseen.

    Attributes:
        name: What the user types.
        help: What it does, one sentence.
        values: The words that it may be, where these are few.
        default: What it is if nobody says, as the user would type it; for engines.
    """

    name: str
    help: str
    values: tuple[str, ...] = ()
    default: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One registered method.

    Attributes:
        name: What the user types.
        module: Where it lives.
        summary: First line of the module's docstring.
        provider: The distribution that brings it.
    """

    name: str
    module: str
    summary: str
    provider: str


def _source(module: str) -> str:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    return Path(spec.origin).read_text(encoding="utf-8")


def _read_without_import(module: str) -> tuple[bool, str]:
    """Whether a module defines ``create``, and its summary, without running it.

    Nothing is known of one that is missing, compiled or broken: that shows when it is used.
    """
    try:
        tree = ast.parse(_source(module))
    except (ImportError, SyntaxError, ValueError, OSError):
        return False, ""
    defines = any(isinstance(node, ast.FunctionDef) and node.name == "create" for node in tree.body)
    return defines, (ast.get_docstring(tree) or "").split("\n")[0]


def entries(room: str) -> list[Entry]:
    """Every method of a room, sorted by name.

    Raises:
        UnknownNameError: If there is no such room.
        CivillyError: If another package registers a name that is taken.
    """
    if room not in ROOMS:
        raise UnknownNameError("room", room, ROOMS)
    package = importlib.import_module(f"civilly.{room}")
    found: dict[str, Entry] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = f"civilly.{room}.{info.name}"
        if info.name.startswith("_") or info.ispkg:
            continue
        defines, summary = _read_without_import(module)
        if defines:
            found[info.name] = Entry(info.name, module, summary, "civilly")
    for point in _declared(room):
        provider = point.dist.name if point.dist else "unknown"
        if point.name in found:
            raise CivillyError(
                f"The {ROOMS[room]} {point.name!r} of {provider!r} has the name of one that "
                f"{found[point.name].provider!r} brings.",
                mend=f"uninstall {provider!r} or ask its authors for another name",
            )
        found[point.name] = Entry(
            point.name, point.module, _read_without_import(point.module)[1], provider
        )
    return sorted(found.values(), key=lambda entry: entry.name)


def _declared(room: str) -> list[EntryPoint]:
    """What other packages declare for a room, under its name or the one it had before."""
    declared = list(entry_points(group=f"civilly.{room}"))
    names = {point.name for point in declared}
    for point in entry_points(group=OLD_GROUPS.get(room, "")) if room in OLD_GROUPS else ():
        if point.name not in names:  # a package may serve old and new versions by declaring both
            declared.append(point)
            warnings.warn(
                f"The entry-point group {point.group!r} is now called 'civilly.{room}' "
                f"({point.name!r} = {point.value!r}).",
                DeprecationWarning,
                stacklevel=2,
            )
    return declared


def load(room: str, name: str) -> ModuleType:
    """Imports the module of one method.

    A method of our own is found by its file alone: looking through all installed packages for
    entry points takes longer than most methods do.

    Raises:
        UnknownNameError: If the room has no method of that name.
        CivillyError: If it belongs to another package and cannot be imported, or is no method.
    """
    if room in ROOMS and name.isidentifier() and not name.startswith("_"):
        own = f"civilly.{room}.{name}"
        if _read_without_import(own)[0]:
            return importlib.import_module(own)
    known = {entry.name: entry for entry in entries(room)}
    if name not in known:
        raise UnknownNameError(ROOMS[room], name, known)
    return _imported(known[name], ROOMS[room])


def _imported(entry: Entry, kind: str) -> ModuleType:
    """The module of a method of another package."""
    whose = f"The {kind} {entry.name!r} of {entry.provider!r} ({entry.module})"
    mend = f"correct, update or uninstall {entry.provider!r}"
    try:
        module = importlib.import_module(entry.module)
    except Exception as error:  # whatever a foreign module raises
        raise CivillyError(f"{whose} cannot be imported: {error!r}.", mend=mend) from error
    if not callable(getattr(module, "create", None)):
        raise CivillyError(f"{whose} has no function create(tools).", mend=mend)
    return module


def create(room: str, name: str, *arguments: Any) -> Any:
    """Creates one method: calls ``create(*arguments)`` of its module."""
    return load(room, name).create(*arguments)


def options_of(module: Any, given: Mapping[str, Any]) -> Sequence[Option] | None:
    """The options that a method has, where others are given already; None if it does not say."""
    if hasattr(module, "options"):
        return module.options(given)  # type: ignore[no-any-return]
    return getattr(module, "OPTIONS", None)


def check_options(room: str, name: str, given: Mapping[str, Any]) -> None:
    """Makes sure that a method has all options that it is given, if it says which it has.

    Raises:
        UnknownNameError: See `refuse_unknown`.
    """
    known = options_of(load(room, name), given)
    if known is not None:
        refuse_unknown(f"option of the {ROOMS[room]} {name!r}", given, known)


def refuse_unknown(kind: str, given: Iterable[str], known: Sequence[Option]) -> None:
    """Makes sure that all names of options are known.

    Raises:
        UnknownNameError: Naming the first that is not, and the nearest that is.
    """
    names = [option.name for option in known]
    for name in given:
        if name not in names:
            raise UnknownNameError(kind, name, names or ("none",))
