"""One adapter for each language beside the shared one: outputs, scores, verdicts, cost.

Usage:
    python benchmarks/columns.py texts TEXTS.jsonl
    python benchmarks/columns.py write TEXTS.jsonl RUNS/own -o OUTPUTS [--system own] [--lang de …]
    civilly route OUTPUTS/choice -o OUTPUTS/route.json --training RUNS/own
    python benchmarks/columns.py report TEXTS.jsonl OUTPUTS RUNS/own

No training saw the texts. Those that choose: the part `tune` of the dev pairs of nine languages; of
the others texts whose readings the judge was not trained on, and labelled comments. Those that
check: the part `eval` of the dev pairs, or of the pairs written for this project. What is there
already is not written anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from civilly import registry
from civilly.data.kept_apart import reading_kept_apart
from civilly.data.leaks import find_leaks
from civilly.data.pairs import read_authored, read_inputs, read_labelled, read_pairs
from civilly.data.readings import read_readings
from civilly.data.split import dev_part
from civilly.data.values import short
from civilly.languages import CODES, PARALLEL_CODES
from civilly.pipeline import Detoxifier
from civilly.score.significance import compare
from civilly.select.route import Finding, findings
from civilly.toolbox import Toolbox
from civilly.types import Text

RESULT = Path(__file__).parent / "results" / "columns.md"
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
SYSTEMS = ("default", "own")
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
        written = (json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        target.write_text("".join(written), "utf-8")


@dataclass(frozen=True)
class Column:
    """Outputs of both systems for the texts of one language that check.

    Attributes:
        lang: Its code.
        reading: The reader's J by system.
        chrf: chrF to the closest reference by system.
        toxic: p(toxic) of the outputs by system.
        kept: Share of texts that stay as they are by system.
        seconds: Processor time a text by system.
    """

    lang: str
    reading: dict[str, list[float]]
    chrf: dict[str, float]
    toxic: dict[str, float]
    kept: dict[str, float]
    seconds: dict[str, float]


def columns(rows: Sequence[Row], out: Path) -> list[Column]:
    """The languages whose outputs of both systems are there."""
    tools = Toolbox(None, {})
    reader, chrf = (registry.create("score", name, tools) for name in ("reading", "chrf"))
    made = []
    for lang in CODES:
        files = {system: out / "check" / system / f"{lang}.jsonl" for system in SYSTEMS}
        if not all(path.exists() for path in files.values()):
            continue
        texts = [row for row in rows if row.part == "check" and row.lang == lang]
        given = [Text(row.text, lang) for row in texts]
        references = [list(row.references) for row in texts]
        read = {name: _outputs(path) for name, path in files.items()}
        outputs = {name: [each["output"] for each in row] for name, row in read.items()}
        made.append(
            Column(
                lang,
                {name: reader.score(given, each) for name, each in outputs.items()},
                {name: mean(chrf.score(given, each, references)) for name, each in outputs.items()},
                {name: mean([each["after"] for each in row]) for name, row in read.items()},
                {n: mean([e["output"] == e["text"] for e in row]) for n, row in read.items()},
                {name: mean([each["seconds"] for each in row]) for name, row in read.items()},
            )
        )
    return made


def _outputs(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def mean(values: Sequence[float]) -> float:
    """The plain mean."""
    return sum(values) / len(values)


def report(rows: Sequence[Row], out: Path, runs: Path) -> str:
    """The page: a line a language, all together, and what the router made of it."""
    made = columns(rows, out)
    found = findings({each.lang: each.reading for each in made})
    costs = {row["lang"]: row for row in json.loads((runs / "languages.json").read_text("utf-8"))}
    lines = [
        "| language | n | pairs | minutes | MB | reader: shared | own | own − shared | p, Holm "
        "| chrF shared → own | p(toxic) shared → own | unchanged shared → own | verdict |",
        "|---" * 13 + "|",
    ]
    for each, finding in zip(made, found, strict=True):
        cost = costs[each.lang]
        cells = (
            each.lang, str(finding.n), str(sum(cost["pairs"].values())),
            f"{cost['processor_minutes']:.1f}", f"{cost['megabytes']:.2f}",
            short(finding.default), short(finding.mean), _difference(finding),
            f"{finding.p_corrected:.2f}", _both(each.chrf), _both(each.toxic),
            f"{each.kept['default']:.0%} → {each.kept['own']:.0%}", verdict(finding),
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *_whole(made, found), "", *_routing(out / "route.json")]) + "\n"


def _both(values: dict[str, float]) -> str:
    return f"{short(values['default'])} → {short(values['own'])}"


def _difference(finding: Finding) -> str:
    ends = [finding.low, finding.high]
    shown = ", ".join(short(end) for end in ends if end is not None)
    return f"{short(finding.difference)} [{shown}]"


def verdict(finding: Finding) -> str:
    """In words; worse by the same rule as better."""
    if finding.better:
        return "own is better"
    worse = finding.high is not None and finding.high < 0 and finding.p_corrected <= 0.05
    return "own is worse" if worse else "no difference shown"


def _whole(made: Sequence[Column], found: Sequence[Finding]) -> list[str]:
    pooled = compare(
        [each.reading["default"] for each in made], [each.reading["own"] for each in made]
    )
    counted = Counter(map(verdict, found))
    said = ", ".join(f"{name} in {count}" for name, count in counted.most_common())
    return [
        f"**All {len(made)} languages together**: shared {short(pooled.mean_a)}, own "
        f"{short(pooled.mean_b)}, difference {pooled.difference} (mean of the languages' means; "
        f"p {pooled.p_randomisation:.3f}, paired randomisation). By language: {said}. Processor "
        f"time a text: {mean([each.seconds['default'] for each in made]):.2f} s shared, "
        f"{mean([each.seconds['own'] for each in made]):.2f} s own.",
    ]


def _routing(path: Path) -> list[str]:
    route = json.loads(path.read_text("utf-8"))
    lines = [
        "On the texts that choose (`civilly route`):",
        "",
        "| language | n | shared | own | own − shared | p | p, Holm | written by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in route["why"]:
        finding = Finding(**row)
        cells = (
            finding.lang, str(finding.n), short(finding.default), short(finding.mean),
            _difference(finding), f"{finding.p:.3f}", f"{finding.p_corrected:.2f}",
            finding.system if finding.lang in route["ways"] else "shared",
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    named = ", ".join(route["ways"]) or "none"
    return [*lines, "", f"Languages that get an adapter of their own: {named}."]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("texts", "write", "report"))
    parser.add_argument("texts", type=Path)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--output", "-o", type=Path)
    parser.add_argument("--system", nargs="*", default=list(SYSTEMS))
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
