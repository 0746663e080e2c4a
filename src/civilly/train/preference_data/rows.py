"""Files of preferences, in the column formats of the library TRL, as JSON lines.

Pairs have ``prompt``, ``chosen`` and ``rejected``; unpaired rows ``prompt``, ``completion`` and
``label`` (true: good). ``prompt`` is the toxic text itself: whoever trains a writer puts it into
the writer's own prompt. Further columns: ``lang``, ``source``, ``id``; of pairs ``margin`` (by how
much the chosen side is worth more) and ``fault`` (the rejected side's).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from civilly.data.files import encode
from civilly.data.jsonl import format_jsonl
from civilly.data.table import Table


@dataclass(frozen=True, slots=True)
class PairRow:
    """A preference; its columns.

    Attributes:
        prompt: The toxic text.
        chosen: The better output.
        rejected: The worse output, another text.
        lang: Language code.
        source: The data set of the text.
        id: Of the text.
        margin: By how much the chosen output is worth more.
        fault: Of the rejected output, or "" if nobody named it.
    """

    prompt: str
    chosen: str
    rejected: str
    lang: str
    source: str
    id: str
    margin: float
    fault: str


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """An output that is good or not; its columns.

    Attributes:
        prompt: The toxic text.
        completion: The output.
        label: Whether it is good.
        lang: Language code.
        source: The data set of the text.
        id: Of the text.
        fault: Of an output that is not good, or "".
    """

    prompt: str
    completion: str
    label: bool
    lang: str
    source: str
    id: str
    fault: str


def format_rows(rows: Sequence[PairRow] | Sequence[LabelledRow], kind: type) -> bytes:
    """The rows as their file holds them; columns that may be empty are written all the same."""
    columns = [each.name for each in fields(kind)]
    return encode(format_jsonl(Table(columns, [asdict(row) for row in rows], "jsonl")))
