"""The rows of the review page: what is suggested for each text, change by change, and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

from civilly.methods.edits import Edit, apply, edits
from civilly.types import Detector, Text

if TYPE_CHECKING:
    from civilly.data.journal import Record

OTHER_WORDINGS = 3
"""At most so many wordings beside the suggested one."""
MEASURED_WHOLLY = 3
"""With so many changes or fewer, every mixture of them is measured: at most six."""
MEASURED_PARTLY = 8
"""With so many or fewer, each change alone, and all but one. Other mixtures are not measured."""


@dataclass(slots=True)
class Proposal:
    """A wording for a text.

    Attributes:
        edits: What it changes, in order.
        p_toxic: p(toxic) with all of them.
        measured: p(toxic) of mixtures, by a ``1`` or ``0`` per edit: taken or not.
    """

    edits: list[Edit]
    p_toxic: float
    measured: dict[str, float] = field(default_factory=dict)


def proposals(records: Sequence[Record], detector: Detector) -> list[list[Proposal]]:
    """The wordings for each text: the rewrite first if there is one, then the best others.

    Args:
        records: Rewrites with their candidates, best first.
        detector: Measures the mixtures of changes.
    """
    rows = [[_proposal(record, *wording) for wording in _wordings(record)] for record in records]
    asked = [
        (proposal, key, Text(_mixture(record["text"], proposal.edits, key), record["lang"]))
        for record, row in zip(records, rows, strict=True)
        for proposal in row
        for key in _mixtures(len(proposal.edits))
    ]
    found = detector.detect([text for _, _, text in asked])
    for (proposal, key, _), detection in zip(asked, found, strict=True):
        proposal.measured[key] = detection.p_toxic
    return rows


def page_rows(records: Sequence[Record], rows: Sequence[Sequence[Proposal]]) -> list[list[Any]]:
    """The rows as the page's script takes them.

    Each is a language, the text, its p(toxic), the stretches that the detector marks, whether the
    first proposal is the suggested one, and the proposals: edits ``[start, end, put]``, p(toxic),
    and that of mixtures. Places count UTF-16 units, as scripts do; p has two digits, since that is
    what is shown, and a text must not look rude and count as civil.
    """
    return [
        [
            record["lang"],
            record["text"],
            round(record["before"]["p_toxic"], 2),
            _places(record["text"], [(s["start"], s["end"]) for s in record["before"]["spans"]]),
            int(record["changed"]),
            [_page_proposal(record["text"], proposal) for proposal in row],
        ]
        for record, row in zip(records, rows, strict=True)
    ]


def _wordings(record: Record) -> list[tuple[str, float]]:
    """The rewrite, and other candidates that are less toxic than the text, with their p(toxic)."""
    text = record["text"]
    found = [(record["rewritten"], record["after"]["p_toxic"])] if record["changed"] else []
    most = len(found) + OTHER_WORDINGS
    known = {_gist(text), *(_gist(wording) for wording, _ in found)}
    # Those of several sentences are wordings of each, and what they are together nobody measured.
    places = {tuple(candidate["place"] or (0, len(text))) for candidate in record["candidates"]}
    candidates = record["candidates"] if len(places) == 1 else []
    for candidate in candidates:
        start, end = next(iter(places))
        p_toxic = 1.0 - candidate["scores"]["civility"]
        wording = text[:start] + candidate["text"] + text[end:]
        refused = candidate["scores"]["refused"] or p_toxic >= record["before"]["p_toxic"]
        if len(found) < most and not refused and _gist(wording) not in known:
            known.add(_gist(wording))
            found.append((wording, p_toxic))
    return found


def _gist(wording: str) -> str:
    """What two wordings must differ in to be worth a choice: more than blanks, marks and case."""
    gist = "".join(character for character in wording.casefold() if character.isalnum())
    return gist or wording


def _proposal(record: Record, wording: str, p_toxic: float) -> Proposal:
    return Proposal(edits(record["text"], wording, record["lang"]), p_toxic)


def _mixtures(count: int) -> list[str]:
    """Which mixtures of so many changes are measured, neither none of them nor all."""
    if count > MEASURED_PARTLY:
        return []
    sizes = range(1, count) if count <= MEASURED_WHOLLY else (1, count - 1)
    return [
        "".join("1" if place in taken else "0" for place in range(count))
        for size in sizes
        for taken in combinations(range(count), size)
    ]


def _mixture(text: str, changes: Sequence[Edit], key: str) -> str:
    return apply(text, [edit for edit, taken in zip(changes, key, strict=True) if taken == "1"])


def _page_proposal(text: str, proposal: Proposal) -> list[Any]:
    places = _places(text, [(edit.start, edit.end) for edit in proposal.edits])
    changes = [[*place, edit.put] for place, edit in zip(places, proposal.edits, strict=True)]
    measured = {key: round(p_toxic, 2) for key, p_toxic in proposal.measured.items()}
    return [changes, round(proposal.p_toxic, 2), measured]


def _places(text: str, places: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Places in code points as places in UTF-16 units."""
    if not places or max(text, default="") <= "\uffff":
        return [list(place) for place in places]
    units = [0]
    for character in text:
        units.append(units[-1] + (2 if character > "\uffff" else 1))
    return [[units[start], units[end]] for start, end in places]
