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
from civilly.detect.words import words
from civilly.languages import CODES
from civilly.model.sparse.toxic_file import names_in
from civilly.types import Span, Text
from detection_data import Measured
from measures import Floats, interval, table

OUT = Path(__file__).parent / "results" / "sae_spans.md"
ROUNDS = 3
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


def spans_by(place: str, names: Sequence[str], texts: Sequence[Text]) -> dict[str, list[Bounds]]:
    """What each contestant marks: as it is used, that is where the reader finds a text toxic."""
    found = {MEANINGS[n]: _of(sae.load(f"{place}#{n}").detect(texts)) for n in names}
    found[READER] = _of(context.load().detect(texts))
    found["n-grams (`toxicity`)"] = _of(toxicity.create().detect(texts))
    return found


def _of(detections: Sequence) -> list:  # type: ignore[type-arg]
    return [each.spans for each in detections]


def section(sentences: Sentences, place: str, names: Sequence[str]) -> tuple[str, str]:
    """A set's table, and what wins there."""
    texts, gold = sentences.texts, sentences.gold
    found = spans_by(place, names, texts)
    own = MEANINGS["latents"]
    alone = {
        MEANINGS[name]: character_f1(sae.load(f"{place}#{name}").spans(texts), gold)
        for name in names
    }
    scores = {name: character_f1(each, gold) for name, each in found.items()}
    body = []
    for name, each in sorted(scores.items(), key=lambda pair: -pair[1].mean()):
        by_word = word_f1(found[name], gold, texts)
        body.append([
            name, _mean(each), _mean(by_word), _mean(alone[name]) if name in alone else "–",
            "–" if name == own else _mean(scores[own] - each),
            f"{np.mean([bool(spans) for spans in found[name]]):.2f}",
        ])  # fmt: skip
    body.append([GOLD, "1.000", "1.000", "1.000", "–", "1.00"])
    head = ["spans by", "character F1", "word F1", "character F1 without the reader's verdict",
            "`sae` gains, characters", "texts with a span"]  # fmt: skip
    count = {lang: sum(text.lang == lang for text in texts) for lang in CODES}
    least = min(number for number in count.values() if number)
    langs = sum(map(bool, count.values()))
    says = f"{len(texts)} sentences, {langs} languages, {least} or more a language."
    wins = max(scores, key=lambda name: scores[name].mean())
    return (
        f"## {sentences.name[0].upper()}{sentences.name[1:]}\n\n{says}\n\n{table(head, body)}",
        f"{sentences.name}: {wins}",
    )


def _mean(values: Floats) -> str:
    return interval(lambda rows: float(values[rows].mean()), len(values))


def by_language(sentences: Sentences, place: str, names: Sequence[str]) -> str:
    """Character F1 by language."""
    found = spans_by(place, names, sentences.texts)
    langs = np.array([text.lang for text in sentences.texts])
    body = []
    for name, each in found.items():
        scores = character_f1(each, sentences.gold)
        own = [f"{scores[langs == lang].mean():.2f}" for lang in CODES if (langs == lang).any()]
        body.append([name, *own])
    head = ["spans by", *(lang for lang in CODES if (langs == lang).any())]
    return table(head, body)


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
    names = [n for n in names_in(Path(place) if place else None) if n in MEANINGS]
    measured = sets(cases, others)
    sections, wins = zip(*(section(each, place, names) for each in measured), strict=True)
    about = sae.load(place).toxic.about
    languages = by_language(measured[0], place, names)
    head = (
        "# Spans by toxic latents\n\nWritten by `python benchmarks/sae_spans.py`; 95 % bootstrap "
        f"intervals over sentences, the same for all. `sae` reads the stream after layer {about.layer} "
        f"of {about.model}; the wrong layer is the first. Every "
        "contestant has its own best limit, set on other cases, and one for all languages. Spans "
        "stand where the reader finds a text toxic; one column leaves that verdict out. What wins: "
        f"{'; '.join(wins)}."
    )
    parts = [
        head,
        *sections,
        f"## By language\n\nCharacter F1, held-out cases.\n\n{languages}",
        "## Cost\n\nHeld-out cases, one core, in turns.\n\n" + cost(measured[0].texts, place),
    ]
    return "\n\n".join(parts) + "\n"


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
