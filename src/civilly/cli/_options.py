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
        CivillyError: If one has no name or no equals sign.
    """
    options: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise CivillyError(f"--option {item!r} is not understood.", mend="--option NAME=VALUE")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options
