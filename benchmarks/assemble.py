"""Writes BENCHMARKS.md, docs/benchmarks/ and the README's table from results, readings and notes.

Usage: python benchmarks/assemble.py
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from pathlib import Path
from string import Template
from typing import Any

from scipy.stats import binomtest

from pages import PAGES, RESULTS, Page

HERE = Path(__file__).parent
REPOSITORY = HERE.parent
READINGS = HERE / "readings"
GROUPS = {"P": "nine", "NP": "six", "all": "all"}
"""The groups of languages of a reading, and what tables call them."""
Share = tuple[float | None, int]
BEGIN, END = "<!-- readings: begin -->", "<!-- readings: end -->"


PAGE_HEAD = """# $title

$data

$body
---
Put together by `python benchmarks/assemble.py`; do not edit by hand. Quality figures are means with
95 % bootstrap intervals (1,000 resamples) unless said otherwise; speed holds for one run on one
machine: read the ratios. Texts quoted are toxic by nature. All pages:
[BENCHMARKS.md](../../BENCHMARKS.md).
"""


def demoted(text: str) -> str:
    """A result's Markdown without its own title, headings one level down, links from docs/."""
    text = re.sub(r"\A# .*\n+", "", text.strip())
    text = text.replace("](benchmarks/results/", "](../../benchmarks/results/")
    text = text.replace("](docs/", "](../")
    return re.sub(r"^(#+) ", r"#\1 ", text, flags=re.MULTILINE)


def page(made: Page) -> str:
    """The Markdown of one page."""
    body = []
    for part in made.parts:
        if part.heading:
            body.append(f"## {part.heading}\n")
        if part.command:
            body.append(f"Command: `python {part.command}`\n")
        body.append(demoted((RESULTS / part.file).read_text("utf-8")) + "\n")
    return Template(PAGE_HEAD).substitute(title=made.title, data=made.data, body="\n".join(body))


def share(percent: float | None, n: int, interval: bool = True) -> str:
    """A share in percent with its 95 % interval (Wilson), or a dash."""
    if percent is None:
        return "–"
    if not interval:
        return f"{percent:.0f} %"
    bounds = binomtest(round(percent * n / 100), n).proportion_ci(method="wilson")
    return f"{percent:.0f} % [{100 * bounds.low:.0f}, {100 * bounds.high:.0f}]"


def of_group(reading: dict[str, Any], system: dict[str, Any], label: str, group: str) -> Share:
    """A share of a system in percent, and of how many outputs.

    Args:
        reading: A file of `READINGS`.
        system: One of its systems.
        label: One of its labels.
        group: ``P``, ``NP``, or ``all`` of both, which a system that lacks one does not have.
    """
    n, parts = system.get("n") or reading["n"], ("P", "NP")
    if group != "all":
        return system[label].get(group), n.get(group, 0)
    if not all(part in system[label] for part in parts):
        return None, 0
    total = sum(n[part] for part in parts)
    return sum(system[label][part] * n[part] for part in parts) / total, total


