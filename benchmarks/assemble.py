"""Writes BENCHMARKS.md, docs/benchmarks/ and the README's table from results, readings and notes.

Usage: python benchmarks/assemble.py
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from scipy.stats import binomtest

HERE = Path(__file__).parent
REPOSITORY = HERE.parent
RESULTS = HERE / "results"
READINGS = HERE / "readings"
BEGIN, END = "<!-- readings: begin -->", "<!-- readings: end -->"


@dataclass(frozen=True, slots=True)
class Part:
    """One result on a page.

    Attributes:
        file: Its Markdown, from `RESULTS`.
        command: What wrote it; empty for what people or models wrote by hand.
        heading: Its heading, where a page has several.
    """

    file: str
    command: str = ""
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of docs/benchmarks/.

    Attributes:
        name: Its file's name without suffix.
        title: Its title, by which other texts cite it.
        says: What a reader finds there, for the first page.
        data: What was measured on, and how many.
        parts: Its results.
    """

    name: str
    title: str
    says: str
    data: str
    parts: tuple[Part, ...]


PAGES = (
    Page(
        "reading",
        "Outputs read by eye",
        "labels of every fault, by language and by kind, with examples",
        "Official inputs of TextDetox 2025, drawn at random, 15 languages; 900 outputs twice, "
        "and 300 of four systems. Readers: language models, one reading each.",
        (Part("../notes/reading.md"),),
    ),
    Page(
        "candidates",
        "Candidates, read",
        "what readers say of outputs by kind: the default, sampled, filled, cut, people's, faults",
        "Texts of training sets, never official inputs (`recipes/readings`). Readers: language "
        "models who did not see whose output it is; a tenth was read by two.",
        (Part("readings.md", "benchmarks/blind_reading.py report"),),
    ),
    Page(
        "rewriting",
        "Rewriting",
        "`duplicate`, `delete` and `tuned` on held-out pairs: toxicity, chrF, similarity, fluency",
        "TextDetox 2024 dev (MultiParaDetox), the part `eval` (76–115 pairs a language), and pairs "
        "written for this project (24–34 a language). Never trained on.",
        (
            Part("rewriting_summary.md", heading="The product in short"),
            Part(
                "rewriting.md",
                "benchmarks/rewriting.py --methods duplicate delete tuned",
                "In full",
            ),
        ),
    ),
    Page(
        "leaderboard",
        "Published systems and ours",
        "systems ranked by the suite `embedded`, and why that is not to be trusted alone",
        "Official inputs for which outputs of other systems are public.",
        (Part("leaderboard.md", "benchmarks/leaderboard.py"),),
    ),
    Page(
        "decoding",
        "Decoding",
        "search, selection and `--strength`: quality against speed",
        "45 pairs of the part `tune`, 15 languages.",
        (Part("decoding.md", "benchmarks/decoding.py"),),
    ),
    Page(
        "infill",
        "Fill in the middle",
        "fillers, orders and prompts, on detected and on gold spans",
        "180 sentences of the part `eval`, 15 languages.",
        (
            Part("infill_detected.md", "benchmarks/infill.py", "Detected spans"),
            Part("infill_gold.md", "benchmarks/infill.py", "Gold spans"),
        ),
    ),
    Page(
        "official",
        "The 9,000 official inputs",
        "how many are changed, and p(toxic) before and after, by language",
        "The test inputs of TextDetox 2025, 600 a language.",
        (
            Part("official.md", "benchmarks/official.py", "`tuned`"),
            Part("official_infill.md", "benchmarks/official.py --method infill", "`infill`"),
        ),
    ),
    Page(
        "scoring",
        "Scoring",
        "how far the suite `embedded` agrees with people, and what fools it",
        "People's judgements: TextDetox 2024 (out of fold), RUSSE-2022, EMNLP-2021.",
        (Part("scoring.md", "benchmarks/scoring.py"),),
    ),
    Page(
        "detection",
        "Detection",
        "language identification, toxicity and spans",
        "Official inputs, clean sentences, labelled sets; no row was trained on.",
        (Part("detection.md", "benchmarks/detection.py"),),
    ),
    Page(
        "trimming",
        "The trimmed model",
        "what leaving tokens out costs",
        "Official inputs and held-out pairs.",
        (Part("trimming.md", "benchmarks/trimming.py"),),
    ),
    Page(
        "quantisation",
        "Rounding to eight bits",
        "what int8 costs, with and without smoothing",
        "297 pairs of the part `tune`.",
        (Part("quantisation.md", "benchmarks/quantisation.py"),),
    ),
    Page(
        "sweep",
        "Sweep",
        "a search over adapters and hyper-parameters of an hour, and what it cannot show",
        "Held-out pairs of the part `tune`.",
        (Part("sweep.md", "benchmarks/sweep.py"),),
    ),
    Page(
        "engines",
        "Engines",
        "CTranslate2, llama.cpp and transformers on the same model",
        "96 held-out pairs, 15 languages.",
        (Part("engines.md", "benchmarks/engines.py"),),
    ),
    Page(
        "startup",
        "Start-up and size",
        "seconds to start, megabytes to install",
        "One machine, two cores.",
        (Part("startup.md", "benchmarks/startup.py"),),
    ),
)
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


