"""Three uses of toxic latents and their controls, on the same held-out sentences.

Usage: CIVILLY_THREADS=1 taskset -c 1 python benchmarks/steering.py [--data DATA] [--toxic FILE]

Uses: a, ``infill`` with the spans of the detector ``sae``; b, ``steer``; c, ``soften``. Each with
every reading of the file (`civilly.model.sparse.toxic_file`): latents, and the controls. What is
measured is each method's first candidate, without deletion beside it and without the selector,
which would hide what a method does; a text without candidate counts as unchanged. Then whole
pipelines.
Outputs go to --outputs, line by line; what is there already is not made again. The strengths that
--reading writes out are chosen on other sentences, of the part ``tune``.
Writes results/steering.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from civilly import registry
from civilly.detect.sae import Masses, StreamDetector
from civilly.engines.residual import open_subject
from civilly.methods.fillers import open_filler
from civilly.methods.infill import InfillRewriter
from civilly.methods.same_language import left_language
from civilly.methods.soften import Edit, SoftenRewriter
from civilly.methods.steer import SteerRewriter
from civilly.methods.toxic_options import Inside
from civilly.methods.tuned_prompt import tuned_prompt
from civilly.model.sparse.toxic import Toxic
from civilly.model.sparse.toxic_file import names_in, open_toxic
from civilly.pipeline import Detoxifier, Toolbox
from civilly.score.intervals import bootstrap_mean
from civilly.score.reading import ReadingSuite
from civilly.types import Candidate, Detection, Rewriter, Text
from measures import interval, table
from rewriting import RESULTS, Row, first_of_each, held_out, held_out_authored

STRENGTHS = ("timid", "usual", "bold")
MASS = {"timid": 4.0, "usual": 2.0, "bold": 1.0}
"""Toxic mass from which a word is cut (a) or taken back (b)."""
EDITS = {"timid": 0.5, "usual": 1.0, "bold": 2.0}
"""How strongly what is toxic is taken out of the stream (c); 2 turns it into its opposite."""
USES = {"a": "infill --detector sae", "b": "steer", "c": "soften"}
MAIN = "latents"
PIPELINES = ("tuned", "tuned+steer", "tuned+soften")
CHOOSING = 2
"""Sentences a language on which the strength is chosen that people read."""


@dataclass(frozen=True)
class System:
    """What makes outputs.

    Attributes:
        use: a, b or c; or the name of a method.
        reading: Of the file; empty for a method without one.
        strength: One of `STRENGTHS`, or empty.
    """

    use: str
    reading: str = ""
    strength: str = ""

    @property
    def name(self) -> str:
        """In files."""
        return " ".join(filter(None, (self.use, self.reading, self.strength)))


@dataclass(frozen=True)
class Weighed:
    """Something toxic whose mass counts ``factor`` times: another threshold for spans."""

    toxic: Toxic
    factor: float

    def __getattr__(self, name: str) -> Any:
        return getattr(self.toxic, name)

    def mass(self, x: Any) -> Any:
        """See `Toxic.mass`."""
        return self.toxic.mass(x) * self.factor


class Lab:
    """Everything that is loaded once.

    Args:
        file: What is toxic; None: what ships.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.tools = Toolbox(None, {})
        self.subject = open_subject("embedded")
        self.writer = open_subject("embedded", adapter="tuned")
        self._fillings: dict[Any, list[Candidate]] = {}
        self._free: dict[Text, tuple[list[Candidate], tuple[int, ...]]] = {}

    @cached_property
    def filler(self) -> Any:
        """Who fills holes, as `infill` does by default."""
        return open_filler(self.tools, {})

    def made(self, system: System, texts: Sequence[Text]) -> tuple[list[str], float]:
        """Outputs, and the processor time that they took, models loaded."""
        begun = time.process_time()
        if system.use in ("a", "infill"):
            rows = self._filled(texts, self._marked(system, texts))
        elif system.use == "b":
            rows = self._steered(system, texts)
        else:
            detections = self.tools.detector.detect(texts)
            rows = self._rewriter(system).rewrite(texts, detections, 4)
        spent = time.process_time() - begun
        pairs = zip(texts, rows, strict=True)
        return [row[0].text if row else text.text for text, row in pairs], spent

    def _marked(self, system: System, texts: Sequence[Text]) -> list[Detection]:
        if system.use == "infill":
            return self.tools.detector.detect(texts)
        toxic = Weighed(open_toxic(self._file, system.reading), 1 / MASS[system.strength])
        return StreamDetector(Masses(self.subject, toxic), self.tools.detector).detect(texts)

    def _filled(self, texts: Sequence[Text], marked: Sequence[Detection]) -> list[list[Candidate]]:
        """Fillings; of the same holes once, whoever marked them."""
        asked = [
            (t, tuple((s.start, s.end) for s in d.spans))
            for t, d in zip(texts, marked, strict=True)
        ]
        new = [i for i, key in enumerate(asked) if key not in self._fillings]
        rewriter = InfillRewriter(self.filler, self.tools.detector)
        made = rewriter.rewrite([texts[i] for i in new], [marked[i] for i in new], 4)
        self._fillings |= {asked[i]: row for i, row in zip(new, made, strict=True)}
        return [self._fillings[key] for key in asked]

    def _steered(self, system: System, texts: Sequence[Text]) -> list[list[Candidate]]:
        """What is written; where no word is above the threshold it is what is written freely."""
        toxic = open_toxic(self._file, system.reading)
        inside = Inside(self.writer, toxic, toxic.about.layer)
        detections = self.tools.detector.detect(texts)
        new = [i for i, text in enumerate(texts) if text not in self._free]
        free = SteerRewriter(inside, float("inf"))
        chosen = [texts[i] for i in new]
        decoded = free.decoded(chosen)
        made = free.proposed(chosen, [detections[i] for i in new], decoded)
        for place, (text, row) in enumerate(zip(chosen, made, strict=True)):
            self._free[text] = (row, decoded[place].ids if place in decoded else ())
        heavy = self._heavy(inside, texts, MASS[system.strength])
        steer = SteerRewriter(inside, MASS[system.strength])
        again = steer.rewrite([texts[i] for i in heavy], [detections[i] for i in heavy])
        rows = [self._free[text][0] for text in texts]
        for i, row in zip(heavy, again, strict=True):
            rows[i] = row
        return rows

    def _heavy(self, inside: Inside, texts: Sequence[Text], threshold: float) -> list[int]:
        """Texts whose free answer has a token with more mass than a threshold."""
        prompts = [inside.prompt(tuned_prompt(text.text, text.lang)) for text in texts]
        answers = [self._free[text][1] for text in texts]
        rows = [[*p, *ids] for p, ids in zip(prompts, answers, strict=True)]
        streams = self.writer.read(rows, inside.layer)
        return [
            i
            for i, (prompt, stream) in enumerate(zip(prompts, streams, strict=True))
            if len(stream) > len(prompt)
            and float(inside.toxic.mass(torch.from_numpy(stream[len(prompt) :])).max()) > threshold
        ]

    def _rewriter(self, system: System) -> Rewriter:
        if system.use == "tuned":
            return registry.create("methods", "tuned", self.tools)
        toxic = open_toxic(self._file, system.reading)
        inside = Inside(self.writer, toxic, toxic.about.layer)
        return SoftenRewriter(inside, Edit(strength=EDITS[system.strength]))

    def surprise(self, texts: Sequence[str]) -> list[float]:
        """Mean nats per token of each text under the embedded model; NaN of an empty one."""
        rows = [[*self.subject.opening, *tokens.ids[:500]] for tokens in self.subject.encode(texts)]
        losses = self.subject.losses(rows)
        return [float(each.mean()) if len(each) else float("nan") for each in losses]


