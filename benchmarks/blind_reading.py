"""Blind readings: sheets for readers who do not know whose output they judge, and their labels.

Usage: python benchmarks/blind_reading.py sheets CANDIDATES.jsonl FOLDER [--outputs 230] [--seed 1]
       python benchmarks/blind_reading.py check FOLDER SHEET …
       python benchmarks/blind_reading.py join FOLDER -o READINGS.jsonl
       python benchmarks/blind_reading.py report [recipes/readings/pairs]
       python benchmarks/blind_reading.py report READINGS.jsonl --toml readings/DATE.toml
              --commit HASH [--before DATE] [--inputs TEXT] [--readers TEXT]

CANDIDATES has an object a line: id, lang, text, source, and outputs, a map from system to output.
A sheet holds texts of one language; equal outputs stand once, in random order, under letters. A
tenth of the texts stand on a second sheet, so that two readers judge them: give the odd sheets of
a language and the even ones to different readers. FOLDER/key.json tells letters; readers must not
open it. A reader writes FOLDER/labels/SHEET.tsv: item, letter, fault, use, note (see
`civilly.data.readings`). ``join`` puts labels and key together; ``report`` writes
results/readings.md: what became of each system's outputs, and how far readers agree. With
``--toml`` it writes instead what `assemble.py` leads with: the shares of the systems ``civilly``,
``mt0`` and ``human`` in a reading, to stand beside an earlier one.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from civilly.data.readings import FAULTS, Reading, as_line, read_readings
from civilly.errors import DataError
from civilly.languages import CODES, NEW_CODES, PARALLEL_CODES

HERE = Path(__file__).parent
SHIPPED, RESULT = HERE.parent / "recipes" / "readings" / "pairs", HERE / "results" / "readings.md"
LETTERS = "ABCDEFGHIJKLMNOP"
TWICE = 10
"""One text in so many is read twice."""
Item = dict[str, Any]


def shuffled(candidate: Item, chance: random.Random) -> Item:
    """A text with its different outputs under letters."""
    systems: dict[str, list[str]] = defaultdict(list)
    for system, output in candidate["outputs"].items():
        systems[output.strip()].append(system)
    outputs = list(systems.items())
    chance.shuffle(outputs)
    lettered = {
        letter: {"output": output, "systems": names}
        for letter, (output, names) in zip(LETTERS, outputs, strict=False)
    }
    about = {name: candidate.get(name) for name in ("id", "lang", "text", "source")}
    return {**about, "outputs": lettered}


def sheets_of(candidates: list[Item], size: int, chance: random.Random) -> list[list[Item]]:
    """The sheets of one language, each of about ``size`` outputs."""
    items = [shuffled(candidate, chance) for candidate in candidates]
    chance.shuffle(items)
    sheets: list[list[Item]] = [[]]
    for item in items:
        if sum(len(each["outputs"]) for each in sheets[-1]) >= size:
            sheets.append([])
        sheets[-1].append(item)
    number = {item["id"]: n for n, sheet in enumerate(sheets) for item in sheet}
    for candidate in chance.sample(candidates, len(candidates) // TWICE):
        again = (number[candidate["id"]] + 1) % len(sheets)
        sheets[again].append(shuffled(candidate, chance))
    for sheet in sheets:
        chance.shuffle(sheet)
    return sheets


def write_sheets(candidates: Path, folder: Path, size: int, seed: int) -> None:
    """Writes ``FOLDER/sheets/LANG-N.txt`` and ``FOLDER/key.json``."""
    by_language: dict[str, list[Item]] = defaultdict(list)
    for line in candidates.read_text("utf-8").splitlines():
        row = json.loads(line)
        by_language[row["lang"]].append(row)
    key = {}
    (folder / "sheets").mkdir(parents=True, exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    for lang, rows in by_language.items():
        chance = random.Random(f"{seed} {lang}")
        for number, sheet in enumerate(sheets_of(rows, size, chance), start=1):
            name = f"{lang}-{number}"
            key[name] = sheet
            lines = []
            for place, item in enumerate(sheet, start=1):
                lines += [f"#{place}", f"TEXT: {item['text']}"]
                lines += [f"  {letter}: {o['output']}" for letter, o in item["outputs"].items()]
                lines.append("")
            (folder / "sheets" / f"{name}.txt").write_text("\n".join(lines) + "\n", "utf-8")
            print(f"{name}: {sum(len(item['outputs']) for item in sheet)} outputs")
    (folder / "key.json").write_text(json.dumps(key, ensure_ascii=False), "utf-8")


def labels_of(folder: Path, name: str, sheet: list[Item]) -> Iterator[Reading]:
    """The labels of a sheet.

    Raises:
        DataError: If a line is not understood, an output is labelled twice, or not at all.
    """
    path = folder / "labels" / f"{name}.tsv"
    todo = {(str(n), letter) for n, item in enumerate(sheet, 1) for letter in item["outputs"]}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        place, letter, fault, use, *note = (*line.split("\t"), "")
        place = place.lstrip("#")
        if (place, letter) not in todo or fault not in FAULTS or use not in ("0", "1", "2"):
            raise DataError(f"{path}, line {number}: {line!r} is no label, or one too many.")
        todo.remove((place, letter))
        item = sheet[int(place) - 1]
        output = item["outputs"][letter]
        about = (item["id"], item["lang"], item["text"], item["source"])
        yield Reading(
            *about, output["output"], tuple(output["systems"]), fault, int(use), note[0], name
        )
    if todo:
        raise DataError(f"{path}: nothing is said of {sorted(todo)[:8]}.")


def join(folder: Path, output: Path) -> None:
    """Writes all labels as readings."""
    key = json.loads((folder / "key.json").read_text("utf-8"))
    readings = [r for name, sheet in key.items() for r in labels_of(folder, name, sheet)]
    output.write_text("".join(map(as_line, readings)), "utf-8")
    print(f"{len(readings)} readings: {output}")


def share(hits: int, n: int) -> str:
    """A share in percent with its 95 % interval (Wilson)."""
    interval = binomtest(hits, n).proportion_ci(method="wilson")
    return f"{hits / n:.0%} [{100 * interval.low:.0f}, {100 * interval.high:.0f}]"


def report(readings: Sequence[Reading]) -> str:
    """Faults by system and by language, and the agreement of readers, as Markdown."""
    by_system: dict[str, Counter[str]] = defaultdict(Counter)
    by_language: dict[str, Counter[str]] = defaultdict(Counter)
    for reading in readings:
        for system in reading.systems:
            by_system[system][reading.fault] += 1
        if "tuned" in reading.systems:
            by_language[reading.lang][reading.fault] += 1
    texts = len({(reading.lang, reading.id) for reading in readings})
    lines = [
        f"{len(readings):,} labels of {texts:,} texts in "
        f"{len({reading.lang for reading in readings})} languages, by kind of "
        "output; good and gap with 95 % intervals (Wilson).",
        "",
        *shares_table("kind", sorted(by_system.items(), key=lambda row: -row[1].total())),
    ]
    rows = [(lang, by_language[lang]) for lang in CODES if lang in by_language]
    if rows:
        lines += ["", "The default's own outputs (`tuned`), by language:", ""]
        lines += shares_table("language", rows)
    twice: dict[tuple[str, str, str], list[Reading]] = defaultdict(list)
    for reading in readings:
        twice[reading.lang, reading.id, reading.rewrite].append(reading)
    pairs = [rows for rows in twice.values() if len({is_odd(row.sheet) for row in rows}) == 2]
    if pairs:
        same = sum(a.fault == b.fault for a, b in pairs) / len(pairs)
        good = sum((a.fault == "good") == (b.fault == "good") for a, b in pairs) / len(pairs)
        lines += [
            "",
            f"Read by two readers: {len(pairs)} outputs; the same fault {same:.0%}, the same "
            f"answer to whether it is good {good:.0%}.",
        ]
    return "\n".join(lines) + "\n"


SYSTEMS = {"civilly": "civilly", "mt0": "mT0-xl-detox-orpo (3.7B)", "human": "human reference"}
"""The systems of a reading that leads, and what people call them."""
GROUPS = {"P": PARALLEL_CODES, "NP": NEW_CODES}
"""Languages with human pairs, and the others."""
TOLD = {
    "good": ("good", ("good",)),
    "hole": ("a hole", ("gap",)),
    "insult": ("still rude", ("insult", "kept")),
    "changed": ("meaning changed or too much cut", ("meaning", "overcut")),
}
"""By its key: what a share is called, and the faults in it."""
READERS = (
    "language models, one reading each, no native speakers, none of whom labelled training data; "
    "they saw an input and an output, not whose it is"
)


def shares_of(readings: Sequence[Reading], system: str) -> dict[str, dict[str, float]]:
    """How many outputs of a system were read (``n``) and the shares in percent, by group.

    Of an output that was read twice the first label counts. A group without outputs is left out.
    """
    first: dict[tuple[str, str], Reading] = {}
    for reading in readings:
        if system in reading.systems:
            first.setdefault((reading.lang, reading.id), reading)
    found: dict[str, dict[str, float]] = {key: {} for key in ("n", *TOLD)}
    for group, langs in GROUPS.items():
        faults = Counter(r.fault for r in first.values() if r.lang in langs)
        if not faults:
            continue
        found["n"][group] = faults.total()
        for key, (_, kinds) in TOLD.items():
            hits = sum(faults[kind] for kind in kinds)
            found[key][group] = round(100 * hits / faults.total(), 1)
    return found


def leading(readings: Sequence[Reading], about: Mapping[str, str]) -> str:
    """A file of `assemble.READINGS`.

    Args:
        readings: With outputs of `SYSTEMS`.
        about: ``date``, ``commit``, ``readers``, ``inputs`` and perhaps ``before``: the date of the
            reading that it stands beside.

    Raises:
        DataError: If there is no output of a system.
    """
    lines = [
        "# A blind reading of outputs, systems hidden. Shares in percent, n outputs each.",
        *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in about.items()),
        "",
        "[labels]",
        *(f"{key} = {json.dumps(name)}" for key, (name, _) in TOLD.items()),
    ]
    for key, name in SYSTEMS.items():
        found = shares_of(readings, key)
        if not found["n"]:
            raise DataError(
                f"No output of {key!r} was read.", allowed="readings of " + ", ".join(SYSTEMS)
            )
        lines += ["", "[[systems]]", f'key = "{key}"', f'name = "{name}"']
        for column, by_group in found.items():
            cells = ", ".join(f"{group} = {value}" for group, value in by_group.items())
            lines.append(f"{column} = {{ {cells} }}")
    return "\n".join(lines) + "\n"


def inputs_of(readings: Sequence[Reading]) -> str:
    """How many inputs there are in how many languages, for people."""
    texts = Counter(lang for lang, _ in {(r.lang, r.id) for r in readings})
    low, high = min(texts.values()), max(texts.values())
    return f"{low if low == high else f'{low} to {high}'} inputs in each of {len(texts)} languages"


def is_odd(sheet: str) -> bool:
    """Whether a sheet is one of its language's odd ones, which had another reader."""
    return int(sheet.rpartition("-")[2]) % 2 == 1


