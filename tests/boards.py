"""Scored systems for tests of the leaderboard, made from a formula instead of a model."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from civilly.languages import CODES

TEXTS = {
    "en": "you stupid fool number {n}",
    "ar": "أنت أحمق {n}",
    "he": "אתה טיפש {n}",
    "zh": "你这个笨蛋{n}号",
    "ja": "この馬鹿{n}番",
}
CIVIL = {
    "en": "you dear person number {n}",
    "ar": "أنت مخطئ {n}",
    "he": "אתה טועה {n}",
    "zh": "你这个朋友{n}号",
    "ja": "この友{n}番",
}


def rows(
    skill: float, langs: Sequence[str] = CODES, n: int = 20, seed: int = 0, start: int = 0
) -> list[dict[str, Any]]:
    """Rows of a scores file; the larger ``skill`` in [0, 1], the better the scores."""
    rng = random.Random(f"{seed}")
    made = []
    for lang in langs:
        for number in range(start, start + n):
            toxic = TEXTS.get(lang, lang + " idiot {n}").format(n=number)
            output = CIVIL.get(lang, lang + " friend {n}").format(n=number)
            if number % 5 == 0:
                output = toxic
            score = {
                m: round(min(1.0, skill + 0.1 * rng.random()), 4) for m in ("STA", "SIM", "FL")
            }
            joint = score["STA"] * score["SIM"] * score["FL"]
            row = {"lang": lang, "toxic": toxic, "output": output, "reference": "civil " + output}
            made.append({**row, **score, "J": joint})
    return made


def write_scores(
    folder: Path, system: str, rows: list[dict[str, Any]], suite: str = "formula"
) -> Path:
    """A scores file of one system, as the format's documentation has it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{system.replace('/', '_')}.{suite}.json"
    signature = f"{suite}|version:1"
    head = {"format": 1, "system": system, "suite": suite, "signature": signature, "rows": rows}
    path.write_text(json.dumps(head, ensure_ascii=False), encoding="utf-8")
    return path
