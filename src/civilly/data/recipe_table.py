"""Recipes are TOML files; their tables are checked before anything is read or loaded."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

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


def settings_of(kind: type[RecipeTable]) -> list[str]:
    """Every setting of a table and of the tables in it, as errors list them: ``table.field``.

    The fields of tables that the recipe's author names are ``table.*.field``.
    """
    return [
        field + inner
        for field, info in kind.model_fields.items()
        for inner in _below(info.annotation)
    ]


def _below(annotation: Any) -> list[str]:
    """What may follow the name of a field: nothing, or a dot and a field of the table in it."""
    origin, kinds = get_origin(annotation), get_args(annotation)
    if origin is dict:
        return ["", *(f".*{inner}" for inner in _below(kinds[1]) if inner)]
    if origin in (Union, UnionType):
        return sorted({inner for kind in kinds for inner in _below(kind)} - {""}) or [""]
    if isinstance(annotation, type) and issubclass(annotation, RecipeTable):
        return [f".{inner}" for inner in settings_of(annotation)]
    return [""]


def checked(kind: type[TableT], content: Mapping[str, Any], name: str) -> TableT:
    """The fields of a table, as its model has them.

    Args:
        kind: The model.
        content: The parsed table.
        name: What errors call it.

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
            raise UnknownNameError(f"setting of {name}", where, settings_of(kind)) from error
        place = f"{name}, {where}" if where else name
        raise DataError(f"{place}: {first['msg'].lower()}.") from error
