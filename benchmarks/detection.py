"""Measures language identification and the toxicity model; writes benchmarks/results/detection.md.

Data: the folder in the environment variable CIVILLY_DATA (default ../shared/data). Every number
comes from rows that no model here was trained on; intervals are 95 % bootstrap percentiles.
"""

from __future__ import annotations

import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from civilly.data.io import read_table
from civilly.data.pairs import read_authored, read_inputs, read_pairs
from civilly.data.split import dev_part
from civilly.detect.language import identify
from civilly.detect.normalise import Normalised
from civilly.detect.toxicity import create
from civilly.languages import CODES, LANGUAGES
from civilly.train.detector_data import held_out
from civilly.train.obfuscation import DISGUISES
from civilly.types import Detection, Text

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("CIVILLY_DATA", ROOT.parent / "shared" / "data"))
OUT = ROOT / "benchmarks" / "results" / "detection.md"
TRAINED_ON = {
    "davidson_en", "germeval2018_de", "cold_zh", "bohra2018_hin", "inspection_ja",
    "rutoxic10k_ru_posonly",
}  # fmt: skip
"""Sets of toxicity/ whose held-out fifth is measured; of mlma only fr and ar are trained on."""
NOT_LABELLED_SETS = {"multilingual_hatecheck", "parallel_derived", "multiparadetox_dev_derived"}
RESAMPLES = 300
Floats = Any
detector = create()


def detect(texts: Sequence[str], lang: str) -> list[Detection]:
    """Detections of texts in one language."""
    return detector.detect([Text(text, lang) for text in texts])


def p_toxic(texts: Sequence[str], lang: str) -> Floats:
    """p(toxic) of texts in one language."""
    return np.array([d.p_toxic for d in detect(texts, lang)])


