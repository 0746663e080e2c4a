"""The texts that benchmarks of synthetic data share: drawn, checked for leaks, put to the filters.

`synthetic_pseudoparadetox_en` holds what Llama 3 8B made of the toxic sides of ParaDetox, which
people rewrote, too: a text has two civil sides. What others publish of Llama's outputs is under
Llama's terms, too, so that it serves for measuring only and nothing that ships is trained on it.
"""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from civilly import __version__
from civilly.data.corpus.build import DEV_FILE, evaluation_texts
from civilly.data.corpus.recipe import SHIPPABLE
from civilly.data.files import write_bytes
from civilly.data.leaks import find_leaks
from civilly.data.pair_leaks import leaks_between, strictest
from civilly.data.pairs import Pair, read_pairs
from civilly.data.split import dev_part
from civilly.data.table import Table
from civilly.synth.filters import FilterTools, open_filters
from civilly.synth.folder import REPORT_FILE, RUN_FILE, Run, read_run
from civilly.synth.published import PUBLISHED, published_rows, take_up
from civilly.synth.run import write_set

MADE = Path("parallel", "synthetic_pseudoparadetox_en.jsonl.gz")
HUMAN = Path("parallel", "paradetox_en.jsonl.gz")
MODEL = "Llama-3-8B"
LICENCE, MODEL_LICENCE = "CC0-1.0", "Llama-3"
"""Of the toxic sides, and of what the model wrote: the second is none that may ship."""
LONGEST = 220
SEED = 0


@dataclass(frozen=True, slots=True)
class Both:
    """A toxic text with what a model made of it and what people did.

    Attributes:
        made: The model's pair.
        human: The people's pair.
    """

    made: Pair
    human: Pair


def held_out(data: Path) -> list[Pair]:
    """English pairs of the official development set that no training may see."""
    return [p for p in read_pairs(data / DEV_FILE) if p.lang == "en" and dev_part(p.id) != "train"]


def pool(data: Path, size: int) -> list[Both]:
    """Texts drawn at random of which no side repeats a development, held-out or official text.

    Args:
        data: The data folder.
        size: How many.
    """
    human = {pair.toxic: pair for pair in read_pairs(data / HUMAN)}
    known = [
        Both(pair, human[pair.toxic])
        for pair in read_pairs(data / MADE)
        if pair.toxic in human
        and len(pair.toxic) <= LONGEST
        and not pair.split.startswith("overlap")
        and not human[pair.toxic].split.startswith("overlap")
    ]
    random.Random(SEED).shuffle(known)
    known = known[: size + size // 4]
    dev = [pair for pair in read_pairs(data / DEV_FILE) if pair.lang == "en"]
    leaking: set[int] = set()
    for side in ([each.made for each in known], [each.human for each in known]):
        leaking |= set(strictest(leaks_between(side, dev)))
    texts = [each.made.toxic for each in known]
    leaking |= {leak.training for leak in find_leaks(texts, evaluation_texts(data, None))}
    return [each for number, each in enumerate(known) if number not in leaking][:size]


def filtered(texts: list[Both], data: Path, folder: Path) -> dict[str, Any]:
    """The report of the model's pairs after the filters; what is in the folder is used again."""
    if not (folder / REPORT_FILE).exists():
        rows: list[dict[str, Any]] = [asdict(each.made) for each in texts]
        columns = ["id", "lang", "toxic", "neutral", "source"]
        table = Table(columns, [{c: _plain(row[c]) for c in columns} for row in rows], "jsonl")
        answers = published_rows(table, str(MADE), MADE.name, LICENCE)
        run = Run(
            "detoxify", PUBLISHED, MODEL, "", 0, 3, 0.0, 0, MODEL_LICENCE, "", __version__
        )  # fmt: skip
        take_up(folder, run, answers, overwrite=(folder / RUN_FILE).exists())
        filters = open_filters(FilterTools(data, [*SHIPPABLE, MODEL_LICENCE]))
        known, answered = read_run(folder)
        write_set(folder, known, answered, filters, complete=True)
    found: dict[str, Any] = json.loads((folder / REPORT_FILE).read_text("utf-8"))
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def write_pairs(path: Path, pairs: list[tuple[str, str, str]]) -> None:
    """Writes pairs (id, toxic, civil), one per line."""
    rows = [
        {"id": name, "lang": "en", "toxic": toxic, "neutral": [civil]}
        for name, toxic, civil in pairs
    ]
    write_bytes(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
