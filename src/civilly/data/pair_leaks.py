"""Finds evaluation pairs in training pairs: by every text of theirs, and by their ids.

A pair leaks where its toxic sentence or one of its references repeats the toxic sentence or a
reference of an evaluation pair (`civilly.data.leaks`), or where both have the same id. The id is
what shows a translation of an evaluation row, since its text is like none.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from civilly.data.columns import named_so, recognize, texts_of
from civilly.data.leaks import Kind, find_leaks, normalise
from civilly.data.pairs import Pair
from civilly.data.table import SHOWN_ROWS, Table
from civilly.data.values import as_words
from civilly.errors import LeakError

PairKind = Kind | Literal["id"]
Side = Literal["toxic", "reference", "id"]

KINDS: dict[PairKind, str] = {
    "exact": "exactly",
    "normalised": "but for case, punctuation, mentions and links",
    "near": "nearly",
    "id": "by their id",
}
"""How a training row can repeat an evaluation row, strictest first, in words."""

REFERENCE_COLUMNS = (
    "neutral_sentence", "neutral", "references", "reference", "rewritten", "output",
)  # fmt: skip
"""Columns that hold the civil side: a text, or a list of texts (also as JSON); all are read."""

MIN_LETTERS = 12
"""Shorter references are no evidence that a system was trained on them, even if equal."""

ID_COLUMNS = ("id", "source_id")
"""Columns that name a row, or the row that it was made from."""

ROW_NUMBER_DIGITS = 9
"""An id of digits alone and shorter than this is a row number: any two files share some."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sides:
    """What can leak of one row.

    Attributes:
        toxic: The toxic sentence.
        references: Its civil rewrites; none for a row of inputs alone.
        ids: What names the row, and the row that it was made from.
    """

    toxic: str
    references: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PairLeak:
    """A text or an id of a training row that repeats one of an evaluation row.

    Attributes:
        training: Index of the training row, from 0.
        evaluation: Index of the evaluation row that it is most like, from 0.
        kind: How alike.
        similarity: 1, except for near ones: the larger of Jaccard and containment.
        training_side: Which text of the training row.
        evaluation_side: Which text of the evaluation row.
        training_text: That text, or the id.
        evaluation_text: That text, or the id.
    """

    training: int
    evaluation: int
    kind: PairKind
    similarity: float
    training_side: Side
    evaluation_side: Side
    training_text: str
    evaluation_text: str


@dataclass(frozen=True, slots=True)
class _Place:
    """One text and where it stands."""

    row: int
    side: Side
    text: str


def sides_of(table: Table, name: str) -> list[Sides]:
    """What can leak of each row of a table, in order.

    The text column is found as for rewriting (`civilly.data.columns.TEXT_COLUMNS`).

    Args:
        table: The table.
        name: Name of the file, for messages.

    Raises:
        DataError: If no column looks like the text.
    """
    roles = recognize(table, name)
    texts, _ = texts_of(table, roles)
    references = named_so(table.columns, REFERENCE_COLUMNS)
    ids = named_so(table.columns, ID_COLUMNS)
    return [
        Sides(
            toxic=text,
            references=tuple(each for column in references for each in _texts(row.get(column))),
            ids=tuple(as_words(row.get(column)) for column in ids),
        )
        for text, row in zip(texts, table.rows, strict=True)
    ]


def _texts(value: object) -> list[str]:
    """The texts in one cell; TSV and CSV hold a list as JSON."""
    held = value
    if isinstance(value, str) and value.lstrip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            held = json.loads(value)
    if isinstance(held, list) and all(isinstance(each, str) for each in held):
        return held
    return [as_words(value)]


def leaks_between(
    training: Sequence[Sides | Pair], evaluation: Sequence[Sides | Pair]
) -> list[PairLeak]:
    """Texts and ids of training rows that repeat those of evaluation rows.

    Args:
        training: What a model was or will be trained on.
        evaluation: What numbers are quoted on; references only if there are any.

    Returns:
        In the order of the training rows: every leaking text of a row, toxic side first, each with
        the evaluation text that it is most like; an id only where no text of the row leaks.
    """
    ours, theirs = _places(training), _places(evaluation)
    leaks = [
        PairLeak(
            ours[leak.training].row,
            theirs[leak.evaluation].row,
            leak.kind,
            leak.similarity,
            ours[leak.training].side,
            theirs[leak.evaluation].side,
            ours[leak.training].text,
            theirs[leak.evaluation].text,
        )
        for leak in find_leaks([p.text for p in ours], [p.text for p in theirs])
    ]
    found = {leak.training for leak in leaks}
    leaks += [leak for leak in _shared_ids(training, evaluation) if leak.training not in found]
    return sorted(leaks, key=lambda leak: leak.training)