def share(percent: int | None, n: int, interval: bool = True) -> str:
    """A share in percent with its 95 % interval (Wilson), or a dash."""
    if percent is None:
        return "–"
    if not interval:
        return f"{percent} %"
    bounds = binomtest(round(percent * n / 100), n).proportion_ci(method="wilson")
    return f"{percent} % [{100 * bounds.low:.0f}, {100 * bounds.high:.0f}]"


def readings(reading: dict[str, Any], labels: Sequence[str]) -> str:
    """The table of a reading, systems × labels: the nine languages, then the other six.

    Args:
        reading: A file of `READINGS`.
        labels: Which of its labels to show.
    """
    heads = [f"{reading['labels'][label]}, nine / six" for label in labels]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for system in reading["systems"]:
        cells = [
            " / ".join(
                share(system[label].get(group), n, interval=label == "good")
                for group, n in reading["n"].items()
            )
            for label in labels
        ]
        lines.append(f"| {system['name']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def latest_reading() -> dict[str, Any]:
    """The newest file of `READINGS`, whose names are dates."""
    return tomllib.loads(max(READINGS.glob("*.toml")).read_text("utf-8"))


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
    agreement = r"TextDetox 2024 without references[^|]*\|(?:.*\n)*?\| {} \| (\S+ \[[^]]+\])"
    rows = [
        f"| [{made.title}](docs/benchmarks/{made.name}.md) | {made.says} | "
        + " ".join(dict.fromkeys(f"`{part.command}`" for part in made.parts if part.command))
        + " |"
        for made in PAGES
    ]
    ours = reading["systems"][0]
    return Template((HERE / "notes" / "front.md").read_text("utf-8")).substitute(
        commit=reading["commit"],
        date=reading["date"],
        readers=reading["readers"],
        inputs=reading["inputs"],
        n_p=reading["n"]["P"],
        n_np=reading["n"]["NP"],
        good_p=ours["good"]["P"],
        good_np=ours["good"]["NP"],
        hole_p=ours["hole"]["P"],
        hole_np=ours["hole"]["NP"],
        readings=readings(reading, list(reading["labels"])),
        suite_systems=found("leaderboard.md", r"^(\d+) systems, suite"),
        suite_j=found("leaderboard.md", r"^\| civilly \| \*\*1 · (.+?)\*\* \|"),
        speed=found("official.md", r"([\d.]+) sentences/s in this run"),
        speed_infill=found("official_infill.md", r"([\d.]+) sentences/s in this run"),
        one_text=found("startup.md", r"`civilly rewrite TEXT` \| ([\d.]+) \|"),
        help=found("startup.md", r"`civilly --help` \| ([\d.]+) \|"),
        core=found("startup.md", r"A core install is (\d+ packages, \d+ MB)"),
        model=found("startup.md", r"adds the packaged model \((\d+ MB)\)"),
        agree_sta=found("scoring.md", agreement.format("STA")),
        agree_sim=found("scoring.md", agreement.format("SIM")),
        agree_j=found("scoring.md", agreement.format("J")),
        pages="\n".join(rows),
    )


def readme(text: str) -> str:
    """The README with its table of the newest reading."""
    head, rest = text.split(BEGIN)
    reading = latest_reading()
    table = readings(reading, list(reading["labels"]))
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
