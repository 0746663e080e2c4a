"""How many texts keep a candidate as the threshold of one filter moves, the others as they are."""

from __future__ import annotations

from pathlib import Path

from civilly.data.corpus.synthetic_reader import ACCEPTED_FILE, REPORT_FILE
from civilly.data.files import decode, read_bytes
from civilly.errors import CivillyError, UnknownNameError
from civilly.registry import ROOMS
from civilly.synth.folder import REJECTED_FILE, read_rows
from civilly.synth.sifting import NO_ANSWER, NOT_AS_ASKED, UNFINISHED, texts_left


def swept(folder: Path, name: str, steps: int) -> list[tuple[float, int]]:
    """Thresholds from 0 to 1, and how many texts have a candidate that passes all filters.

    Near-duplicates are not taken out: which they are depends on what else stays.

    Args:
        folder: Of a synthetic set.
        name: The filter.
        steps: How many thresholds.

    Raises:
        DataError: If there is no set in the folder.
        UnknownNameError: If the set knows no such filter.
        CivillyError: If the filter compares rows, so that its values depend on the others'.
    """
    import json

    report = json.loads(decode(read_bytes(folder / REPORT_FILE), REPORT_FILE))
    known = {each["name"]: each["threshold"] for each in report["filters"]}
    thresholds = {filter_: least for filter_, least in known.items() if least is not None}
    if name not in thresholds:
        raise UnknownNameError(ROOMS["synth.filters"], name, thresholds)
    rows = [*read_rows(folder / ACCEPTED_FILE), *read_rows(folder / REJECTED_FILE)]
    unread = {NO_ANSWER, NOT_AS_ASKED, UNFINISHED}
    read = [row for row in rows if unread.isdisjoint(row.get("rejected_by", ()))]
    everywhere = {filter_ for filter_ in thresholds if all(filter_ in r["filters"] for r in read)}
    if name not in everywhere:
        raise CivillyError(
            f"The filter {name!r} compares rows, so its values depend on what else is kept.",
            allowed=", ".join(sorted(everywhere)),
        )
    numbers: dict[tuple[str, str], int] = {}
    values = [
        (numbers.setdefault((row["source"], row["source_id"]), len(numbers)), row["filters"])
        for row in read
    ]
    fixed = {filter_: thresholds[filter_] for filter_ in everywhere}
    levels = [step / (steps - 1) for step in range(steps)]
    return [(level, texts_left(values, {**fixed, name: level})) for level in levels]
