"""Data sets of the Hugging Face hub: which there are, what their cards say, a sample of rows.

Listing and cards come from the hub itself, rows from its server of rows (``/size``, ``/rows``), so
that a few hundred rows of a large set cost a few requests. Every sample is kept in a file with what
was known of its set beside it, and not fetched again.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from civilly.data.files import write_bytes
from civilly.data.hub_access import PATIENCE, why_silent
from civilly.data.io import read_table
from civilly.data.table import Row, Table
from civilly.data.values import as_json
from civilly.errors import CivillyError, DataError
from civilly.languages import language_code

SERVER_VARIABLE = "CIVILLY_ROWS_SERVER"
"""Environment variable that names another server of rows."""
PAGE = 100
"""Rows that the server gives at once, at most."""
MOST_SPLITS = 16
_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class HubSet:
    """What is known of a set of the hub.

    Attributes:
        id: Its id.
        revision: Its commit when the sample was taken.
        licence: What its card states, "" for nothing.
        total: Rows in all.
        gated: Whether its owner wants to be asked.
    """

    id: str
    revision: str
    licence: str
    total: int
    gated: bool


@dataclass(frozen=True, slots=True)
class _Split:
    config: str
    name: str
    rows: int

    @property
    def lang(self) -> str | None:
        """The language that its name says it is in."""
        return language_code(self.name) or language_code(self.config)


def check_hub() -> None:
    """Makes sure that the hub may be asked and answers.

    Raises:
        DataError: If it does not.
    """
    from huggingface_hub import constants

    mend = "check the network, the proxy and HF_ENDPOINT, or name files that are here"
    if constants.HF_HUB_OFFLINE:
        raise DataError("The hub may not be asked: HF_HUB_OFFLINE is set.", mend=mend)
    reason = why_silent(constants.ENDPOINT, PATIENCE)
    if reason is not None:
        raise DataError(f"The hub {constants.ENDPOINT} cannot be reached ({reason}).", mend=mend)


def ids_for(query: str, limit: int) -> list[str]:
    """Ids of the sets that the hub finds for some words, most downloaded first.

    Raises:
        DataError: If the hub answers with an error.
    """
    from huggingface_hub import HfApi

    try:
        found = HfApi().list_datasets(search=query, sort="downloads", limit=limit)
        return [each.id for each in found]
    except Exception as error:  # of the hub's client, whichever library it uses
        raise DataError(f"The hub does not answer the query {query!r}: {error}") from error


def fetched(
    name: str, most: int, seed: int, folder: Path, wanted: Sequence[str] = ()
) -> tuple[HubSet, Table]:
    """A sample of a set, from the folder if it is there.

    Args:
        name: Its id.
        most: Rows of each split.
        seed: Of the choice of pages.
        folder: Where samples are kept.
        wanted: Languages; splits that are named by another one are passed over. Empty: all.

    Raises:
        DataError: If the hub, or its server of rows, does not have it.
    """
    path = folder / f"{name.replace('/', '--')}.jsonl"
    known = path.with_suffix(".card")
    if not (path.exists() and known.exists()):
        made, rows = _asked(name, most, seed, wanted)
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, "".join(as_json(row) + "\n" for row in rows).encode())
        write_bytes(known, (as_json(asdict(made)) + "\n").encode())
    return HubSet(**json.loads(known.read_text("utf-8"))), read_table(path)


def _asked(name: str, most: int, seed: int, wanted: Sequence[str]) -> tuple[HubSet, list[Row]]:
    from huggingface_hub import HfApi

    try:
        info = HfApi().dataset_info(name)
    except Exception as error:  # of the hub's client, whichever library it uses
        raise DataError(
            f"The hub has no data set {name!r}, or does not show it: {_first_line(error)}",
            mend="check the id; for a gated set ask its owner, and set HF_TOKEN",
        ) from error
    sizes = _get("size", dataset=name).get("size", {}).get("splits", [])
    splits = [_Split(each["config"], each["split"], int(each["num_rows"])) for each in sizes]
    chosen = [each for each in splits if not wanted or each.lang is None or each.lang in wanted]
    if not any(each.rows for each in chosen):
        raise DataError(f"The data set {name!r} has no rows in these languages.")
    rows = [
        row for each in chosen[:MOST_SPLITS] for row in _rows(name, each, most, random.Random(seed))
    ]
    card: Any = info.card_data
    stated = card.get("license") if card else None
    licence = " AND ".join(stated) if isinstance(stated, list) else stated
    total = sum(each.rows for each in splits)
    return HubSet(name, info.sha or "", licence or "", total, bool(info.gated)), rows


def _rows(dataset: str, split: _Split, most: int, rng: random.Random) -> Iterator[Row]:
    """Whole pages at random: sets are often sorted by label or source."""
    pages = list(range(0, split.rows, PAGE))
    rng.shuffle(pages)
    for offset in sorted(pages[: max(1, -(-most // PAGE))]):
        answer = _get(
            "rows",
            dataset=dataset,
            config=split.config,
            split=split.name,
            offset=offset,
            length=PAGE,
        )
        names = {
            each["name"]: each["type"]["names"]
            for each in answer.get("features", [])
            if each.get("type", {}).get("_type") == "ClassLabel"
        }
        for each in answer.get("rows", []):
            row = {
                column: _spelt(value, names.get(column)) for column, value in each["row"].items()
            }
            yield row if split.lang is None else {"lang": split.lang, **row}


def _spelt(value: object, names: Sequence[str] | None) -> object:
    """A class by its name instead of its number."""
    known = names and isinstance(value, int) and 0 <= value < len(names)
    return names[value] if known else value  # type: ignore[index, call-overload]


def _get(what: str, **asked: Any) -> dict[str, Any]:
    """An answer of the server of rows.

    Raises:
        DataError: If it is none.
    """
    from huggingface_hub import utils

    client: Any = utils  # it does not list all that it offers
    headers = client.build_hf_headers()
    url = f"{_server()}/{what}"
    try:
        answer = client.http_backoff(
            "GET", url, params=asked, headers=headers, timeout=_TIMEOUT, max_retries=4
        )
        content = answer.json() if answer.status_code == 200 else None
    except Exception as error:  # of the hub's client, whichever library it uses
        raise DataError(f"{url} gives no answer for {asked['dataset']!r}: {error}") from error
    if not isinstance(content, dict):
        raise DataError(
            f"{url} answers {answer.status_code} for {asked['dataset']!r}: {answer.text[:200]}",
            mend="download the set and name its files",
        )
    return content


def _server() -> str:
    """The hub's own server of rows; where another hub is asked, that one."""
    from huggingface_hub import constants

    usual = constants.DATASETS_SERVER_ENDPOINT if _is_usual(constants) else constants.ENDPOINT
    return (os.environ.get(SERVER_VARIABLE) or usual).rstrip("/")


def _is_usual(constants: Any) -> bool:
    return bool(constants.ENDPOINT == constants._HF_DEFAULT_ENDPOINT)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def fetch_all(
    names: Sequence[str], most: int, seed: int, folder: Path, wanted: Sequence[str]
) -> tuple[list[tuple[HubSet, Table]], dict[str, str]]:
    """Samples of sets; one that cannot be had does not end the search.

    Returns:
        The samples, and why others could not be had, by id.
    """
    found, failed = [], {}
    for name in names:
        try:
            found.append(fetched(name, most, seed, folder, wanted))
        except CivillyError as error:
            failed[name] = str(error)
    return found, failed
