"""Decisions of people about rewrites, kept as readings (`civilly.data.readings`)."""

from __future__ import annotations

import errno
import os
from hashlib import sha256
from pathlib import Path

from civilly.data.files import write_error
from civilly.data.readings import Reading, as_line
from civilly.serve.shapes import FeedbackRequest

SOURCE = "feedback"
PERSON = "person"
"""Who wrote what a suggestion was edited into."""
_SAID = {"accepted": ("good", 2), "edited": ("other", 1), "rejected": ("other", 0)}
"""The fault and the use of a reading by what was decided; the note may say which fault it was."""


def lines_of(given: FeedbackRequest, lang: str) -> list[str]:
    """A decision as readings: one of the suggestion, and a good one of what it was edited into."""
    fault, use = _SAID[given.decision]
    digest = sha256("\n".join((lang, given.text)).encode()).hexdigest()
    identity = f"{SOURCE}-{digest[:16]}" if given.id is None else str(given.id)

    def line(rewrite: str, system: str, fault: str, use: int) -> str:
        return as_line(
            Reading(
                id=identity,
                lang=lang,
                text=given.text,
                source=SOURCE,
                rewrite=rewrite,
                systems=(system,),
                fault=fault,
                use=use,
                note=given.note,
                sheet=f"{lang}-{SOURCE}",
            )
        )

    lines = [line(given.rewritten, given.method or "civilly", fault, use)]
    if given.final is not None:
        lines.append(line(given.final, PERSON, "good", 2))
    return lines


def append(file: Path, lines: list[str]) -> None:
    """Appends lines in one write, so that those of several processes do not mix.

    Raises:
        DataError: If the file cannot be written.
    """
    data = "".join(lines).encode()
    try:
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.write(handle, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(handle)
    except OSError as error:
        raise write_error(file, error) from error
