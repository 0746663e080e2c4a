"""Reads preferences from files, in the columns that TRL uses, and refuses what teaches nothing."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol, TypeVar

from civilly.data.io import read_table
from civilly.data.leaks import find_leaks
from civilly.data.pair_leaks import refuse_leaks
from civilly.errors import DataError
from civilly.languages import language, language_code
from civilly.train.prefer.recipe import PreferenceData

PAIR_COLUMNS = ("prompt", "chosen", "rejected", "lang")
SINGLE_COLUMNS = ("prompt", "completion", "label", "lang")
_LABELS = {True: True, False: False, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Preference:
    """Two rewrites of a text, of which one reads better.

    Attributes:
        name: The file's name and the number of the row.
        lang: Language code.
        text: The text.
        chosen: The better rewrite.
        rejected: The worse one.
    """

    name: str
    lang: str
    text: str
    chosen: str
    rejected: str

    @property
    def longest(self) -> int:
        """Characters of its longest side."""
        return max(map(len, (self.text, self.chosen, self.rejected)))


@dataclass(frozen=True, slots=True)
class Opinion:
    """A rewrite of a text that is good or bad.

    Attributes:
        name: The file's name and the number of the row.
        lang: Language code.
        text: The text.
        rewrite: The rewrite.
        good: What is thought of it.
    """

    name: str
    lang: str
    text: str
    rewrite: str
    good: bool

    @property
    def longest(self) -> int:
        """Characters of its longer side."""
        return max(len(self.text), len(self.rewrite))


class _Judged(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def lang(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def longest(self) -> int: ...


JudgedT = TypeVar("JudgedT", bound=_Judged)


def read_preferences(path: Path) -> list[Preference]:
    """All preferences of a file, in order.

    Raises:
        DataError: If a side is missing or empty, or both are equal.
    """
    other = 'a file of single answers is for [loss] name = "kto"'
    found = []
    for name, lang, row in _rows(path, PAIR_COLUMNS, other):
        if row["chosen"].strip() == row["rejected"].strip():
            raise DataError(
                f"{name}: the chosen and the rejected side are equal: {row['chosen'][:60]!r}.",
                mend="leave the row out: nobody can prefer a text to itself",
            )
        found.append(Preference(name, lang, row["prompt"], row["chosen"], row["rejected"]))
    return found


def read_opinions(path: Path) -> list[Opinion]:
    """All single rewrites that a file calls good or bad, in order.

    Raises:
        DataError: If a column is missing or empty, a label is neither true nor false, or all are
            the same.
    """
    other = 'a file of chosen and rejected answers is for [loss] name = "dpo"'
    found = []
    for name, lang, row in _rows(path, SINGLE_COLUMNS, other):
        if row["label"] not in _LABELS:
            raise DataError(f"{name}: the label is {row['label']!r}.", allowed="true, false")
        good = _LABELS[row["label"]]
        found.append(Opinion(name, lang, row["prompt"], row["completion"], good))
    if len({opinion.good for opinion in found}) == 1:
        raise DataError(
            f"{path} calls all its {len(found)} rewrites {'good' if found[0].good else 'bad'}.",
            mend="add some of the other kind: what is good is learnt from the difference",
        )
    return found


def _rows(
    path: Path, columns: Sequence[str], other: str
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """What each row is called, its language and its fields, all there; texts are not empty."""
    table = read_table(path)
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise DataError(
            f"{path} has no column {missing[0]!r}; it has {', '.join(table.columns) or 'none'}.",
            allowed=", ".join(columns),
            mend=f"civilly data preferences; {other}",
        )
    for number, row in enumerate(table.rows, start=1):
        name = f"{path.name}, row {number}"
        for column in columns:
            value = row.get(column)
            if value is None or (isinstance(value, str) and not value.strip()):
                raise DataError(
                    f"{name} has no {column!r} side."
                    if column in ("chosen", "rejected")
                    else f"{name} has no {column!r}.",
                    mend="fill it in, or leave the row out",
                )
            if column != "label" and not isinstance(value, str):
                raise DataError(f"{name}: {column!r} is {value!r}, which is no text.")
        yield name, language(language_code(row["lang"]) or row["lang"]).code, row


def rows_to_train_on(
    rows: Sequence[JudgedT],
    settings: PreferenceData,
    seed: int,
    evaluation: Sequence[str],
    held: Collection[str],
) -> tuple[list[JudgedT], dict[str, int]]:
    """The rows to train on, shuffled, and how many were left out for what.

    Args:
        rows: What was read.
        settings: How many, how long, and what becomes of leaks.
        seed: Of the choice.
        evaluation: Texts that no training may see.
        held: Texts of the held preferences, whose rows are left out.

    Raises:
        LeakError: If rows repeat such texts and are not to be taken out.
        DataError: If nothing is left.
    """
    longest = settings.longest_characters
    spoken = [row for row in rows if row.lang in (settings.languages or [row.lang])]
    short = [row for row in spoken if longest is None or row.longest <= longest]
    apart = [row for row in short if row.text not in held]
    texts = sorted({row.text for row in apart})
    found = find_leaks(texts, evaluation)
    leaking = {texts[leak.training]: leak.kind for leak in found}
    if settings.leaks == "refuse":
        refuse_leaks(
            {row.name: leaking[row.text] for row in apart if row.text in leaking},
            mend='--take-out-leaks, or leaks = "take_out" under [preferences] in the recipe',
        )
    kept = [row for row in apart if row.text not in leaking]
    left_out = {
        "language": len(rows) - len(spoken),
        "too_long": len(spoken) - len(short),
        "held": len(short) - len(apart),
        "leak": len(apart) - len(kept),
    }
    random.Random(seed).shuffle(kept)
    if settings.limit is not None:
        left_out["limit"] = max(0, len(kept) - settings.limit)
        kept = kept[: settings.limit]
    if not kept:
        raise DataError(
            "No preferences are left to train on.", mend="look at [preferences] in the recipe"
        )
    return kept, left_out


def spread(rows: Sequence[JudgedT], count: int) -> list[JudgedT]:
    """The first rows of each language in turn, ``count`` in all."""
    by_language: dict[str, list[JudgedT]] = defaultdict(list)
    for row in rows:
        by_language[row.lang].append(row)
    turns = zip_longest(*(by_language[lang] for lang in sorted(by_language)))
    return [row for turn in turns for row in turn if row is not None][:count]


def counted(rows: Sequence[_Judged]) -> dict[str, int]:
    """How many rows there are of each language."""
    return dict(sorted(Counter(row.lang for row in rows).items()))