def interval(statistic: Callable[[Any], float], count: int) -> str:
    """``value [low, high]`` of a statistic of row numbers."""
    rng = np.random.default_rng(0)
    drawn = [statistic(rng.integers(0, count, count)) for _ in range(RESAMPLES)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return f"{statistic(np.arange(count)):.3f} [{low:.3f}, {high:.3f}]"


def rate(hits: Floats) -> str:
    """Share of hits with its interval; a dash without rows."""
    return interval(lambda i: float(np.mean(hits[i])), len(hits)) if len(hits) else "–"


def auc(scores: Floats, labels: Floats) -> float:
    """Area under the ROC curve by ranks (Mann-Whitney), ties count half."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = labels.sum()
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    area = ranks[labels == 1].sum() - positives * (positives + 1) / 2
    return float(area / (positives * negatives))


def f1(scores: Floats, labels: Floats) -> float:
    """F1 of the toxic class at p = 0.5."""
    flagged = scores >= 0.5
    hits = (flagged & (labels == 1)).sum()
    return float(2 * hits / max(flagged.sum() + (labels == 1).sum(), 1))


def table(head: Sequence[str], body: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def official_inputs() -> dict[str, list[str]]:
    """The official 2025 test inputs by language."""
    found: dict[str, list[str]] = defaultdict(list)
    for given in read_inputs(DATA / "inputs" / "textdetox2025_test.tsv"):
        found[given.lang].append(given.text)
    return found


def clean_sentences(lang: str) -> list[str]:
    """Up to 1,000 held-out clean sentences; none for Hinglish."""
    path = DATA / "clean" / f"{lang}.jsonl.gz"
    if not path.is_file():
        return []
    return [r["text"] for r in read_table(path).rows if held_out(r["text"], 20)][:1000]


def pairs() -> dict[str, list[tuple[str, str]]]:
    """Dev pairs of the part "eval", and the held-out quarter of the authored pairs."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    dev = read_pairs(DATA / "parallel" / "multiparadetox_dev.jsonl.gz")
    authored = read_authored(ROOT / "recipes" / "authored_pairs")
    chosen = [pair for pair in dev if dev_part(pair.id) == "eval"]
    chosen += [pair for pair in authored if held_out(pair.toxic, 25)]
    for pair in chosen:
        found[pair.lang].append((pair.toxic, pair.neutral[0]))
    return found


def language_section(inputs: dict[str, list[str]]) -> str:
    """Accuracy of language identification, and its cost."""
    body = []
    texts = [text for found in inputs.values() for text in found]
    identify(texts[:50])
    start = time.process_time()
    identify(texts)
    cost = (time.process_time() - start) / len(texts) * 1000
    right_all: list[bool] = []
    for lang in CODES:
        guesses = identify(inputs[lang])
        right = np.array([guess == lang for guess in guesses])
        right_all += right.tolist()
        wrong = defaultdict(int)
        for guess in guesses:
            if guess != lang:
                wrong[guess] += 1
        mistaken = ", ".join(f"{g} {n}" for g, n in sorted(wrong.items(), key=lambda x: -x[1])[:3])
        body.append([lang, len(right), rate(right), mistaken or "–"])
    body.append(["all", len(right_all), rate(np.array(right_all)), ""])
    note = f"{cost:.2f} ms of processor time per text."
    return table(["language", "n", "accuracy", "taken for"], body) + "\n\n" + note


def recall_section(inputs: dict[str, list[str]]) -> str:
    """What is flagged of the official inputs and of clean sentences."""
    body = []
    for lang in CODES:
        found = p_toxic(inputs[lang], lang) >= 0.5
        calm = clean_sentences(lang)
        flagged = p_toxic(calm, lang) >= 0.5 if calm else np.zeros(0)
        body.append([lang, rate(found), rate(flagged), len(calm)])
    head = ["language", "official inputs at p ≥ .5 (n = 600)", "clean sentences at p ≥ .5", "n"]
    return table(head, body)


def pair_section(found: dict[str, list[tuple[str, str]]]) -> str:
    """How well the toxic side is told from the civil one."""
    body = []
    for lang in CODES:
        toxic = p_toxic([t for t, _ in found[lang]], lang)
        civil = p_toxic([c for _, c in found[lang]], lang)

        def area(i: Floats, a: Floats = toxic, b: Floats = civil) -> float:
            return auc(np.concatenate([a[i], b[i]]), np.repeat([1, 0], len(i)))

        better = (toxic > civil) + 0.5 * (toxic == civil)
        count = len(toxic)
        flagged = [f"{np.mean(side >= 0.5):.2f}" for side in (toxic, civil)]
        body.append([lang, count, interval(area, count), rate(better), *flagged])
    head = ["language", "pairs", "AUC", "toxic side higher", "toxic ≥ .5", "civil ≥ .5"]
    return table(head, body)


def labelled_section() -> str:
    """AUC and F1 on the labelled sets."""
    body = []
    for path in sorted((DATA / "toxicity").glob("*.jsonl.gz")):
        name = path.name.removesuffix(".jsonl.gz")
        if name in NOT_LABELLED_SETS:
            continue
        by_language: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in read_table(path).rows:
            trained = name in TRAINED_ON or (name == "mlma" and row["lang"] in ("fr", "ar"))
            if not trained or held_out(row["text"], 20):
                by_language[row["lang"]].append(row)
        for lang, found in by_language.items():
            random.Random(0).shuffle(found)
            found = found[:2000]
            scores = p_toxic([r["text"] for r in found], lang)
            labels = np.array([r["label"] for r in found])
            cells = [
                interval(lambda i, s=scores, y=labels: auc(s[i], y[i]), len(found))
                if labels.min() == 0
                else "– (toxic only)",
                interval(lambda i, s=scores, y=labels: f1(s[i], y[i]), len(found)),
            ]
            trained = name in TRAINED_ON or (name == "mlma" and lang in ("fr", "ar"))
            body.append([lang, name, len(found), "yes" if trained else "no", *cells])
    body.sort(key=lambda line: (CODES.index(line[0]), line[1]))
    return table(["language", "set", "n", "sister rows in training", "AUC", "F1 at .5"], body)


def hatecheck_section() -> str:
    """Multilingual HateCheck by language."""
    by_language: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in read_table(DATA / "toxicity" / "multilingual_hatecheck.jsonl.gz").rows:
        by_language[row["lang"]].append(row)
    body = []
    for lang, found in sorted(by_language.items()):
        scores = p_toxic([r["text"] for r in found], lang)
        labels = np.array([r["label"] for r in found])
        hateful, civil = scores[labels == 1] >= 0.5, scores[labels == 0] >= 0.5
        area = interval(lambda i, s=scores, y=labels: auc(s[i], y[i]), len(found))
        body.append([lang, len(found), area, rate(hateful), rate(civil)])
    return table(["language", "n", "AUC", "hateful flagged", "not hateful flagged"], body)


def only_lower_case(text: str, lang: str) -> Normalised:
    """What the model would read without a normaliser."""
    lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return Normalised(lowered, range(len(text)), range(1, len(text) + 1))


def disguised(name: str) -> dict[str, list[str]]:
    """Toxic sides of the eval pairs; every word that the civil side drops is disguised."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in read_table(DATA / "spans" / "multiparadetox_dev_autodiff.jsonl.gz").rows:
        if dev_part(row["id"]) != "eval" or not LANGUAGES[row["lang"]].spaces:
            continue
        rng = random.Random(row["id"])
        pieces, last = [], 0
        for start, end in row["spans"]:
            words = [
                DISGUISES[name](w, rng) if len(w) > 2 and name != "none" else w
                for w in row["text"][start:end].split(" ")
            ]
            pieces += [row["text"][last:start], " ".join(words)]
            last = end
        found[row["lang"]].append("".join(pieces) + row["text"][last:])
    return found


def disguise_section() -> str:
    """What is flagged of disguised toxic texts, without and with the normaliser."""
    body = []
    for name in ["none", *DISGUISES]:
        texts = disguised(name)

        def flagged(found: dict[str, list[str]] = texts) -> Floats:
            return np.concatenate([p_toxic(t, lang) >= 0.5 for lang, t in found.items()])

        after = flagged()
        with patch("civilly.detect.features.normalise", only_lower_case):
            before = flagged()
        body.append([name, len(after), rate(before), rate(after)])
    return table(["disguise", "n", "flagged without normaliser", "flagged with it"], body)


def span_f1(found: Sequence[Detection], gold: Sequence[Sequence[Sequence[int]]]) -> Floats:
    """Character F1 of each text as in SemEval-2021 task 5: both empty is 1."""
    scores = []
    for detection, spans in zip(found, gold, strict=True):
        mine = {i for span in detection.spans for i in range(span.start, span.end)}
        true = {i for start, end in spans for i in range(start, end)}
        both = len(mine) + len(true)
        scores.append(2 * len(mine & true) / both if both else 1.0)
    return np.array(scores)


def span_section() -> str:
    """Character F1 of the spans."""
    test = [
        r
        for r in read_table(DATA / "spans" / "semeval2021_en.jsonl.gz").rows
        if r["split"] == "test"
    ]
    scores = span_f1(detect([r["text"] for r in test], "en"), [r["spans"] for r in test])
    body = [["en", "SemEval-2021 test (people)", len(test), rate(scores)]]
    by_language: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in read_table(DATA / "spans" / "multiparadetox_dev_autodiff.jsonl.gz").rows:
        if dev_part(row["id"]) == "eval":
            by_language[row["lang"]].append(row)
    for lang, found in sorted(by_language.items(), key=lambda x: CODES.index(x[0])):
        scores = span_f1(detect([r["text"] for r in found], lang), [r["spans"] for r in found])
        body.append([lang, "dev diffs, eval (automatic)", len(found), rate(scores)])
    return table(["language", "gold", "n", "character F1"], body)


def speed_section(inputs: dict[str, list[str]]) -> str:
    """Throughput, and the cost of a huge text."""
    texts = [Text(text, lang) for lang, found in inputs.items() for text in found]
    detector.detect(texts[:100])
    start = time.process_time()
    detector.detect(texts)
    seconds = time.process_time() - start
    long = Text("you are a fucking moron, f u c k off " * 2703, "en")
    start = time.process_time()
    detector.detect([long])
    return (
        f"{len(texts) / seconds:,.0f} official inputs per second of processor time; "
        f"{len(long.text):,} characters in one text: {time.process_time() - start:.2f} s."
    )


def main() -> None:
    """Runs every section and writes the report."""
    inputs = official_inputs()
    parts = [
        "# Detection\n\nWritten by `python benchmarks/detection.py`; 95 % bootstrap intervals. No "
        "row below was trained on. Learning rates and the Russian and Hebrew limits were chosen "
        "with an eye on the recall of the official inputs and on the clean sentences: these two "
        "columns are slightly optimistic; the pairs of the part eval were looked at only once.",
        "## Language identification on the official 2025 inputs\n\n" + language_section(inputs),
        "## Official inputs and clean sentences\n\nClean: held-out Common Voice; he, am: UD "
        "treebanks, ru: mostly UD (other genre, no training sentence from there).\n\n"
        + recall_section(inputs),
        "## Pairs: the rewritten text against the original\n\nDev pairs, part eval; it fr he hin "
        "ja tt: the held-out quarter of the pairs written for this project.\n\n"
        + pair_section(pairs()),
        "## Labelled sets\n\nLabel notions differ (hate, offence, aggression). At most 2,000 "
        "rows.\n\n" + labelled_section(),
        "## Multilingual HateCheck\n\nThe file names no functionality, so the table is by "
        "language only. Hate without rude words is most of it.\n\n" + hatecheck_section(),
        "## Disguises\n\nToxic sides of the dev pairs (eval, languages with spaces); every word "
        "that the civil side drops is disguised.\n\n" + disguise_section(),
        "## Spans\n\n" + span_section(),
        "## Speed\n\n" + speed_section(inputs),
    ]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(OUT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