def systems(readings: Sequence[str]) -> list[System]:
    """All, in the order of the table."""
    return [
        System("tuned"),
        System("infill"),
        *(System(u, r, s) for u in USES for r in readings for s in STRENGTHS),
    ]


class Store:
    """Outputs in a file of lines, so that a run that was stopped goes on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[tuple[str, str, str], str] = {}
        self.seconds: dict[str, float] = {}
        for line in path.read_text("utf-8").splitlines() if path.exists() else ():
            row = json.loads(line)
            self._known[row["system"], row["lang"], row["text"]] = row["output"]
            self.seconds[row["system"]] = row["seconds"]

    def outputs(
        self, name: str, texts: Sequence[Text], make: Callable[[], tuple[list[str], float]]
    ) -> list[str]:
        """The outputs of a system, made if they are not known."""
        keys = [(name, text.lang, text.text) for text in texts]
        if not all(key in self._known for key in keys):
            made, spent = make()
            seconds = spent / len(texts)
            print(f"{name}: {seconds:.3f} s a sentence", flush=True)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                for (_, lang, text), output in zip(keys, made, strict=True):
                    self._known[name, lang, text] = output
                    row = {
                        "system": name, "lang": lang, "text": text, "output": output,
                        "seconds": round(seconds, 4),
                    }  # fmt: skip
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
            self.seconds[name] = seconds
        return [self._known[key] for key in keys]


COLUMNS = (
    "good", "insult", "changed", "hole", "p_toxic", "similarity", "left", "surprise", "same",
)  # fmt: skip
HEADS = (
    "good", "insult stays", "meaning changed or cut", "hole or other", "p(toxic)", "similarity",
    "left its language", "perplexity", "unchanged",
)  # fmt: skip


class Measures:
    """Numbers of outputs; of the same pair of texts once."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._suite: ReadingSuite = registry.create("score", "reading", lab.tools)
        self._similarity = registry.create("score", "similarity", lab.tools)
        self._known: dict[tuple[Text, str], dict[str, float]] = {}

    def of(self, texts: Sequence[Text], outputs: Sequence[str]) -> dict[str, Any]:
        """By column, one number per text."""
        pairs = list(zip(texts, outputs, strict=True))
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self._known]
        if new:
            self._measure([text for text, _ in new], [made for _, made in new])
        return {name: np.array([self._known[p][name] for p in pairs]) for name in COLUMNS}

    def _measure(self, texts: Sequence[Text], outputs: Sequence[str]) -> None:
        faults = self._suite.faults(texts, outputs)
        found = self._lab.tools.detector.detect(
            [Text(made, text.lang) for text, made in zip(texts, outputs, strict=True)]
        )
        similar = self._similarity.score(texts, outputs)
        left = left_language(texts, outputs)
        surprise = self._lab.surprise(outputs)
        for i, pair in enumerate(zip(texts, outputs, strict=True)):
            f = {name: values[i] for name, values in faults.items()}
            self._known[pair] = {
                "good": f["good"], "insult": f["insult"] + f["kept"],
                "changed": f["meaning"] + f["overcut"], "hole": f["gap"] + f["other"],
                "p_toxic": found[i].p_toxic, "similarity": similar[i], "left": float(left[i]),
                "surprise": surprise[i], "same": float(pair[0].text == pair[1]),
            }  # fmt: skip


