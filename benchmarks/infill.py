"""Who fills the holes best: an ablation on the same spans and sentences, detected and gold.

Usage: CIVILLY_THREADS=1 taskset -c 0 python benchmarks/infill.py [--data DATA] [--rows 20]

The ``eval`` part of the dev pairs and of the pairs written for this project; nothing was trained or
tuned on them. Gold spans are what the pair's own reference changed. Speed is processor time of
rewriting, model loaded, against that of `tuned`. Writes results/infill_detected.md and
results/infill_gold.md, the latter with what is lost to detection and what to filling.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from civilly.pipeline import Detoxifier
from civilly.score.intervals import Interval, bootstrap_mean
from civilly.train.fim.differences import changes, tokens
from civilly.types import Detection, Detector, Span, Text
from decoding import Outcome, deltas, outcome, rewritten
from rewriting import RESULTS, Row, first_of_each, held_out, held_out_authored


@dataclass(frozen=True)
class Setting:
    """One way to rewrite.

    Attributes:
        name: For the table.
        method: As the pipeline takes it.
        options: Its options.
        engine: As `civilly.engines.open_engine` takes it, or None for the embedded one.
    """

    name: str
    method: str = "infill"
    options: Mapping[str, Any] = field(default_factory=dict)
    engine: str | None = None


DELETE, TUNED = Setting("delete", "delete"), Setting("tuned", "tuned")
INFILL = Setting("FIM, prefix first, cut shown (the default of `infill`)", options={"order": "psm"})
BOTH = Setting("tuned+infill, one selection", "tuned+infill")
FILLERS = (
    Setting("plain language model", options={"filler": "plain"}),
    Setting("FIM, prefix first", options={"order": "psm", "cut": "hidden"}),
    Setting("FIM, suffix first", options={"order": "spm", "cut": "hidden"}),
    INFILL,
    Setting("FIM, suffix first, cut shown", options={"order": "spm", "cut": "shown"}),
)
SETTINGS = (DELETE, *FILLERS, TUNED, BOTH)
"""With gold spans `tuned` is left out: it reads the text without them."""


CAVEAT = """With gold spans every setting has a lower product, deletion, too: civility is judged by
the detector that found the others, and people rewrite more, or other, words than it marks. Do not
compare the two tables' products. No detector judges chrF against the references: compare that."""


class GoldSpans:
    """A detector whose spans are what each sentence's reference changed.

    Args:
        detector: Judges everything, and finds the spans of any other text.
        rows: The sentences.
    """

    def __init__(self, detector: Detector, rows: Sequence[Row]) -> None:
        self._detector = detector
        self._spans = {row.text: gold_spans(row) for row in rows}

    def detect(self, texts: Sequence[Text]) -> list[Detection]:
        """See `civilly.types.Detector`."""
        return [
            replace(found, spans=self._spans.get(text, found.spans))
            for text, found in zip(texts, self._detector.detect(texts), strict=True)
        ]


def gold_spans(row: Row) -> tuple[Span, ...]:
    """The stretches of a toxic sentence that its first reference has otherwise."""
    old = tokens(row.text.text, row.text.lang)
    found = changes(old, tokens(row.references[0], row.text.lang))
    return tuple(Span(old[c.old_start].start, old[c.old_end - 1].end) for c in found)


def measured(settings: Sequence[Setting], rows: Sequence[Row], gold: bool) -> dict[str, Outcome]:
    """Runs every setting; speeds are relative to the last setting called ``tuned``, if it runs."""
    runs, seconds = {}, {}
    for setting in settings:
        detoxifier = Detoxifier(setting.method, engine=setting.engine, options=setting.options)
        if gold:
            tools = detoxifier._tools
            tools.detector = GoldSpans(tools.detector, rows)
        rewritten(detoxifier, rows[:2])
        runs[setting.name], seconds[setting.name] = rewritten(detoxifier, rows)
        print(f"{setting.name}: {seconds[setting.name]:.1f} s", time.strftime("%H:%M"), flush=True)
    usual = seconds.get(TUNED.name, float("nan"))
    return {name: outcome(made, rows, usual / seconds[name]) for name, made in runs.items()}


