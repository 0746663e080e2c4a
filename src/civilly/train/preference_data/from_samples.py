"""Preferences between a model's own outputs of a text, ranked by a reward or several.

Files have a row per text: ``text``, ``lang`` and ``outputs`` (a list); optional are ``logprobs``
(mean log probability per token of each output), ``id``, ``source`` (the data set of the text) and
``references`` (a list, for rewards that need one). What ``civilly rewrite --json`` writes is such a
file, too: its candidates for whole texts are the outputs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from civilly.data.io import read_utf8
from civilly.data.kept_apart import reading_kept_apart
from civilly.data.table import Row, Table
from civilly.errors import DataError
from civilly.languages import LANGUAGES, language_code
from civilly.train.preference_data.rated import Rated, RatedText, Read, label_of
from civilly.train.preference_data.recipe import SamplesSource
from civilly.train.rewards import Reward
from civilly.train.rewards.mixture import Rewards
from civilly.types import Text

AT_ONCE = 256
"""Texts whose outputs are rated at once, so that progress shows."""
_NEEDED = ("text", "lang", "outputs")


@dataclass(frozen=True, slots=True)
class Sampled:
    """A text with what a model made of it.

    Attributes:
        id: Of the text.
        text: The text, with its language.
        source: The data set that it is from.
        outputs: Different ones, likeliest first where that is known.
        logprobs: One of each output; None: not known.
        references: What people wrote.
    """

    id: str
    text: Text
    source: str
    outputs: tuple[str, ...]
    logprobs: tuple[float | None, ...]
    references: tuple[str, ...]


def read_source(
    source: SamplesSource, beside: Path, tell: Callable[[str], object] | None = None
) -> Read:
    """The texts of files of samples, with their outputs rated.

    Args:
        source: What the recipe says.
        beside: The recipe's folder.
        tell: Called with a line now and then.

    Raises:
        DataError: If a file or row is not as it should be, or there is no reward.
        UnknownNameError: If there is no such reward.
    """
    reward = Rewards(source.rewards, source.combine)
    sampled = [one for path in source.paths for one in read_samples(beside / path, source.name)]
    read = Read()
    for start in range(0, len(sampled), AT_ONCE):
        some = sampled[start : start + AT_ONCE]
        worth = _worth(some, reward)
        read.texts += [_rated(one, of, source) for one, of in zip(some, worth, strict=True)]
        if tell:
            tell(f"{source.name}: {len(read.texts)} of {len(sampled)} texts rated")
    return read


def read_samples(path: Path, name: str) -> list[Sampled]:
    """The rows of a file.

    Args:
        path: JSON lines, or another format with lists.
        name: The data set of rows that name none.

    Raises:
        DataError: Naming file, row and column, if something is missing or of another type.
    """
    table = read_utf8(path)
    if "candidates" in table.columns and "outputs" not in table.columns:
        table = _of_candidates(table)
    missing = [column for column in _NEEDED if column not in table.columns]
    if missing:
        raise DataError(
            f"{path}: no column {', '.join(map(repr, missing))}.",
            allowed=f"{', '.join(map(repr, _NEEDED))}; optional are 'logprobs', 'id', 'source' "
            "and 'references'",
            mend="write a JSON object a line, with the list of a text's outputs; or "
            "civilly rewrite --json -n 8",
        )
    made = []
    for number, row in enumerate(table.rows, start=1):
        try:
            made.append(_sampled(row, name))
        except ValueError as error:
            raise DataError(f"{path}, row {number}: {error}.", mend="correct the row") from error
    return made


def _of_candidates(table: Table) -> Table:
    """Rows of ``civilly rewrite --json`` with outputs; candidates for a sentence are left out."""
    rows = []
    for row in table.rows:
        whole = [each for each in row.get("candidates") or [] if each.get("place") is None]
        logprobs = [each.get("logprob") for each in whole]
        known = {"logprobs": logprobs} if all(each is not None for each in logprobs) else {}
        rows.append({**row, "outputs": [each["text"] for each in whole], **known})
    return Table([*table.columns, "outputs", "logprobs"], rows, table.format)


def _sampled(row: Row, name: str) -> Sampled:
    text, lang = row["text"], language_code(str(row["lang"]))
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"text must say something, got {text!r}")
    if lang is None:
        raise ValueError(f"unknown language {row['lang']!r}; known are {', '.join(LANGUAGES)}")
    outputs = _list(row, "outputs", str)
    given = _list(row, "logprobs", (int, float)) if row.get("logprobs") else [None] * len(outputs)
    if len(given) != len(outputs):
        raise ValueError(f"there are {len(outputs)} outputs, but {len(given)} logprobs")
    first: dict[str, float | None] = {}
    for output, logprob in zip(outputs, given, strict=True):
        first.setdefault(output, logprob)
    return Sampled(
        str(row.get("id") or hashlib.sha1(text.encode()).hexdigest()[:12]),
        Text(text, lang),
        str(row.get("source") or name),
        tuple(first),
        tuple(first.values()),
        tuple(_list(row, "references", str)) if row.get("references") else (),
    )


def _list(row: Row, column: str, kind: Any) -> list[Any]:
    value = row[column]
    if not isinstance(value, list) or not all(isinstance(each, kind) for each in value):
        raise ValueError(f"{column} must be a list, got {str(value)[:60]!r}")
    return value


def _worth(sampled: Sequence[Sampled], reward: Reward) -> list[list[float]]:
    """The reward of every output of every text."""
    rows = [(one, output) for one in sampled for output in one.outputs]
    references = [one.references for one, _ in rows]
    given = references if all(references) else None
    values = iter(reward([one.text for one, _ in rows], [output for _, output in rows], given))
    return [[next(values) for _ in one.outputs] for one in sampled]


def _rated(one: Sampled, worth: Sequence[float], source: SamplesSource) -> RatedText:
    rated = tuple(
        Rated(output, value, label_of(value, source.chosen_from, source.rejected_to), "", logprob)
        for output, value, logprob in zip(one.outputs, worth, one.logprobs, strict=True)
    )
    apart = reading_kept_apart(one.text.text)
    return RatedText(one.id, one.text.lang, one.text.text, one.source, rated, apart)
