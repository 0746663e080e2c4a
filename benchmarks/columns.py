"""One adapter for each language beside the shared one: outputs, scores, verdicts, cost.

Usage:
    python benchmarks/columns.py texts TEXTS.jsonl
    python benchmarks/columns.py write TEXTS.jsonl RUNS/own -o OUTPUTS [--system own] [--lang de …]
    civilly route OUTPUTS/choice -o route.json
    python benchmarks/columns.py report TEXTS.jsonl OUTPUTS RUNS/own

No training saw the texts. Those that choose: of the nine languages the part `tune` of the dev pairs,
of the others texts whose readings the judge was not trained on, and labelled comments. Those that
check: the part `eval` of the dev pairs, or of the pairs written for this project.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from civilly.data.kept_apart import reading_kept_apart
from civilly.data.leaks import find_leaks
from civilly.data.pairs import read_authored, read_inputs, read_labelled, read_pairs
from civilly.data.readings import read_readings
from civilly.data.split import dev_part
from civilly.languages import CODES, PARALLEL_CODES
from civilly.pipeline import Detoxifier

AUTHORED = Path("recipes/authored_pairs")
READINGS = Path("recipes/readings/pairs_sixth")
PORTIONS = [f for f in sorted(Path("recipes/distilled_pairs").iterdir())
            if f.is_dir() and f.name != "twelfth"]  # fmt: skip
"""What the shared adapter and the languages' own ones were trained on."""
LABELLED = {
    "it": "multilingual_hatecheck", "fr": "mlma", "he": "olah_he", "hin": "cm_politics_hin",
    "ja": "inspection_ja", "tt": "tatar_weak_tt",
}  # fmt: skip
"""Labelled comments that may choose, beside readings, where there are no dev pairs."""
PARTS = ("choice", "check")
EACH = 25
"""Texts a language that choose, and as many that check."""
LOOKED_AT = 150
"""Labelled comments, of which those that were seen are left out."""
LONGEST = 200
"""Characters: comments, no essays."""


@dataclass(frozen=True, slots=True)
class Row:
    """One text.

    Attributes:
        id: Names it.
        part: One of `PARTS`.
        lang: Language code.
        text: It.
        references: Civil versions by people or written for this project, perhaps none.
    """

    id: str
    part: str
    lang: str
    text: str
    references: tuple[str, ...] = ()


def chosen_texts(data: Path) -> Iterator[Row]:
    """At most `EACH` of each part and language, by a hash."""
    official = read_inputs(data / "inputs" / "textdetox2025_test.tsv")
    dev = read_pairs(data / "parallel" / "multiparadetox_dev.jsonl.gz")
    authored = read_authored(AUTHORED)
    read = {(r.lang, r.text) for r in read_readings(READINGS) if reading_kept_apart(r.text)}
    written = [p for f in PORTIONS for p in read_authored(f)] + authored
    for lang in CODES:
        seen = [given.text for given in official if given.lang == lang]
        seen += [p.toxic for p in written if p.lang == lang]
        parallel = lang in PARALLEL_CODES
        check = [p for p in (dev if parallel else authored) if p.lang == lang]
        held = [
            Row(p.id, "check", lang, p.toxic, tuple(p.neutral))
            for p in check
            if dev_part(p.id) == "eval"
        ]
        if parallel:
            choice = [
                Row(p.id, "choice", lang, p.toxic, tuple(p.neutral))
                for p in check
                if dev_part(p.id) == "tune"
            ]
        else:
            choice = [
                Row(f"read-{lang}-{t}", "choice", lang, t) for code, t in read if code == lang
            ]
            labelled = read_labelled(data / "toxicity" / f"{LABELLED[lang]}.jsonl.gz")
            more = sorted(
                (r.text for r in labelled if r.lang == lang and r.label == 1),
                key=lambda text: hashlib.sha1(text.encode()).hexdigest(),
            )[:LOOKED_AT]
            choice = _first(unseen(choice, seen), EACH)
            posted = [Row(f"posted-{lang}-{t}", "choice", lang, t) for t in dict.fromkeys(more)]
            choice += _first(unseen(posted, seen), EACH - len(choice))
        yield from _first(choice, EACH)
        yield from _first(held, EACH)


def unseen(rows: Sequence[Row], seen: Sequence[str]) -> list[Row]:
    """The rows whose text is like none that was trained on or is official."""
    leaking = {leak.training for leak in find_leaks([row.text for row in rows], seen)}
    return [row for i, row in enumerate(rows) if i not in leaking]


def _first(rows: Sequence[Row], most: int) -> list[Row]:
    short = [row for row in rows if len(row.text) <= LONGEST]
    return sorted(short, key=lambda row: hashlib.sha1(row.id.encode()).hexdigest())[:most]


def read_rows(path: Path) -> list[Row]:
    """The texts as `texts` wrote them."""
    rows = map(json.loads, path.read_text("utf-8").splitlines())
    return [Row(**{**row, "references": tuple(row["references"])}) for row in rows]


def write(rows: Sequence[Row], runs: Path, out: Path, system: str, lang: str) -> None:
    """What one system makes of a language's texts, unless that is there already."""
    own = system != "default"
    detoxifier = Detoxifier(adapter=runs / lang if own else None, route="off")
    for part in PARTS:
        folder = out / part / system
        target = folder / f"{lang}.jsonl"
        texts = [row for row in rows if row.part == part and row.lang == lang]
        if target.exists() or not texts:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        way = {"method": "tuned", "adapter": f"{runs}/{{lang}}" if own else None}
        (folder / "way.json").write_text(json.dumps(way), "utf-8")
        begun = time.process_time()
        made = detoxifier.rewrite([row.text for row in texts], [row.lang for row in texts])
        seconds = (time.process_time() - begun) / len(texts)
        lines = [
            {
                "id": row.id, "lang": lang, "text": row.text, "output": each.rewritten,
                "before": each.before.p_toxic, "after": each.after.p_toxic, "seconds": seconds,
            }
            for row, each in zip(texts, made, strict=True)
        ]  # fmt: skip
        target.write_text("".join(json.dumps(l, ensure_ascii=False) + "\n" for l in lines), "utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("texts", "write", "report"))
    parser.add_argument("texts", type=Path)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--output", "-o", type=Path)
    parser.add_argument("--system", nargs="*", default=["default", "own"])
    parser.add_argument("--lang", nargs="*", default=list(CODES))
    arguments = parser.parse_args()
    if arguments.verb == "texts":
        lines = [
            json.dumps(asdict(row), ensure_ascii=False) for row in chosen_texts(arguments.data)
        ]
        arguments.texts.write_text("\n".join(lines) + "\n", "utf-8")
        return
    rows = read_rows(arguments.texts)
    if arguments.verb == "write":
        for lang in arguments.lang:
            for system in arguments.system:
                write(rows, arguments.folders[0], arguments.output, system, lang)
        return
    RESULT.write_text(report(rows, *arguments.folders), "utf-8")


if __name__ == "__main__":
    main()
