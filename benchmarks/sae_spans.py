"""Which words are masked by what the model finds toxic, beside its controls and the reader.

Usage: python benchmarks/sae_spans.py [--toxic PLACE] [--cases N] [--others N]

Needs the shared data (CIVILLY_DATA) and the extra sae. Writes results/sae_spans.md. PLACE is a
folder of ``civilly interpret latents``; without it, what ships is measured. Intervals are 95 %
bootstrap percentiles over sentences.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from civilly.detect import context, sae, toxicity
from civilly.detect.sae import Masses, StreamDetector
from civilly.detect.words import words
from civilly.engines.residual import Subject, open_subject
from civilly.languages import CODES
from civilly.model.sparse.toxic_file import names_in, open_toxic
from civilly.types import Span, Text
from detection_data import Measured
from measures import Floats, interval, table

OUT = Path(__file__).parent / "results" / "sae_spans.md"
ROUNDS = 3
TIMED = 5
"""Every fifth sentence is timed."""
MEANINGS = {
    "latents": "`sae`: the chosen latents",
    "random": "random latents of like firing rate",
    "wrong_layer": "the same latents, wrong layer",
    "difference": "difference of means",
    "probe": "logistic probe",
    "wrong_layer_probe": "logistic probe, wrong layer",
}
READER, GOLD = "reader (`context`)", "gold spans"

Bounds = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Sentences:
    """What is measured on.

    Attributes:
        name: Whose spans these are.
        texts: The sentences.
        gold: Their spans.
    """

    name: str
    texts: Sequence[Text]
    gold: Sequence[Bounds]


def sets(cases: int, others: int) -> list[Sentences]:
    """Toxic cases that nothing was chosen or calibrated by; people's spans; diffs of dev pairs."""
    measured = Measured()
    by_language = {code: [] for code in CODES}  # type: ignore[var-annotated]
    for case in measured.cases():
        if case.spans:
            by_language[case.lang].append(case)
    held = [case for own in by_language.values() for case in own[:cases]]
    found = [
        Sentences(
            f"held-out cases, {len(CODES)} languages",
            [Text(case.text, case.lang) for case in held],
            [case.spans for case in held],
        )
    ]
    people: list[tuple[Text, Bounds]] = []
    diffs: list[tuple[Text, Bounds]] = []
    for lang, whose, rows in measured.spans():
        marked = [(Text(row["text"], lang), row["spans"]) for row in rows if row["spans"]]
        if "people" in whose:
            people += marked[: 5 * others]
        else:
            diffs += marked[:others]
    for name, rows in (("people's spans, English", people), ("diffs of dev pairs", diffs)):
        found.append(Sentences(name, [text for text, _ in rows], [gold for _, gold in rows]))
    return found


def character_f1(found: Sequence[Sequence[Span]], gold: Sequence[Bounds]) -> Floats:
    """F1 of the characters of each text."""
    return np.array([
        _f1(
            {i for span in own for i in range(span.start, span.end)},
            {i for start, end in true for i in range(start, end)},
        )
        for own, true in zip(found, gold, strict=True)
    ])  # fmt: skip


def word_f1(
    found: Sequence[Sequence[Span]], gold: Sequence[Bounds], texts: Sequence[Text]
) -> Floats:
    """F1 of the words of each text that a span touches."""
    scores = []
    for own, true, text in zip(found, gold, texts, strict=True):
        bounds = words(text.text, text.lang)
        mine = [(span.start, span.end) for span in own]
        scores.append(_f1(_touched(mine, bounds), _touched(true, bounds)))
    return np.array(scores)


def _touched(spans: Bounds, bounds: Bounds) -> set[int]:
    return {
        number
        for number, (a, b) in enumerate(bounds)
        if any(start < b and a < end for start, end in spans)
    }


def _f1(mine: set[int], true: set[int]) -> float:
    both = len(mine) + len(true)
    return 2 * len(mine & true) / both if both else 1.0


