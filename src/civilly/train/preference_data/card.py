"""The card of built preferences, in the hub's form: metadata, then text for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from civilly.data.corpus.licences import licence_parts
from civilly.languages import LANGUAGES
from civilly.train.preference_data import build, confirm, pairing

TIES = {
    "readers_disagree": "outputs that one reader found good and another did not",
    **confirm.TIES,
}
"""Why neither of two sides is preferred."""


def card(report: Mapping[str, Any]) -> str:
    """The card as Markdown.

    Args:
        report: As `civilly.train.preference_data.folder.report` gives it, with ``files``.
    """
    train, held = report["train"], report["held"]
    return "\n".join(
        [
            *_metadata(report),
            "# Preferences between civil rewrites of toxic texts",
            "",
            "> **Contains toxic language**: insults, slurs and hate, kept as people wrote them.",
            "> Not for display.",
            "",
            f"{train['pairs']} pairs of {train['texts']} texts to train on, {held['pairs']} of",
            f"{held['texts']} held texts; {train['good']} good and {train['bad']} bad outputs",
            f"unpaired, {held['good']} and {held['bad']} held. Columns of pairs: `prompt` (the",
            "text itself), `chosen`, `rejected`, `lang`, `source`, `id`, `margin`, `fault` (of the",
            "rejected side); unpaired `completion` and `label` in place of the sides.",
            "Texts are held by a hash of their id, and if a reader or metric is measured on them;",
            "both formats have the same split.",
            "",
            "## Languages",
            "",
            "| language | pairs to train on | held |",
            "|---|---|---|",
            *(
                f"| {LANGUAGES[lang].name} (`{lang}`) | {train['languages'].get(lang, 0)} "
                f"| {held['languages'].get(lang, 0)} |"
                for lang in languages_of(report)
            ),
            "",
            "## Data sets and licences",
            "",
            "| data set | licence | pairs to train on | held |",
            "|---|---|---|---|",
            *(
                f"| {name} | {licence} | {train['sources'].get(name, 0)} "
                f"| {held['sources'].get(name, 0)} |"
                for name, licence in report["licences"].items()
            ),
            "",
            "## Faults of the rejected sides",
            "",
            "| fault | pairs to train on | held |",
            "|---|---|---|",
            *(
                f"| {name} | {count} | {held['faults'].get(name, 0)} |"
                for name, count in train["faults"].items()
            ),
            "",
            "## What gave no pair",
            "",
            f"Of {report['texts']} texts with {report['outputs']} outputs:",
            "",
            "| count | of | why |",
            "|---|---|---|",
            *(f"| {count} | {what} | {why} |" for count, what, why in reasons_of(report)),
            "",
            "## How it was made",
            "",
            "`civilly data preferences RECIPE -o FOLDER`; the same recipe and data give the same",
            f"bytes. Fingerprint of the recipe (in `preferences.json`): `{report['fingerprint']}`.",
            "SHA-256:",
            "",
            *(f"- `{name}`: `{digest}`" for name, digest in report["files"].items()),
            "",
        ]
    )


def languages_of(report: Mapping[str, Any]) -> list[str]:
    """Codes of the languages that gave pairs, sorted."""
    return sorted({*report["train"]["languages"], *report["held"]["languages"]})


def reasons_of(report: Mapping[str, Any]) -> list[tuple[int, str, str]]:
    """What gave no pair: how many, of what, and why."""
    tables = (("left_out", "texts", build.REASONS), ("refused", "pairs", pairing.REASONS))
    return [
        (report[table][reason], what, meaning)
        for table, what, meanings in (*tables, ("ties", "ties", TIES))
        for reason, meaning in meanings.items()
        if report[table].get(reason)
    ]


def _metadata(report: Mapping[str, Any]) -> list[str]:
    """YAML that the hub and the library ``datasets`` read; JSON strings are YAML."""
    parts = {part.lower() for each in report["licences"].values() for part in licence_parts(each)}
    return [
        "---",
        "license:",
        *(f"- {json.dumps(part)}" for part in sorted(parts)),
        "language:",
        *(f"- {json.dumps(lang)}" for lang in languages_of(report)),
        "tags:",
        "- text-detoxification",
        "configs:",
        *_config(report, "pairs", "pairs"),
        *_config(report, "unpaired", "good"),
        "---",
    ]


def _config(report: Mapping[str, Any], name: str, count: str) -> list[str]:
    """A configuration with its splits; an empty file has no columns, so it is not named."""
    splits = {"train": "train", "validation": "held"}
    return [
        f"- config_name: {name}",
        "  data_files:",
        *(
            line
            for split, part in splits.items()
            if report[part][count]
            for line in (f"  - split: {split}", f"    path: {name}_{part}.jsonl")
        ),
    ]
