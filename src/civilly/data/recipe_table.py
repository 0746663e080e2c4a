"""Recipes are TOML files; their tables are checked before anything is read or loaded."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from civilly.data.files import decode, read_bytes
from civilly.errors import DataError, UnknownNameError

Count = Annotated[int, Field(ge=1)]


class RecipeTable(BaseModel):
    """A table of a recipe: no unknown field, no silent change of type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


TableT = TypeVar("TableT", bound=RecipeTable)


def read_recipe(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        DataError: If the file cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(decode(read_bytes(path), str(path)))
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"The recipe {str(path)!r} is not TOML: {error}.") from error


def checked(
    kind: type[TableT],
    content: Mapping[str, Any],
    name: str,
    settings: Iterable[str] | None = None,
) -> TableT:
    """The fields of a table, as its model has them.

    Args:
        kind: The model.
        content: The parsed table.
        name: What errors call it.
        settings: Every field that there is, as errors list them; None: those of the model.

    Raises:
        DataError: Naming the field that is missing, of a wrong type or out of range.
        UnknownNameError: If there is no such field.
    """
    try:
        return kind.model_validate(dict(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known: Iterable[str] = kind.model_fields if settings is None else settings
            raise UnknownNameError(f"setting of {name}", where, known) from error
        place = f"{name}, {where}" if where else name
        raise DataError(f"{place}: {first['msg'].lower()}.") from error