def cell(name: str, values: Any) -> str:
    """A column's mean with its interval; perplexity is the exponential of the mean surprise."""
    if name == "surprise":
        return interval(lambda i: float(np.exp(np.nanmean(values[i]))), len(values))
    return str(bootstrap_mean(list(values)))


def row_of(label: Sequence[str], numbers: Mapping[str, Any]) -> list[str]:
    """A line of the table."""
    return [*label, *(cell(name, numbers[name]) for name in COLUMNS)]


def verdicts(numbers: Mapping[str, Mapping[str, Any]], readings: Sequence[str]) -> Iterator[str]:
    """How each use differs from its controls, row by row, at every strength."""
    head = ["use", "strength", "latents minus …", "good", "insult stays", "p(toxic)", "verdict"]
    body = []
    for use in USES:
        for strength in STRENGTHS:
            own = numbers[System(use, MAIN, strength).name]
            for reading in readings:
                if reading == MAIN:
                    continue
                other = numbers[System(use, reading, strength).name]
                less = {
                    k: bootstrap_mean(list(own[k] - other[k]))
                    for k in ("good", "insult", "p_toxic")
                }
                body.append(
                    [use, strength, reading, *map(str, less.values()), verdict(less["good"].sign)]
                )
    yield table(head, body)


def verdict(sign: int) -> str:
    """What an interval of the share of good outputs says."""
    return {1: "better", 0: "no difference shown", -1: "**loses**"}[sign]


def chosen_strengths(lab: Lab, store: Store, measures: Measures, data: Path) -> dict[str, str]:
    """The strength of each use at which a reader finds most outputs good, on other sentences."""
    rows = first_of_each(held_out(data, "tune") + held_out_authored("tune"), CHOOSING)
    texts = [row.text for row in rows]
    best = {}
    for use in USES:
        good = {}
        for strength in STRENGTHS:
            system = System(use, MAIN, strength)
            name = f"tune {system.name}"
            outputs = store.outputs(name, texts, lambda s=system: lab.made(s, texts))
            good[strength] = float(measures.of(texts, outputs)["good"].mean())
        best[use] = max(good, key=good.__getitem__)
        print(f"{use}: good by strength, {len(texts)} sentences of tune: {good}", flush=True)
    return best


def for_reading(
    lab: Lab, store: Store, best: Mapping[str, str], rows: Sequence[Row], path: Path
) -> None:
    """Writes the outputs that people read: each use at its best strength, and `tuned`."""
    texts = [row.text for row in rows]
    lines = []
    for system in (System("tuned"), *(System(use, MAIN, best[use]) for use in USES)):
        name = f"read {system.name}"
        outputs = store.outputs(name, texts, lambda s=system: lab.made(s, texts))
        lines += [
            json.dumps(
                {"system": system.name, "lang": t.lang, "text": t.text, "output": o},
                ensure_ascii=False,
            )
            for t, o in zip(texts, outputs, strict=True)
        ]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def pipelines(
    methods: Sequence[str],
    store: Store,
    texts: Sequence[Text],
    measures: Measures,
    file: Path | None,
) -> list[list[str]]:
    """Whole pipelines, with the selector: what the uses add to `tuned`."""
    body, base = [], None
    for method in methods:

        def make(method: str = method) -> tuple[list[str], float]:
            named = [each for each in ("steer", "soften") if each in method]
            options = {f"{each}.toxic": str(file) for each in named if file}
            made = Detoxifier(method, options=options)
            made.rewrite([texts[0].text], texts[0].lang)  # loads the models
            begun = time.process_time()
            results = made.rewrite([t.text for t in texts], [t.lang for t in texts])
            return [each.rewritten for each in results], time.process_time() - begun

        name = f"pipeline {method}"
        numbers = measures.of(texts, store.outputs(name, texts, make))
        base = base or numbers
        less = "–" if base is numbers else str(bootstrap_mean(list(numbers["good"] - base["good"])))
        body.append([*row_of([f"`{method}`"], numbers), less])
    return body


