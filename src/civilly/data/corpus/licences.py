"""Which licences a source states, and which of them are not allowed."""

from __future__ import annotations

from collections.abc import Iterable

NONE_STATED = "none stated"


def licence_parts(licence: str) -> list[str]:
    """The licences that all apply, of an expression like ``MIT AND CC-BY-4.0`` (SPDX)."""
    return [part.strip() for part in licence.split(" AND ") if part.strip()]


def refused_licences(licence: str | None, allowed: Iterable[str]) -> list[str]:
    """The parts of a licence that are not allowed, in order; upper and lower case are the same.

    Args:
        licence: An SPDX expression with ``AND`` only; None or "": none is stated.
        allowed: The allowed names.

    Returns:
        Empty if all parts are allowed; `NONE_STATED` alone if there is no licence.
    """
    known = {name.casefold() for name in allowed}
    parts = licence_parts(licence or "")
    return [part for part in parts if part.casefold() not in known] if parts else [NONE_STATED]
