"""The card of a built corpus, in the hub's form: metadata, then text for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from civilly.data.corpus.folder_reader import DEV_FILE, TRAIN_FILE
from civilly.data.corpus.licences import licence_parts
from civilly.languages import LANGUAGES

REASONS = {
    "overlap": "marked by its source as repeating development sentences",
    "held_out": "held out for evaluation by the hash of the id",
    "other_language": "in a language that is none of the 15",
    "unchanged": "the civil side is missing, or the toxic side in other case or punctuation",
    "noise": "the two sides have too little in common",
    "duplicate": "another pair has the same toxic side, but for case, punctuation and links",
    "limit": "not drawn; the recipe limits the source",
    "too_long": "longer than the recipe allows",
    "leak": "repeats an evaluation text, exactly or nearly",
    "sampling": "not drawn when the languages were balanced",
}
"""Why a text can be left out, in the order in which it is looked at."""


def card(report: Mapping[str, Any]) -> str:
    """The card as Markdown.

    Args:
        report: As `civilly.data.corpus.folder_writer.report` gives it, with ``files``.
    """
    return "\n".join(
        [
            *_metadata(report),
            "# A corpus of toxic sentences and civil rewrites",
            "",
            "> **Contains toxic language**: insults, slurs and hate, kept as people wrote them, so",
            "> that a model can learn to say the same thing civilly. Not for display.",
            "",
            f"{report['train']} pairs to train on (`{TRAIN_FILE}`) and {report['dev']} development",
            f"pairs (`{DEV_FILE}`, never trained on, references as people wrote them). Columns:",
            "`id`, `lang`, `source`, `toxic`, `neutral` (a list), `prompt`, `completion`. A pair",
            "that counts twice stands there twice. Civil sides of the kinds `pairs` and `hub` have",
            "the initial case, the final punctuation and the emoji of their toxic sides (with",
            '`writing = "all"` also capitals and spacing), so that only the civility differs.',
            "",
            "## Sources",
            "",
            *_sources(report),
            "",
            "Each source keeps its licence; who uses the corpus follows all of them.",
            *_left_out(report),
            "",
            "## Languages",
            "",
            "| language | train | dev |",
            "|---|---|---|",
            *(
                f"| {LANGUAGES[lang].name} (`{lang}`) | {counts['train']} | {counts['dev']} |"
                for lang, counts in report["languages"].items()
            ),
            "",
            *_sampling(report),
            "## What was left out",
            "",
            *_dropped(report["sources"]),
            "",
            "## How it was made",
            "",
            "`civilly data build RECIPE -o FOLDER`; the same recipe and data give the same bytes.",
            f"Seed {report['recipe']['seed']}. Fingerprint of the recipe (in `corpus.json`):",
            f"`{report['fingerprint']}`. SHA-256:",
            "",
            *(f"- `{name}`: `{digest}`" for name, digest in report["files"].items()),
            "",
        ]
    )


def _metadata(report: Mapping[str, Any]) -> list[str]:
    """YAML that the hub and the library ``datasets`` read; JSON strings are YAML."""
    stated = [source["licence"] for source in report["sources"] if source["licence"]]
    parts = {part.lower() for licence in stated for part in licence_parts(licence)}
    splits = {"train": TRAIN_FILE, "validation": DEV_FILE}
    filled = [
        line
        for (split, name), key in zip(splits.items(), ("train", "dev"), strict=True)
        if report[key]  # an empty file has no columns, which the library takes for an error
        for line in (f"  - split: {split}", f"    path: {name}")
    ]
    return [
        "---",
        "license:",
        *(f"- {json.dumps(part)}" for part in sorted(parts)),
        "language:",
        *(f"- {json.dumps(lang)}" for lang in report["languages"]),
        "tags:",
        "- text-detoxification",
        "configs:",
        "- config_name: default",
        "  data_files:",
        *filled,
        "---",
    ]


def _sources(report: Mapping[str, Any]) -> list[str]:
    lines = ["| source | licence | train, by language | dev |", "|---|---|---|---|"]
    for source in report["sources"]:
        by_language = ", ".join(f"{lang} {pairs}" for lang, pairs in source["train"].items())
        cells = (
            source["name"],
            source["licence"] or "as its parts",
            f"{sum(source['train'].values())}: {by_language}" if by_language else "0",
            str(sum(source["dev"].values())),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines


def _left_out(report: Mapping[str, Any]) -> list[str]:
    return [
        f"Left out whole, for its licence ({licence}): {name}."
        for name, licence in report["left_out"].items()
    ]


def _sampling(report: Mapping[str, Any]) -> list[str]:
    recipe = report["recipe"]
    if recipe["temperature"] is None and recipe["size"] is None:
        return []
    temperature = recipe["temperature"] or 1.0
    return [f"Languages are sampled with shares ∝ n^(1/T), T = {temperature:g}.", ""]


def _dropped(sources: Sequence[Mapping[str, Any]]) -> list[str]:
    total: Counter[str] = Counter()
    for source in sources:
        total.update(source["dropped"])
    if not total:
        return ["Nothing."]
    lines = ["| texts | why | of which source |", "|---|---|---|"]
    for reason in (known for known in REASONS if total[known]):
        by_source = ", ".join(
            f"{source['name']} {source['dropped'][reason]}"
            for source in sources
            if source["dropped"].get(reason)
        )
        lines.append(f"| {total[reason]} | {REASONS[reason]} | {by_source} |")
    return lines
