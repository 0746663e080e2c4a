"""Values of rows as strings and as JSON, and numbers for people."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable


def as_text(value: object) -> str:
    """A value as one string: itself, nothing for None, else the JSON of `as_json`.

    What JSON has no type for stands there without the quotes of a JSON string.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    if isinstance(value, (bool, int, float, list, tuple, dict)):
        return as_json(value)
    return _as_string(value)


def as_words(value: object) -> str:
    """A value as the text that somebody wrote: `as_text`, but bytes (Hive, Spark) are UTF-8."""
    return value.decode(errors="replace") if isinstance(value, bytes) else as_text(value)


def as_json(value: object) -> str:
    """A value as JSON on one line, in UTF-8 except where only escapes can say it.

    JSON has no NaN and no infinity: they are null. What else it has no type for becomes a string:
    dates and times as ISO 8601, decimals digit by digit, bytes in base64 (all from Parquet).
    """
    try:
        text = json.dumps(value, ensure_ascii=False, default=_as_string, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, default=_as_string)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return json.dumps(_finite(value), default=_as_string)
    return text


def _finite(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _as_string(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


def has_bytes(value: object) -> bool:
    """Whether there are bytes in a value."""
    return _has(value, lambda part: isinstance(part, bytes))


def has_no_number(value: object) -> bool:
    """Whether there is NaN or an infinity in a value."""
    return _has(value, lambda part: isinstance(part, float) and not math.isfinite(part))


def _has(value: object, test: Callable[[object], bool]) -> bool:
    if isinstance(value, dict):
        return any(_has(part, test) for part in value.values())
    if isinstance(value, (list, tuple)):
        return any(_has(part, test) for part in value)
    return test(value)


def short(number: float, digits: int = 3) -> str:
    """A number without the zero before its point: ``.512``, ``-.05``, ``1.000``."""
    text = f"{number:.{digits}f}"
    return text.replace("0.", ".", 1) if abs(number) < 1 else text
