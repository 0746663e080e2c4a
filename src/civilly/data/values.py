"""Values of rows as strings and as JSON, and numbers for people."""

from __future__ import annotations

import json


def as_text(value: object) -> str:
    """A value as one string: itself, nothing for None, JSON for everything else."""
    if isinstance(value, str):
        return value
    return "" if value is None else as_json(value)


def as_json(value: object) -> str:
    """A value as JSON on one line, in UTF-8 except where only escapes can say it.

    What JSON has no type for (dates, decimals, bytes of a Parquet file) becomes a string.
    """
    text = json.dumps(value, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return json.dumps(value, default=str)
    return text


def short(number: float, digits: int = 3) -> str:
    """A number without the zero before its point: ``.512``, ``-.05``, ``1.000``."""
    text = f"{number:.{digits}f}"
    return text.replace("0.", ".", 1) if abs(number) < 1 else text
