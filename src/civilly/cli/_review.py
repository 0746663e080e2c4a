"""Explains rewrites edit by edit: for machines, and on a page for a person to accept or reject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from civilly.data.journal import Record
    from civilly.methods.edits import Edit

ROWS_PER_PAGE = 50


def with_edits(records: Sequence[Record]) -> list[Record]:
    """The records of ``--json``, each with its edits (`civilly.methods.edits.Edit`)."""
    return [
        {**record, "edits": [asdict(edit) for edit in row]}
        for record, row in zip(records, _edits(records), strict=True)
    ]


def review_page(records: Sequence[Record], name: str) -> str:
    """A page that needs no network, with a button per edit.

    The texts reach it as data that its script writes as text; a content security policy with the
    hashes of its own script and style forbids everything else.

    Args:
        records: Rewrites, in order.
        name: Where the texts come from.
    """
    from html import escape

    from civilly.leaderboard.page import content_hash, language_data, page_style, script_json

    style = page_style() + _asset("review.css")
    script = '"use strict";\n' + _asset("review.js")
    changed = sum(record["changed"] for record in records)
    content = {
        "languages": language_data(),
        "rowsPerPage": ROWS_PER_PAGE,
        "rows": [
            _page_row(record, row) for record, row in zip(records, _edits(records), strict=True)
        ],
    }
    return Template(_asset("review.html")).substitute(
        policy=f"default-src 'none'; style-src '{content_hash(style)}'; "
        f"script-src '{content_hash(script)}'; base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        facts=f"{len(records)} rows of {escape(name)}, {changed} rewritten",
        data=script_json(content),
    )


def _edits(records: Sequence[Record]) -> list[list[Edit]]:
    from civilly import registry
    from civilly.methods.edits import explained
    from civilly.types import Detection, Span, Text

    return explained(
        [Text(record["text"], record["lang"]) for record in records],
        [record["rewritten"] for record in records],
        [
            Detection(
                record["before"]["p_toxic"],
                tuple(Span(**span) for span in record["before"]["spans"]),
            )
            for record in records
        ],
        registry.create("detect", "toxicity", None),
    )


def _page_row(record: Record, edits: Sequence[Edit]) -> dict[str, Any]:
    """A row as the page's script takes it: strings that stay, and edits as lists."""
    pieces: list[Any] = []
    place = 0
    for edit in edits:
        pieces.append(record["text"][place : edit.start])
        pieces.append([edit.cut, edit.put, edit.score, edit.p_toxic])
        place = edit.end
    pieces.append(record["text"][place:])
    by = record["method"] + (f" ({record['filler']})" if record.get("filler") else "")
    return {
        "lang": record["lang"],
        "pieces": [piece for piece in pieces if piece],
        "before": record["before"]["p_toxic"],
        "after": record["after"]["p_toxic"],
        "by": by,
        "reason": record["reason"],
    }


def _asset(name: str) -> str:
    return (files("civilly.cli") / name).read_text(encoding="utf-8")
