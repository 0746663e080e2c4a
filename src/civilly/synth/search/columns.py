"""Which columns of a data set are text, civil side, label and language, by name and by content."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from civilly.data.columns import LANG_COLUMNS, TEXT_COLUMNS, find_column
from civilly.data.pair_leaks import REFERENCE_COLUMNS
from civilly.data.table import Row, Table
from civilly.data.values import as_words
from civilly.errors import DataError
from civilly.synth.texts import LICENCE_COLUMNS

CIVIL_COLUMNS = (*REFERENCE_COLUMNS, "civil", "detoxified", "polite", "non_toxic", "nontoxic")
"""Names of a civil side, first match wins."""
LABEL_COLUMNS = (
    "label", "labels", "toxic", "toxicity", "is_toxic", "offensive", "hate", "hate_speech",
    "class", "hs", "subtask_a", "category", "target",
)  # fmt: skip
"""Names of a label, first match wins."""
_TEXT_PARTS = ("toxic", "text", "comment", "sentence", "tweet")
_CIVIL_PARTS = ("neutral", "civil", "detox", "polite", "nontoxic", "non_toxic")
_LABEL_PARTS = ("label", "toxic", "hate", "offens", "abus", "insult")
_IDS = re.compile(r"(.*_)?(id|idx|index|url|user|date|source|split)s?")

LOOKED_AT = 200
"""Rows whose values show what a column holds."""
_MOST_LABELS = 8
_LEAST_LETTERS = 10
"""Mean length of what is taken for texts."""

_NOT = re.compile(r"(non|not|no)(?![a-z])|(non|not)(?=toxic|hate|offens|abus|hostile|insult)")
_TOXIC = frozenset({
    "1", "true", "yes", "toxic", "hate", "hateful", "hatespeech", "offensive", "offense",
    "offence", "off", "abusive", "abuse", "hs", "insult", "insulting", "obscene", "profanity",
    "profane", "hof", "hostile", "harmful", "rude", "uncivil",
})  # fmt: skip
_CIVIL = frozenset({
    "0", "false", "no", "none", "normal", "neutral", "neither", "clean", "civil", "ok", "okay",
    "safe", "polite", "other", "benign", "non", "not",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the user says about columns; it counts where a set has such a column.

    Attributes:
        text: Column of the text, the toxic side of pairs.
        civil: Column of the civil side.
        label: Column of the label.
        lang: Column of the language.
        toxic_values: Labels that stand for toxic; empty: they are guessed.
    """

    text: str | None = None
    civil: str | None = None
    label: str | None = None
    lang: str | None = None
    toxic_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a set.

    Attributes:
        text: The text, the toxic side of pairs.
        civil: The civil side, or None.
        label: The label, or None.
        lang: The language, or None.
        licence: The licence of a row, or None.
    """

    text: str
    civil: str | None = None
    label: str | None = None
    lang: str | None = None
    licence: str | None = None


def guess_columns(table: Table, name: str, chosen: Chosen) -> Columns:
    """The columns of a set.

    Names decide first, as `civilly.data.columns` knows them, then parts of names, then content: a
    text is long and differs from row to row, a label is one of a few numbers or words. A column
    ``toxic`` is a text in one set and a label in another.

    Args:
        table: The set, or its first rows.
        name: What errors call it.
        chosen: What the user says.

    Raises:
        DataError: If no column holds texts.
    """
    rows = table.rows[:LOOKED_AT]
    texts = [column for column in table.columns if _holds_texts(rows, column)]
    labels = [column for column in table.columns if _holds_labels(rows, column)]
    civil = _named(chosen.civil, table.columns) or _found(texts, CIVIL_COLUMNS, _CIVIL_PARTS)
    others = [column for column in texts if column != civil and not _IDS.fullmatch(column.lower())]
    text = _named(chosen.text, table.columns) or _found(others, TEXT_COLUMNS, _TEXT_PARTS)
    text = text or max(others, key=lambda column: _mean_length(rows, column), default=None)
    if text is None and civil is not None:
        text, civil = civil, None
    if text is None:
        raise DataError(
            f"{name}: no column holds texts; its columns are {', '.join(table.columns) or 'none'}.",
            mend="--text-column NAME",
        )
    free = [column for column in labels if column not in (text, civil)]
    lang = _named(chosen.lang, table.columns) or find_column(table.columns, LANG_COLUMNS)
    return Columns(
        text,
        None if civil == text else civil,
        _named(chosen.label, table.columns)
        or _found([c for c in free if c != lang], LABEL_COLUMNS, _LABEL_PARTS),
        lang,
        find_column(table.columns, LICENCE_COLUMNS),
    )


def _named(column: str | None, columns: Sequence[str]) -> str | None:
    return column if column in columns else None


def _found(columns: Sequence[str], names: Sequence[str], parts: Sequence[str]) -> str | None:
    """By name, or else by a part of the name, of which the first counts most."""
    known = find_column(columns, names)
    inside = (column for part in parts for column in columns if part in column.lower())
    return known or next(inside, None)


def _values(rows: Sequence[Row], column: str) -> list[Any]:
    return [row[column] for row in rows if row.get(column) not in (None, "", [])]


def _texts_in(value: object) -> list[str]:
    held = value if isinstance(value, list) else [value]
    return [each for each in held if isinstance(each, str)]


def _mean_length(rows: Sequence[Row], column: str) -> float:
    texts = [text for value in _values(rows, column) for text in _texts_in(value)]
    return sum(map(len, texts)) / max(1, len(texts))


def _holds_texts(rows: Sequence[Row], column: str) -> bool:
    values = _values(rows, column)
    texts = [text for value in values for text in _texts_in(value)]
    if len(texts) < len(values) or not texts:
        return False
    words = sum(len(text.split()) > 1 or not text.isascii() for text in texts) / len(texts)
    varied = len(set(texts)) * 2 >= len(texts) or len(set(texts)) > _MOST_LABELS
    return _mean_length(rows, column) >= _LEAST_LETTERS and words > 0.5 and varied


def _holds_labels(rows: Sequence[Row], column: str) -> bool:
    values = _values(rows, column)
    if not values or any(isinstance(value, (list, dict)) for value in values):
        return False
    numbers = [_number(value) for value in values]
    if all(number is not None and 0 <= number <= 1 for number in numbers):
        return True
    words = {as_words(value) for value in values}
    return len(words) <= _MOST_LABELS and max(map(len, words)) <= 40


def _number(value: object) -> float | None:
    try:
        return float(as_words(value)) if not isinstance(value, bool) else float(value)
    except ValueError:
        return None


def labels_of(values: Sequence[object], toxic_values: Sequence[str] = ()) -> list[int | None]:
    """1 toxic, 0 civil, None unknown, of each value of a label column.

    Numbers from 0 to 1 are toxic from 0.5 on. Larger whole numbers are classes whose meaning
    nobody can guess: all are unknown then, unless the user says which are toxic. Words are known
    by their meaning; ``non-toxic``, ``not hate`` are civil.

    Args:
        values: The values.
        toxic_values: The values that are toxic; all others are civil then. Empty: guessed.
    """
    if toxic_values:
        wanted = {value.casefold() for value in toxic_values}
        return [
            None if value in (None, "") else int(as_words(value).casefold() in wanted)
            for value in values
        ]
    numbers = [_number(value) for value in values if value not in (None, "")]
    if numbers and all(number is not None for number in numbers):
        if any(not 0 <= number <= 1 for number in numbers if number is not None):
            return [None] * len(values)
        return [
            None if (number := _number(value)) is None else int(number >= 0.5) for value in values
        ]
    return [_meaning(as_words(value)) for value in values]


def _meaning(word: str) -> int | None:
    plain = re.sub(r"[\W_]+", " ", word.casefold()).strip()
    if _NOT.match(plain) and plain not in _TOXIC:
        return 0
    parts = plain.split()
    if any(part in _TOXIC for part in parts):
        return 1
    return 0 if parts and parts[0] in _CIVIL else None


def civil_sides(value: object) -> tuple[str, ...]:
    """The civil sides in one cell: a text, a list of texts, or such a list as JSON."""
    held = value
    if isinstance(value, str) and value.lstrip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            held = json.loads(value)
    if not isinstance(held, list):
        held = [] if value is None else [as_words(value)]
    return tuple(text for each in held if (text := as_words(each).strip()))