class Remembers:
    """A model that reads each text once per layer, for all contestants."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._known: dict[tuple[str, int], Floats] = {}
        self.name, self.width = subject.name, subject.width
        self.require_layer, self.encode = subject.require_layer, subject.encode

    def streams(self, texts: Sequence[str], layer: int) -> list[Floats]:
        """See `civilly.engines.residual.Subject.streams`."""
        new = [text for text in dict.fromkeys(texts) if (text, layer) not in self._known]
        for text, stream in zip(new, self._subject.streams(new, layer), strict=True):
            self._known[text, layer] = stream
        return [self._known[text, layer] for text in texts]


def contestants(place: str) -> dict[str, StreamDetector]:
    """The detectors by mass, on one model that reads each text once."""
    path = Path(place) if place else None
    readings = [open_toxic(path, name) for name in names_in(path) if name in MEANINGS]
    subject = Remembers(open_subject(readings[0].about.model))
    return {
        MEANINGS[each.about.name]: StreamDetector(Masses(subject, each), context.load())  # type: ignore[arg-type]
        for each in readings
    }


@dataclass(frozen=True, slots=True)
class Marked:
    """What everybody marks in some sentences.

    Attributes:
        used: Spans by contestant as it is used: where the reader finds a text toxic.
        alone: Spans of the detectors by mass whatever the reader says.
    """

    used: dict[str, list[tuple[Span, ...]]]
    alone: dict[str, list[tuple[Span, ...]]]


def marked(texts: Sequence[Text], detectors: dict[str, StreamDetector]) -> Marked:
    """What everybody marks."""
    by_reader = context.load().detect(texts)
    toxic = [each.p_toxic >= toxicity.SPAN_FLOOR for each in by_reader]
    alone = {name: each.spans(texts) for name, each in detectors.items()}
    used = {
        name: [spans if there else () for spans, there in zip(own, toxic, strict=True)]
        for name, own in alone.items()
    }
    used[READER] = [each.spans for each in by_reader]
    used["n-grams (`toxicity`)"] = [each.spans for each in toxicity.create().detect(texts)]
    return Marked(used, alone)


def section(sentences: Sentences, found: Marked) -> tuple[str, str]:
    """A set's table, and what wins there."""
    texts, gold = sentences.texts, sentences.gold
    own = MEANINGS["latents"]
    scores = {name: character_f1(each, gold) for name, each in found.used.items()}
    body = []
    for name, each in sorted(scores.items(), key=lambda pair: -pair[1].mean()):
        by_word = word_f1(found.used[name], gold, texts)
        free = found.alone.get(name)
        body.append([
            name, _mean(each), _mean(by_word),
            "–" if free is None else _mean(character_f1(free, gold)),
            "–" if name == own else _mean(scores[own] - each),
            f"{np.mean([bool(spans) for spans in found.used[name]]):.2f}",
        ])  # fmt: skip
    body.append([GOLD, "1.000", "1.000", "1.000", "–", "1.00"])
    head = ["spans by", "character F1", "word F1", "character F1 without the reader's verdict",
            "`sae` gains, characters", "texts with a span"]  # fmt: skip
    count = [sum(text.lang == lang for text in texts) for lang in CODES]
    least = min(number for number in count if number)
    says = f"{len(texts)} sentences, {sum(map(bool, count))} languages, {least} or more a language."
    title = f"{sentences.name[0].upper()}{sentences.name[1:]}"
    wins = f"{sentences.name}: {max(scores, key=lambda name: scores[name].mean())}"
    return f"## {title}\n\n{says}\n\n{table(head, body)}", wins


def _mean(values: Floats) -> str:
    return interval(lambda rows: float(values[rows].mean()), len(values))


def by_language(sentences: Sentences, found: Marked) -> str:
    """Character F1 by language."""
    langs = np.array([text.lang for text in sentences.texts])
    shown = [lang for lang in CODES if (langs == lang).any()]
    body = []
    for name, each in found.used.items():
        scores = character_f1(each, sentences.gold)
        body.append([name, *(f"{scores[langs == lang].mean():.2f}" for lang in shown)])
    return table(["spans by", *shown], body)


def cost(texts: Sequence[Text], place: str) -> str:
    """Processor time per text as a ratio to the reader's, taking turns; the least of rounds."""
    detector, reader = sae.load(place), context.load()
    ways = {
        READER: reader.detect,
        "`sae`, with the reader's verdict": detector.detect,
        "the stream and its mass alone": detector.spans,
    }
    taken = {name: [] for name in ways}  # type: ignore[var-annotated]
    for way in ways.values():
        way(texts[:20])
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.process_time()
            way(texts)
            taken[name].append(time.process_time() - start)
    least = {name: min(each) for name, each in taken.items()}
    body = [
        [name, f"{1000 * each / len(texts):.1f}", f"{each / least[READER]:.1f}"]
        for name, each in least.items()
    ]
    return table(["what", "ms of processor time a text", "times the reader"], body)


def report(place: str, cases: int, others: int) -> str:
    """The page."""
    detectors = contestants(place)
    measured = sets(cases, others)
    found = [marked(each.texts, detectors) for each in measured]
    parts, wins = zip(*map(section, measured, found), strict=True)
    about = detectors[MEANINGS["latents"]].toxic.about
    head = (
        "# Spans by toxic latents\n\nWritten by `python benchmarks/sae_spans.py`; 95 % bootstrap "
        f"intervals over sentences, the same for all. `sae` reads the stream of {about.model} "
        f"after layer {about.layer}; the wrong layer is the first. Every contestant has its own "
        "best limit, set on other cases, and one for all languages. Spans stand where the reader "
        "finds a text toxic; one column leaves that verdict out. What wins: "
        f"{'; '.join(wins)}."
    )
    languages = by_language(measured[0], found[0])
    timed = measured[0].texts[::TIMED]
    return "\n\n".join([
        head, *parts,
        f"## By language\n\nCharacter F1, held-out cases.\n\n{languages}",
        f"## Cost\n\n{len(timed)} held-out cases, one core, in turns.\n\n{cost(timed, place)}",
    ]) + "\n"  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--toxic", default="", help="folder of civilly interpret latents")
    parser.add_argument("--cases", type=int, default=20, help="sentences a language of the cases")
    parser.add_argument("--others", type=int, default=20, help="and of dev pairs; of people 5 x")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    text = report(given.toxic, given.cases, given.others)
    given.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
