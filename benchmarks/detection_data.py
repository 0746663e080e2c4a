"""The rows that detectors are measured on: none of them was trained on."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from civilly.data.io import read_table
from civilly.data.kept_apart import case_calibrates, case_kept_apart
from civilly.data.pairs import read_authored, read_inputs, read_pairs
from civilly.data.readings import Case, read_cases
from civilly.data.split import dev_part
from civilly.languages import CODES, LANGUAGES
from civilly.train.detector_data import held_out
from civilly.train.obfuscation import DISGUISES

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("CIVILLY_DATA", ROOT.parent / "shared" / "data"))
CASES = ROOT / "recipes" / "readings" / "cases"
TRAINED_ON = {
    "davidson_en", "germeval2018_de", "cold_zh", "bohra2018_hin", "inspection_ja",
    "rutoxic10k_ru_posonly",
}  # fmt: skip
"""Sets of toxicity/ whose held-out fifth is measured; of mlma only fr and ar are trained on."""
NOT_LABELLED_SETS = {"multilingual_hatecheck", "parallel_derived", "multiparadetox_dev_derived"}
MOST_LABELLED, MOST_CLEAN = 2_000, 1_000

Rows = dict[str, list[dict[str, Any]]]
"""By language."""


@dataclass(frozen=True, slots=True)
class Measured:
    """All rows, or the first few of each kind.

    Attributes:
        most: The most rows of a table's line; None: all.
    """

    most: int | None = None

    def official_inputs(self) -> dict[str, list[str]]:
        """The official 2025 test inputs by language."""
        found: dict[str, list[str]] = {lang: [] for lang in CODES}
        for given in read_inputs(DATA / "inputs" / "textdetox2025_test.tsv"):
            found[given.lang].append(given.text)
        return {lang: texts[: self.most] for lang, texts in found.items()}

    def clean_sentences(self) -> dict[str, list[str]]:
        """Up to 1,000 held-out clean sentences of each language; none for Hinglish."""
        found = {}
        for lang in CODES:
            path = DATA / "clean" / f"{lang}.jsonl.gz"
            rows = read_table(path).rows if path.is_file() else []
            texts = [row["text"] for row in rows if held_out(row["text"], 20)]
            found[lang] = texts[:MOST_CLEAN][: self.most]
        return found

    def cases(self) -> list[Case]:
        """Detection cases that neither train nor calibrate, twins together."""
        apart = [c for c in read_cases(CASES) if case_kept_apart(c) and not case_calibrates(c)]
        by_language: dict[str, list[Case]] = defaultdict(list)
        for case in apart:
            by_language[case.lang].append(case)
        return [case for lang in CODES for case in by_language[lang][: self.most]]

    def pairs(self) -> dict[str, list[tuple[str, str]]]:
        """Dev pairs of the part "eval", and the held-out quarter of the authored pairs."""
        found: dict[str, list[tuple[str, str]]] = {lang: [] for lang in CODES}
        dev = read_pairs(DATA / "parallel" / "multiparadetox_dev.jsonl.gz")
        authored = read_authored(ROOT / "recipes" / "authored_pairs")
        chosen = [pair for pair in dev if dev_part(pair.id) == "eval"]
        chosen += [pair for pair in authored if held_out(pair.toxic, 25)]
        for pair in chosen:
            found[pair.lang].append((pair.toxic, pair.neutral[0]))
        return {lang: rows[: self.most] for lang, rows in found.items()}

    def labelled(self) -> list[tuple[str, str, bool, list[dict[str, Any]]]]:
        """Language, set, whether other rows of it were trained on, rows: by language."""
        found = []
        for path in sorted((DATA / "toxicity").glob("*.jsonl.gz")):
            name = path.name.removesuffix(".jsonl.gz")
            if name in NOT_LABELLED_SETS:
                continue
            by_language: Rows = defaultdict(list)
            for row in read_table(path).rows:
                if not trained_on(name, row["lang"]) or held_out(row["text"], 20):
                    by_language[row["lang"]].append(row)
            for lang, rows in by_language.items():
                random.Random(0).shuffle(rows)
                rows = rows[:MOST_LABELLED][: self.most]
                found.append((lang, name, trained_on(name, lang), rows))
        return sorted(found, key=lambda each: (CODES.index(each[0]), each[1]))

    def hatecheck(self) -> Rows:
        """Multilingual HateCheck."""
        found: Rows = defaultdict(list)
        for row in read_table(DATA / "toxicity" / "multilingual_hatecheck.jsonl.gz").rows:
            found[row["lang"]].append(row)
        for rows in found.values():
            random.Random(0).shuffle(rows)  # they are sorted by label
        return {lang: rows[: self.most] for lang, rows in sorted(found.items())}

    def disguised(self, name: str) -> dict[str, list[str]]:
        """Toxic sides of the eval pairs; every word that the civil side drops is disguised."""
        found: dict[str, list[str]] = defaultdict(list)
        for row in read_table(DATA / "spans" / "multiparadetox_dev_autodiff.jsonl.gz").rows:
            if dev_part(row["id"]) == "eval" and LANGUAGES[row["lang"]].spaces:
                found[row["lang"]].append(_disguised(row, name))
        return {lang: texts[: self.most] for lang, texts in found.items()}

    def spans(self) -> list[tuple[str, str, list[dict[str, Any]]]]:
        """Language, whose spans they are, rows."""
        test = [
            row
            for row in read_table(DATA / "spans" / "semeval2021_en.jsonl.gz").rows
            if row["split"] == "test"
        ]
        by_language: Rows = defaultdict(list)
        for row in read_table(DATA / "spans" / "multiparadetox_dev_autodiff.jsonl.gz").rows:
            if dev_part(row["id"]) == "eval":
                by_language[row["lang"]].append(row)
        found = [("en", "SemEval-2021 test (people)", test[: self.most])]
        for lang, rows in sorted(by_language.items(), key=lambda each: CODES.index(each[0])):
            found.append((lang, "dev diffs, eval (automatic)", rows[: self.most]))
        return found


def trained_on(name: str, lang: str) -> bool:
    """Whether other rows of a labelled set were trained on."""
    return name in TRAINED_ON or (name == "mlma" and lang in ("fr", "ar"))


def _disguised(row: dict[str, Any], name: str) -> str:
    rng = random.Random(row["id"])
    pieces, last = [], 0
    for start, end in row["spans"]:
        words = [
            DISGUISES[name](word, rng) if len(word) > 2 and name != "none" else word
            for word in row["text"][start:end].split(" ")
        ]
        pieces += [row["text"][last:start], " ".join(words)]
        last = end
    return "".join(pieces) + str(row["text"][last:])