def _sides(row: Sides | Pair) -> Sides:
    return row if isinstance(row, Sides) else Sides(row.toxic, tuple(row.neutral), (row.id,))


def _places(rows: Sequence[Sides | Pair]) -> list[_Place]:
    """Every text of every row, toxic sides before references, each once per row."""
    places: list[_Place] = []
    for number, row in enumerate(map(_sides, rows)):
        places.append(_Place(number, "toxic", row.toxic))
        others = dict.fromkeys(text for text in row.references if text != row.toxic)
        places += [_Place(number, "reference", text) for text in others]
    return places


def _shared_ids(
    training: Sequence[Sides | Pair], evaluation: Sequence[Sides | Pair]
) -> Iterator[PairLeak]:
    known: dict[str, int] = {}
    for number, row in enumerate(map(_sides, evaluation)):
        for given in filter(_names_a_row, row.ids):
            known.setdefault(given, number)
    for number, row in enumerate(map(_sides, training)):
        shared = next((given for given in row.ids if given in known), None)
        if shared is not None:
            yield PairLeak(number, known[shared], "id", 1.0, "id", "id", shared, shared)


def _names_a_row(given: str) -> bool:
    return bool(given) and not (given.isdecimal() and len(given) < ROW_NUMBER_DIGITS)


def strictest(leaks: Sequence[PairLeak]) -> dict[int, PairLeak]:
    """The strictest leak of each leaking training row, by its index, in order."""
    order = list(KINDS)
    first: dict[int, PairLeak] = {}
    for leak in leaks:
        known = first.get(leak.training)
        if known is None or order.index(leak.kind) < order.index(known.kind):
            first[leak.training] = leak
    return first


def leaking_rows(
    training: Table, name: str, toxic: Sequence[str], references: Sequence[str]
) -> dict[str, PairKind]:
    """Rows of a training file that repeat sentences which a system is scored on.

    References of fewer than `MIN_LETTERS` letters are not looked for: "thank you" is nobody's.

    Args:
        training: The training file.
        name: Its name, for messages.
        toxic: Toxic sentences of the evaluation.
        references: Civil references of the evaluation, of all sentences together.

    Returns:
        The strictest kind of each leaking row, by ``"name, row 3"``, for `refuse_leaks`.

    Raises:
        DataError: If no column of the file looks like text.
    """
    long_enough = [text for text in references if len(normalise(text)) >= MIN_LETTERS]
    evaluation = [Sides(text) for text in dict.fromkeys([*toxic, *long_enough])]
    found = strictest(leaks_between(sides_of(training, name), evaluation))
    return {f"{name}, row {row + 1}": leak.kind for row, leak in found.items()}


def refuse_leaks(leaking: Mapping[str, PairKind], *, mend: str, go_on: bool = False) -> None:
    """Refuses training rows that repeat evaluation rows.

    Args:
        leaking: The kind of leak of each leaking row, by what the row is called.
        mend: What the user can do.
        go_on: Log a warning instead of raising.

    Raises:
        LeakError: If there are leaks, naming the first rows.
    """
    if not leaking:
        return
    counts = Counter(leaking.values())
    how = ", ".join(f"{counts[kind]} {words}" for kind, words in KINDS.items() if counts[kind])
    names = list(leaking)
    more = f" and {len(names) - SHOWN_ROWS} more" if len(names) > SHOWN_ROWS else ""
    problem = (
        f"{len(names)} training row{'s repeat' if len(names) > 1 else ' repeats'} evaluation rows "
        f"({how}): {', '.join(names[:SHOWN_ROWS])}{more}."
    )
    if not go_on:
        raise LeakError(problem, mend=mend)
    logger.warning("%s Going on as asked.", problem)
