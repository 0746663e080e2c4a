"""Writes preferences into a folder: pairs and unpaired rows, to train on and held, and a report."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from civilly.data.files import write_bytes
from civilly.train.preference_data.build import Part, Preferences
from civilly.train.preference_data.card import card
from civilly.train.preference_data.pairing import Preference
from civilly.train.preference_data.rated import Rated, RatedText
from civilly.train.preference_data.rows import LabelledRow, PairRow, format_rows

REPORT_FILE, CARD_FILE = "preferences.json", "README.md"
PAIRS_FILE, UNPAIRED_FILE = "pairs_{}.jsonl", "unpaired_{}.jsonl"
"""Names of the files, with the side of the split."""


def write_preferences(made: Preferences, folder: Path) -> dict[str, Any]:
    """Writes preferences; the same ones give the same bytes.

    Args:
        made: What to write.
        folder: Where; made if it is missing.

    Returns:
        The report (`report`), with the SHA-256 of each file of rows.

    Raises:
        DataError: If a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, bytes] = {}
    for name, part in made.parts.items():
        files[PAIRS_FILE.format(name)] = format_rows([_pair(*row) for row in part.pairs], PairRow)
        unpaired = [_labelled(*row) for row in part.unpaired]
        files[UNPAIRED_FILE.format(name)] = format_rows(unpaired, LabelledRow)
    told = report(made) | {
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    }
    files[REPORT_FILE] = (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode()
    files[CARD_FILE] = card(told).encode()
    for name, content in files.items():
        write_bytes(folder / name, content)
    return told


def _pair(text: RatedText, pair: Preference) -> PairRow:
    return PairRow(
        text.text,
        pair.chosen.output,
        pair.rejected.output,
        text.lang,
        text.source,
        text.id,
        round(pair.margin, 6),
        pair.rejected.fault,
    )


def _labelled(text: RatedText, rated: Rated) -> LabelledRow:
    fault = "" if rated.label else rated.fault
    return LabelledRow(
        text.text, rated.output, bool(rated.label), text.lang, text.source, text.id, fault
    )


def report(made: Preferences) -> dict[str, Any]:
    """What preferences consist of, as JSON can hold it.

    Returns:
        ``recipe`` with defaults filled in and its ``fingerprint``, ``texts`` and ``outputs`` that
        the sources gave, ``train`` and ``held`` (counts, by language, data set and fault),
        ``left_out``, ``refused`` and ``ties`` (counts by reason), and ``licences`` of data sets.
    """
    recipe = made.recipe.model_dump(mode="json")
    return {
        "fingerprint": hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest(),
        "texts": made.texts,
        "outputs": made.outputs,
        **{name: _counts(part) for name, part in made.parts.items()},
        "left_out": _filled(made.left_out),
        "refused": _filled(made.refused),
        "ties": _filled(made.ties),
        "licences": dict(sorted(made.licences.items())),
        "recipe": recipe,
    }


def _counts(part: Part) -> dict[str, Any]:
    texts = [text for text, _ in part.pairs]
    return {
        "texts": len({(text.lang, text.text) for text in texts}),
        "pairs": len(part.pairs),
        "good": sum(bool(rated.label) for _, rated in part.unpaired),
        "bad": sum(not rated.label for _, rated in part.unpaired),
        "languages": _tally([text.lang for text in texts]),
        "sources": _tally([text.source for text in texts]),
        "faults": _tally([pair.rejected.fault or "unnamed" for _, pair in part.pairs]),
    }


def _tally(names: Sequence[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _filled(counts: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in sorted(counts.items()) if count}
