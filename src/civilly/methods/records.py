"""Rewrites as JSON objects: what ``civilly rewrite --json`` and the service write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from civilly.methods.edits import Edit
from civilly.methods.fillers import DEFAULT
from civilly.types import Candidate, Rewrite


def record_of(
    result: Rewrite, text: str, filler: str, edits: Sequence[Edit] | None = None
) -> dict[str, Any]:
    """A result as an object.

    Args:
        result: It.
        text: The input as it was given.
        filler: Who fills holes; it is told where the method is ``infill``.
        edits: How the input became the output; None: they are not told.
    """
    return {
        **({"filler": filler} if result.method == "infill" else {}),
        "text": text,
        "rewritten": result.rewritten,
        "lang": result.lang,
        "changed": result.changed,
        "method": result.method,
        "reason": result.reason,
        "before": asdict(result.before),
        "after": asdict(result.after),
        "candidates": [
            {**_told(candidate), "scores": asdict(scores)}
            for candidate, scores in result.candidates
        ],
        **({} if edits is None else {"edits": [asdict(edit) for edit in edits]}),
    }


def _told(candidate: Candidate) -> dict[str, Any]:
    """A candidate as an object; its trace is left out where its method tells none."""
    found = asdict(candidate)
    return found if candidate.trace else {k: v for k, v in found.items() if k != "trace"}


def filler_of(options: Mapping[str, Any]) -> str:
    """Who fills the holes under these options, if the method ``infill`` is asked."""
    return str(options.get("infill.filler") or options.get("filler") or DEFAULT)