def table(outcomes: Mapping[str, Outcome]) -> list[str]:
    """A line per setting, means over all sentences."""
    lines = [
        "| setting | changed | p(toxic) after | product | less delete's | less tuned's | J "
        "| less delete's | chrF | sentences/s, tuned = 1 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, o in outcomes.items():
        cells = [f"{sum(o.scored.changed) / len(o.joint):.0%}", _mean(o.scored.after)]
        cells += [f"**{_mean(o.scored.product)}**"]
        cells += [_less(o, outcomes.get(base.name)) for base in (DELETE, TUNED)]
        cells += [_mean(o.joint), _less(o, outcomes.get(DELETE.name), joint=True)]
        cells += [_mean(o.scored.chrf), "–" if o.speed != o.speed else f"{o.speed:.2f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _mean(values: Sequence[float]) -> str:
    return str(bootstrap_mean(values))


def _less(one: Outcome, base: Outcome | None, *, joint: bool = False) -> str:
    if base is None or base is one:
        return "–"
    if joint:
        return _mean(deltas(one.joint, base.joint))
    return _mean(deltas(one.scored.product, base.scored.product))


def by_language(outcomes: Mapping[str, Outcome], rows: Sequence[Row]) -> list[str]:
    """Means of the product per language, and where a setting differs from `delete` for sure."""
    langs = list(dict.fromkeys(row.text.lang for row in rows))
    lines = [
        "| setting | " + " | ".join(langs) + " |",
        "|---" * (len(langs) + 1) + "|",
    ]
    base = outcomes[DELETE.name]
    for name, o in outcomes.items():
        cells = []
        for lang in langs:
            chosen = [i for i, row in enumerate(rows) if row.text.lang == lang]
            mean = sum(o.scored.product[i] for i in chosen) / len(chosen)
            cells.append(f"{mean:.3f}{_mark(o, base, chosen)}".removeprefix("0"))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _mark(one: Outcome, base: Outcome, chosen: Sequence[int]) -> str:
    """▲ or ▼ where the interval of the paired difference excludes zero."""
    less: Interval = bootstrap_mean(
        [one.scored.product[i] - base.scored.product[i] for i in chosen]
    )
    if less.low > 0:
        return " ▲"
    return " ▼" if less.high < 0 else ""


def section(title: str, outcomes: Mapping[str, Outcome], rows: Sequence[Row]) -> list[str]:
    """What the settings gave on one kind of spans."""
    return [
        f"## {title}",
        "",
        *table(outcomes),
        "",
        "Product by language; ▲ and ▼: the paired difference to `delete` excludes zero.",
        "",
        *by_language(outcomes, rows),
        "",
    ]


def losses(detected: Mapping[str, Outcome], gold: Mapping[str, Outcome]) -> list[str]:
    """How far each setting is from people's rewrites, and whose fault it is, in chrF."""
    lines = [
        "## What is lost to detection, and what to filling",
        "",
        "In chrF against people's rewrites (theirs: 1). Lost to detection is what gold spans gain, "
        "row by row; the rest up to 1 is lost to filling and choosing.",
        "",
        "| setting | chrF, detected spans | gold spans | lost to detection | lost to filling |",
        "|---|---|---|---|---|",
    ]
    for name, known in gold.items():
        found, told = detected[name].scored.chrf, known.scored.chrf
        cells = [_mean(found), _mean(told), f"**{_mean(deltas(told, found))}**"]
        cells += [f"**{_mean([1 - value for value in told])}**"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rows", type=int, default=20, help="the most rows a language")
    arguments = parser.parse_args()
    rows = first_of_each(held_out(arguments.data) + held_out_authored(), arguments.rows)
    RESULTS.mkdir(exist_ok=True)
    head = [
        f"n = {len(rows)} sentences of the `eval` part, at most {arguments.rows} in each of 15 "
        "languages; means over the sentences. Product: civility · similarity to the reference · "
        "fluency; J: suite `embedded`, with references. Every filler chooses among its fillings "
        "and the deletion; T5 and masked models were not at hand.",
        "",
    ]
    detected = measured(SETTINGS, rows, gold=False)
    gold = measured((DELETE, *FILLERS), rows, gold=True)
    _write("detected", [*head, *section("Detected spans", detected, rows)])
    title = "Gold spans: what the reference changed"
    _write("gold", [*section(title, gold, rows), CAVEAT, "", *losses(detected, gold)])


def _write(name: str, lines: Sequence[str]) -> None:
    (RESULTS / f"infill_{name}.md").write_text("\n".join(lines), "utf-8")


if __name__ == "__main__":
    main()
