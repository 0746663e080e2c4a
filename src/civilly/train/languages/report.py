"""What is known of the languages that were trained: pairs, licences, cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from civilly.data.corpus.folder_reader import REPORT_FILE
from civilly.data.files import write_bytes
from civilly.model.adapter import change_file
from civilly.train.finetuning import LOG_FILE
from civilly.train.run_folder import RESULT_FILE, read_json, write_json

if TYPE_CHECKING:
    from civilly.train.languages.recipe import LanguagesRecipe

ROWS_FILE, CARD_FILE = "languages.json", "README.md"
COST_FILE = "cost.json"
"""In the run folder of a language: what its training took."""


@dataclass(frozen=True, slots=True)
class Row:
    """One language that was trained.

    Attributes:
        lang: Its code.
        start: What it started from (`civilly.train.languages.recipe.LanguageSettings`).
        pairs: Pairs by source.
        licences: Licence by source.
        leaks: Pairs that were left out since they repeat evaluation texts.
        left_out: Texts that were left out for other reasons.
        steps: Steps of the optimiser.
        minutes: Of the training, by the clock.
        processor_minutes: The same, of processor time.
        megabytes: Of what was trained.
    """

    lang: str
    start: str
    pairs: dict[str, int]
    licences: dict[str, str]
    leaks: int
    left_out: int
    steps: int
    minutes: float
    processor_minutes: float
    megabytes: float


def read_rows(out: Path, recipe: LanguagesRecipe) -> list[Row]:
    """A row about each language whose training is done, in the recipe's order."""
    done = [lang for lang in recipe.languages.names if (out / lang / RESULT_FILE).exists()]
    return [_row(out / lang, lang, recipe.start_of(lang)) for lang in done]


def _row(run: Path, lang: str, start: str) -> Row:
    report, cost = read_json(run / "corpus" / REPORT_FILE), read_json(run / COST_FILE)
    dropped: Counter[str] = Counter()
    for source in report["sources"]:
        dropped.update(source["dropped"])
    log: Any = read_json(run / LOG_FILE)  # a list, which it does not say
    return Row(
        lang=lang,
        start=start,
        pairs={s["name"]: sum(s["train"].values()) for s in report["sources"] if s["train"]},
        licences={s["name"]: s["licence"] or "" for s in report["sources"] if s["train"]},
        leaks=dropped.pop("leak", 0),
        left_out=dropped.total(),
        steps=max((int(row.get("step", 0)) for row in log), default=0),
        minutes=round(cost.get("seconds", 0) / 60, 2),
        processor_minutes=round(cost.get("processor_seconds", 0) / 60, 2),
        megabytes=round(change_file(run).stat().st_size / 1e6, 2),
    )


def write_report(rows: Sequence[Row], out: Path) -> None:
    """Writes the rows as JSON, and as a table for people."""
    write_json(out / ROWS_FILE, [asdict(row) for row in rows])
    lines = [
        "# One adapter for each language",
        "",
        "| language | start | pairs | by source | leaks taken out | steps | minutes | MB |",
        "|---|---|---|---|---|---|---|---|",
        *map(_line, rows),
        "",
        "Pairs, their licences and what was left out: `LANG/corpus/README.md`.",
    ]
    write_bytes(out / CARD_FILE, ("\n".join(lines) + "\n").encode())


def _line(row: Row) -> str:
    by_source = ", ".join(f"{name} {count}" for name, count in row.pairs.items())
    cells = (
        row.lang, row.start, str(sum(row.pairs.values())), by_source, str(row.leaks),
        str(row.steps), f"{row.minutes:.1f}", f"{row.megabytes:.2f}",
    )  # fmt: skip
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
