"""``--option NAME=VALUE``, as several verbs take it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from civilly.errors import CivillyError


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
