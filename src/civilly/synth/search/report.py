"""What a search found, as JSON can hold it."""

from __future__ import annotations

from typing import Any

from civilly.score.intervals import Interval
from civilly.synth.search.candidates import DataSet
from civilly.synth.search.run import Entry, Found


def report(found: Found) -> dict[str, Any]:
    """The whole result as JSON can hold it."""
    return {
        "reference": {"name": found.reference.name, "where": found.reference.where}
        | {"texts": found.rows},
        "sets": [_set(found, source) for source in found.sets],
        "ranking": {
            lang: [_ranked(found, entry) for entry in entries]
            for lang, entries in found.ranking.items()
        },
        "left_out": found.left_out,
    }


def _set(found: Found, source: DataSet) -> dict[str, Any]:
    columns = source.columns
    return {
        "name": source.name,
        "where": source.where,
        "rows": source.total,
        "looked_at": len(source.rows),
        "columns": {
            role: name
            for role in ("text", "civil", "label", "lang")
            if (name := getattr(columns, role))
        },
        "licence": source.licence,
        "licence_allows": found.licence_allows(source),
        "languages": {lang: round(share, 4) for lang, share in source.languages.items()},
        "duplicates": round(source.duplicates, 4),
        "leaks": found.leaks.get(source.name, {}),
        "notes": list(source.notes),
    }


def _ranked(found: Found, entry: Entry) -> dict[str, Any]:
    made = entry.compared
    return {
        "name": made.name,
        "kind": entry.kind,
        "texts": made.rows,
        "score": _numbers(made.score),
        "rank": list(entry.rank),
        "labels_seem_flipped": found.flipped(entry),
        "measures": {
            name: {"value": round(made.raw[name], 4)} | _numbers(interval)
            for name in made.similarities
            if (interval := made.similarity(name)) is not None
        },
    }


def _numbers(interval: Interval) -> dict[str, float | None]:
    ends = {"similarity": interval.mean, "low": interval.low, "high": interval.high}
    return {name: None if end is None else round(end, 4) for name, end in ends.items()}
