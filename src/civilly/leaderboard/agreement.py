"""Reads how well a suite agrees with people."""

from __future__ import annotations

import json
from pathlib import Path

from civilly.data.files import decode, read_bytes
from civilly.errors import DataError
from civilly.languages import CODES
from civilly.leaderboard.runs import MEASURES

_SHAPE = '{"en": {"spearman_J": 0.31}, …}'


def read_agreement(path: Path) -> dict[str, dict[str, float]]:
    """Spearman correlations by language and measure.

    The file is JSON: ``{"en": {"spearman_J": 0.31, "spearman_SIM": 0.79, …}, …}``. Other keys of a
    language (n, intervals) are left for others; null stands for a correlation that does not exist.

    Raises:
        DataError: If it is not such a file.
    """
    try:
        content = json.loads(decode(read_bytes(path), str(path)))
    except ValueError as error:
        raise DataError(
            f"{str(path)!r} is not JSON: {error}.",
            allowed=_SHAPE,
            mend="write a file of this shape; civilly agreement METRIC prints the numbers",
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{str(path)!r} is not agreement by language.", allowed=_SHAPE)
    found: dict[str, dict[str, float]] = {}
    for lang, values in content.items():
        if lang not in CODES or not isinstance(values, dict):
            raise DataError(f"{str(path)!r}: {lang!r} is not understood.", allowed=_SHAPE)
        keys = [f"spearman_{measure}" for measure in MEASURES]
        given = {key: values[key] for key in keys if values.get(key) is not None}
        for key, value in given.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not -1.0 <= value <= 1.0:
                raise DataError(
                    f"{str(path)!r}: {key} of {lang!r} is {value!r}.", allowed="-1 to 1, or null"
                )
        found[lang] = {key: float(value) for key, value in given.items()}
    return found
