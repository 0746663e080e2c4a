"""Options that several verbs take: ``--data FOLDER``, ``--option NAME=VALUE``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from civilly.errors import CivillyError

DataOption = Annotated[
    Path | None,
    typer.Option(help="Folder of the data sets. Default: $CIVILLY_DATA, else ../shared/data."),
]


def parse_options(given: Sequence[str]) -> dict[str, Any]:
    """Options from ``NAME=VALUE``; a value that is JSON is taken as such, else as a string.

    Raises:
        CivillyError: If one has no name or no equals sign, or is given twice.
    """
    options: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise CivillyError(f"--option {item!r} is not understood.", mend="--option NAME=VALUE")
        if name in options:
            raise CivillyError(f"The option {name!r} is given twice.", mend="give it once")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def complete_option(room: str, names: str, given: Sequence[str], incomplete: str) -> list[Any]:
    """Options for shell completion: their names with what they do, and after = their values.

    Args:
        room: Of the methods.
        names: One, or several: ``tuned+infill``.
        given: Options that are on the command line already.
        incomplete: What was typed of one more.
    """
    from civilly import registry

    try:
        known = [
            option
            for name in names.split("+")
            for option in registry.options_of(registry.load(room, name), parse_options(given)) or ()
        ]
    except CivillyError:  # the names or options so far are wrong, as the verb will say
        return []
    offered = [
        *((f"{option.name}=", option.help) for option in known),
        *((f"{option.name}={value}", option.help) for option in known for value in option.values),
    ]
    if "=" not in incomplete:
        offered = [(text, help_text) for text, help_text in offered if text.endswith("=")]
    return [item for item in dict(offered).items() if item[0].startswith(incomplete)]