def readings(reading: dict[str, Any], intervals: Collection[str]) -> str:
    """The table of a reading, systems × labels: the nine languages, the other six, perhaps all.

    Where the file names an earlier reading, each of its systems stands below with that date.

    Args:
        reading: A file of `READINGS`.
        intervals: The labels whose intervals are shown.
    """
    earlier = reading_of(reading["before"]) if "before" in reading else None
    groups = GROUPS if earlier else {group: GROUPS[group] for group in reading["n"]}
    labels = [f"{name}, {' / '.join(groups.values())}" for name in reading["labels"].values()]
    heads = [*(["outputs of"] if earlier else []), *labels]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for system in reading["systems"]:
        rows = [(reading, system)]
        if earlier:
            rows += [
                (earlier, old) for old in earlier["systems"] if old.get("key") == system["key"]
            ]
        for of, each in rows:
            cells = [
                " / ".join(
                    share(*of_group(of, each, label, group), interval=label in intervals)
                    for group in groups
                )
                for label in reading["labels"]
            ]
            cells = [of["date"], *cells] if earlier else cells
            lines.append(f"| {system['name']} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, *renamed(reading, earlier)])


def renamed(reading: dict[str, Any], earlier: dict[str, Any] | None) -> list[str]:
    """Lines below the table: what an earlier reading counted where it has a label of its own."""
    return [
        f"\nIn the reading of {earlier['date']} “{name}” stands for “{earlier['labels'][key]}”."
        for key, name in reading["labels"].items()
        if earlier and earlier["labels"][key] != name
    ]


def reading_of(date: str) -> dict[str, Any]:
    """The file of `READINGS` of a day."""
    return tomllib.loads((READINGS / f"{date}.toml").read_text("utf-8"))


def latest_reading() -> dict[str, Any]:
    """The newest file of `READINGS`, whose names are dates."""
    return reading_of(max(path.stem for path in READINGS.glob("*.toml")))


def found(name: str, pattern: str) -> str:
    """What a pattern's group matches in a result.

    Raises:
        ValueError: If it does not match: the result's form has changed.
    """
    match = re.search(pattern, (RESULTS / name).read_text("utf-8"), re.MULTILINE)
    if match is None:
        raise ValueError(f"benchmarks/results/{name} has no {pattern!r}.")
    return match[1]


def front() -> str:
    """BENCHMARKS.md: one screen, then where the rest is."""
    reading = latest_reading()
    agreement = r"The suite `reading`[^|]*\|(?:.*\n)*?\| {} \| (\S+ \[[^]]+\])"
    systems = r"The suite `reading`[^|]*\|(?:.*\n)*?\| J \| (?:[^|]+\| ){2}(\S+ \[[^]]+\])"
    rows = [
        f"| [{made.title}](docs/benchmarks/{made.name}.md) | {made.says} | "
        + " ".join(dict.fromkeys(f"`{part.command}`" for part in made.parts if part.command))
        + " |"
        for made in PAGES
    ]
    ours = reading["systems"][0]
    groups = GROUPS if "before" in reading else ours["good"]
    ours_n = [of_group(reading, ours, "good", group)[1] for group in ("P", "NP")]
    first = r"^\| all \| (?:[^|]+\| ){4}"
    return Template((HERE / "notes" / "front.md").read_text("utf-8")).substitute(
        commit=reading["commit"],
        date=reading["date"],
        readers=reading["readers"],
        inputs=reading["inputs"],
        n_p=ours_n[0],
        n_np=ours_n[1],
        good_p=f"{ours['good']['P']:.0f}",
        good_np=f"{ours['good']['NP']:.0f}",
        hole_p=f"{ours['hole']['P']:.0f}",
        hole_np=f"{ours['hole']['NP']:.0f}",
        groups=" / ".join(GROUPS[group] for group in groups),
        readings=readings(reading, [*reading["labels"]]),
        suite=found("leaderboard.md", r"^\d+ systems, suite `(\w+)`"),
        suite_systems=found("leaderboard.md", r"^(\d+) systems, suite"),
        suite_rank=found("leaderboard.md", r"^\| civilly \| \*{0,2}(\d+) · "),
        suite_j=found("leaderboard.md", r"^\| civilly \| \*{0,2}\d+ · ([^|*]+?)\*{0,2} \|"),
        good_first=found("reader.md", first + r"([^|]+?) \|"),
        joint_first=found("reader.md", first + r"[^|]+\| ([^|]+?) \|"),
        auc_gap=found("reader.md", r"^\| gap \| (?:[^|]+\| ){2}([^|]+?) \|"),
        auc_meaning=found("reader.md", r"^\| meaning \| (?:[^|]+\| ){2}([^|]+?) \|"),
        speed=found("official.md", r"([\d.]+) sentences/s in this run"),
        speed_infill=found("official_infill.md", r"([\d.]+) sentences/s in this run"),
        one_text=found("startup.md", r"`civilly rewrite TEXT` \| ([\d.]+) \|"),
        help=found("startup.md", r"`civilly --help` \| ([\d.]+) \|"),
        core=found("startup.md", r"A core install is (\d+ packages, \d+ MB)"),
        model=found("startup.md", r"adds the packaged model \((\d+ MB)\)"),
        agree_sta=found("reader.md", agreement.format("STA")),
        agree_sim=found("reader.md", agreement.format("SIM")),
        agree_j=found("reader.md", agreement.format("J")),
        agree_systems=found("reader.md", systems),
        pages="\n".join(rows),
    )


def readme(text: str) -> str:
    """The README with its table of the newest reading."""
    head, rest = text.split(BEGIN)
    reading = latest_reading()
    table = readings(reading, ["good"])
    when = f"Read on {reading['date']}, outputs of commit {reading['commit']}."
    return f"{head}{BEGIN}\n{table}\n\n{when}\n{END}{rest.split(END)[1]}"


def assembled() -> dict[Path, str]:
    """All files that this script writes, and their content."""
    pages = {REPOSITORY / "docs" / "benchmarks" / f"{p.name}.md": page(p) for p in PAGES}
    start = REPOSITORY / "README.md"
    return {
        **pages,
        REPOSITORY / "BENCHMARKS.md": front(),
        start: readme(start.read_text("utf-8")),
    }


def main() -> None:
    """Command line."""
    for path, text in assembled().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