def shares_table(first: str, rows: Sequence[tuple[str, Counter[str]]]) -> list[str]:
    """A Markdown table of faults in percent."""
    lines = [f"| {first} | n | {' | '.join(FAULTS)} |", "|---" * (2 + len(FAULTS)) + "|"]
    for name, counts in rows:
        n = counts.total()
        cells = [
            share(counts[fault], n) if fault in ("good", "gap") else f"{counts[fault] / n:.0%}"
            for fault in FAULTS
        ]
        lines.append(f"| {name} | {n} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    sheets = verbs.add_parser("sheets")
    sheets.add_argument("candidates", type=Path)
    sheets.add_argument("--outputs", type=int, default=230)
    sheets.add_argument("--seed", type=int, default=1)
    check = verbs.add_parser("check")
    check.add_argument("sheets", nargs="+")
    joining = verbs.add_parser("join")
    joining.add_argument("-o", "--output", type=Path, required=True)
    for verb in (sheets, check, joining):
        verb.add_argument("folder", type=Path)
    reporting = verbs.add_parser("report")
    reporting.add_argument("folder", type=Path, nargs="?", default=SHIPPED)
    reporting.add_argument("--toml", type=Path, help="DATE.toml, to lead BENCHMARKS.md with")
    reporting.add_argument("--commit", help="whose outputs were read")
    reporting.add_argument("--before", help="date of the reading to stand beside")
    reporting.add_argument("--inputs", help="what was read")
    reporting.add_argument("--readers", default=READERS)
    arguments = parser.parse_args()
    if arguments.verb == "sheets":
        write_sheets(arguments.candidates, arguments.folder, arguments.outputs, arguments.seed)
    elif arguments.verb == "join":
        join(arguments.folder, arguments.output)
    elif arguments.verb == "report" and arguments.toml:
        if not arguments.commit:
            parser.error("--toml needs --commit")
        readings = read_readings(arguments.folder)
        about = {"date": arguments.toml.stem, "commit": arguments.commit}
        about |= {"before": arguments.before} if arguments.before else {}
        about |= {"readers": arguments.readers, "inputs": arguments.inputs or inputs_of(readings)}
        arguments.toml.write_text(leading(readings, about), "utf-8")
    elif arguments.verb == "report":
        RESULT.write_text(report(read_readings(arguments.folder)), "utf-8")
    else:
        key = json.loads((arguments.folder / "key.json").read_text("utf-8"))
        for name in arguments.sheets:
            try:
                print(name, sum(1 for _ in labels_of(arguments.folder, name, key[name])), "labels")
            except (DataError, OSError) as error:
                sys.exit(str(error))


if __name__ == "__main__":
    main()