def report(
    store: Store,
    numbers: Mapping[str, Mapping[str, Any]],
    readings: Sequence[str],
    rows: Sequence[Row],
    whole: list[list[str]],
    best: Mapping[str, str],
) -> str:
    """The page."""
    body = []
    for system in systems(readings):
        label = [system.use, system.reading or "–", system.strength or "–"]
        body.append(row_of(label, numbers[system.name]))
    languages = len({row.text.lang for row in rows})
    times = ", ".join(
        f"{use} {store.seconds[name] / store.seconds['read tuned']:.2f}"
        for use in USES
        if (name := f"read {System(use, MAIN, best.get(use, '')).name}") in store.seconds
    )
    return "\n".join([
        f"n = {len(rows)} sentences of the part `eval`, {languages} languages, the same for "
        "all. Uses: "
        + "; ".join(f"{use}, `{method}`" for use, method in USES.items())
        + f". Strengths (timid, usual, bold): words are cut or taken back from a toxic mass of "
        f"{_listed(MASS)} on (a, b); what is toxic is taken out of the stream {_listed(EDITS)} "
        "times (c). First candidates, without selector; shares of faults by the suite `reading`, "
        "perplexity by the embedded model; 95 % bootstrap intervals.",
        "",
        table(["use", "reading", "strength", *HEADS], body),
        "",
        f"Processor time in units of `tuned` (of the outputs that were read): {times}.",
        "",
        "Latents against each control, row by row (difference of means). The verdict is by the "
        "share of good outputs: a use that loses to its random control, or does not differ from "
        "it, owes nothing to what the latents mean.",
        "",
        *verdicts(numbers, readings),
        "",
        "Whole pipelines, with deletion and the selector `reads`; last column: share of good "
        "outputs, difference to `tuned`.",
        "",
        table(["method", *HEADS, "good − `tuned`"], whole),
        "",
        *read_at(best),
        "",
    ])  # fmt: skip


def read_at(best: Mapping[str, str]) -> Iterator[str]:
    """Which strengths people read, if they were chosen in this run."""
    if best:
        told = ", ".join(f"{use} {strength}" for use, strength in best.items())
        yield (
            "Read blind were the strengths at which the suite found most outputs good on "
            f"{CHOOSING} other sentences a language (part `tune`): {told}."
        )


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{value:g}" for value in values.values())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--toxic", type=Path, help="default: what ships")
    parser.add_argument("--readings", nargs="*", help="default: all of the file")
    parser.add_argument("--rows", type=int, default=12, help="sentences a language")
    parser.add_argument("--outputs", type=Path, default=Path("build/steering/outputs.jsonl"))
    parser.add_argument("--reading", type=Path, help="file of outputs for people to read")
    parser.add_argument("--read-rows", type=int, default=20, help="sentences a language of it")
    parser.add_argument("--pipelines", nargs="*", default=PIPELINES, help="the first is the base")
    parser.add_argument("--only", nargs="*", default=[], help="make outputs of these uses; no page")
    arguments = parser.parse_args()
    every = held_out(arguments.data) + held_out_authored()
    rows = first_of_each(every, arguments.rows)
    texts = [row.text for row in rows]
    lab, store = Lab(arguments.toxic), Store(arguments.outputs)
    readings = arguments.readings or names_in(arguments.toxic)
    measures = Measures(lab)
    best: dict[str, str] = {}
    if arguments.reading:
        best = chosen_strengths(lab, store, measures, arguments.data)
        read = first_of_each(every, arguments.read_rows)
        for_reading(lab, store, best, read, arguments.reading)
    numbers = {}
    for system in systems(readings):
        if arguments.only and system.use not in arguments.only:
            continue
        outputs = store.outputs(system.name, texts, lambda s=system: lab.made(s, texts))
        numbers[system.name] = measures.of(texts, outputs)
    if arguments.only:
        return
    whole = pipelines(arguments.pipelines, store, texts, measures, arguments.toxic)
    (RESULTS / "steering.md").write_text(
        report(store, numbers, readings, rows, whole, best), "utf-8"
    )


if __name__ == "__main__":
    main()
