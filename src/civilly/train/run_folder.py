"""What every training writes into its run folder: the recipe that it was begun with, the result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from civilly.data.files import write_bytes
from civilly.data.recipe_table import RecipeTable
from civilly.errors import DataError

CONFIG_FILE, RESULT_FILE = "config.json", "result.json"


def as_read_back(recipe: RecipeTable) -> dict[str, Any]:
    """A recipe as it is read back from a file."""
    found: dict[str, Any] = json.loads(json.dumps(recipe.model_dump()))
    return found


def read_json(path: Path) -> dict[str, Any]:
    """The object of a JSON file; empty if there is no such file."""
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file that people can read, whole or not at all.

    Raises:
        DataError: If it cannot be written.
    """
    write_bytes(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def refuse_another_recipe(out: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Compares the recipe that a run folder was begun with and the one that is to go on with it.

    Raises:
        DataError: Naming the tables that differ.
    """
    if before != now:
        differing = ", ".join(name for name in now if before.get(name) != now[name])
        raise DataError(
            f"{out} was begun with another recipe; what differs: {differing}.",
            mend=f"the recipe in {out / CONFIG_FILE}, or another --out",
        )
