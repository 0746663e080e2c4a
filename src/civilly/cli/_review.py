"""Explains rewrites edit by edit: for machines, and on a page for a person to decide."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from civilly.batch.source import Source
    from civilly.data.journal import Record

ROWS_PER_PAGE = 50
RUDE = 0.5
"""From this p(toxic) on the page calls a text rude."""
_SCRIPTS = ("decisions.js", "memory.js", "row.js", "find.js", "file.js", "page.js")
_FOLDER = "review_page"


def review_page(records: Sequence[Record], source: Source) -> str:
    """A page that needs no network, on which a person decides row by row.

    Nothing counts as accepted before somebody said so. The browser keeps the decisions under a
    fingerprint of the texts and suggestions, so that a page made anew from the same ones finds
    them again. The texts reach the page as data that its script writes as text; a content security
    policy with the hashes of its own script and style forbids everything else.

    Args:
        records: Rewrites, in order.
        source: Where the texts come from; the reviewed file gets its other columns, too.
    """
    from html import escape

    from civilly.cli._review_file import prepared_file
    from civilly.cli._review_rows import page_rows, proposals
    from civilly.detect.by_sentence import open_detector
    from civilly.leaderboard.page import content_hash, language_data, page_style, script_json

    style = page_style() + _asset("page.css")
    script = '"use strict";\n' + "\n".join(map(_asset, _SCRIPTS))
    rows = page_rows(records, proposals(records, open_detector()))
    present = {record["lang"] for record in records}
    name = "" if source.single else Path(source.name).name
    content = {
        "languages": {code: lang for code, lang in language_data().items() if code in present},
        "rowsPerPage": ROWS_PER_PAGE,
        "rude": RUDE,
        "fingerprint": _fingerprint(rows),
        "name": name,
        "stem": _stem(source),
        "file": prepared_file(source, records),
        "rows": rows,
    }
    changed = sum(record["changed"] for record in records)
    return Template(_asset("page.html")).substitute(
        policy=f"default-src 'none'; style-src '{content_hash(style)}'; "
        f"script-src '{content_hash(script)}'; base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        title=f"{escape(name)}: rewrites to review" if name else "Civilly: rewrites to review",
        facts=f"{_rows(len(records))} of <b><bdi>{escape(name or 'one text')}</bdi></b>, "
        f"{changed:,} with a suggested wording",
        data=script_json(content),
    )


def _fingerprint(rows: Sequence[Sequence[Any]]) -> str:
    """What decisions are kept under: the texts and the wordings, not how toxic they were found."""
    from civilly.data.values import as_json

    decided_on = [
        [lang, text, changed, [changes for changes, *_ in row]]
        for lang, text, _, _, changed, row in rows
    ]
    return hashlib.sha256(as_json(decided_on).encode()).hexdigest()[:32]


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _stem(source: Source) -> str:
    """The reviewed file's name without its suffix."""
    from civilly.cli._source import STDIN
    from civilly.data.io import uncompressed

    if source.single or source.name in ("stdin", str(STDIN)):
        return "reviewed"
    return uncompressed(Path(source.name)).stem + ".reviewed"


def _asset(name: str) -> str:
    return (files("civilly.cli") / _FOLDER / name).read_text(encoding="utf-8")
