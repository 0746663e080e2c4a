"""Pairs from data sets of the Hugging Face hub, by the library ``datasets`` (extra ``train``)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from civilly.data.corpus.recipe import HubSource
from civilly.data.hub_access import hub_access, require_hub
from civilly.data.pairs import Pair, pairs_of
from civilly.data.table import Table
from civilly.errors import DataError, MissingExtraError


def read_hub(source: HubSource, data: Path) -> list[Pair]:
    """The pairs of a data set; rows with the same toxic side are one pair with all references.

    Ids are the data set, the split and the number of the row, unless a column holds them.

    Args:
        source: Which data set and which columns.
        data: The data folder; a data set that is a folder may lie in it.

    Raises:
        MissingExtraError: If ``datasets`` is not installed.
        DataError: If an id comes without a revision, if the data set cannot be loaded, or if a
            column is missing or of another type.
    """
    rows = _rows(source, data)
    name = f"{source.dataset}, split {source.split}"
    table = Table(list(rows.column_names), rows.to_list(), "hub")
    made = pairs_of(table, name, source.name, source.columns.model_dump(), source.lang)
    if source.columns.id is None and "id" not in table.columns:
        made = [replace(pair, id=f"{source.dataset}-{source.split}-{pair.id}") for pair in made]
    return grouped(made)


def grouped(pairs: list[Pair]) -> list[Pair]:
    """Pairs of the same language and toxic side as one, where the first stood, references once."""
    groups: dict[tuple[str, str], Pair] = {}
    for pair in pairs:
        known = groups.setdefault((pair.lang, pair.toxic), pair)
        references = tuple(dict.fromkeys((*known.neutral, *pair.neutral)))
        groups[pair.lang, pair.toxic] = replace(known, neutral=references)
    return list(groups.values())


def _rows(source: HubSource, data: Path) -> Any:
    """The split, downloaded if it is not in the cache of the library."""
    folder = data / source.dataset
    if not folder.is_dir() and source.revision is None:
        raise DataError(
            f"source {source.name!r} names the data set {source.dataset!r} without a revision.",
            mend='revision = "…", the commit that its page shows; or a folder that exists',
        )
    where = str(folder) if folder.is_dir() else source.dataset
    revision = None if folder.is_dir() else source.revision
    require_hub(where, DataError, "The data set")
    try:
        from datasets import load_dataset
    except ModuleNotFoundError as error:
        raise MissingExtraError("Reading data sets of the hub", "train", str(error.name)) from error
    with hub_access(where, DataError, "The data set") as hub:
        try:
            return load_dataset(where, source.config, split=source.split, revision=revision)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise DataError(
                f"The data set {source.dataset!r} cannot be loaded: "
                f"{hub.problem(_first_line(error))}",
                mend=hub.mend("check dataset, revision, config and split, and the network"),
            ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
