"""What a threshold of p(toxic) flags: rude texts found, and civil ones flagged beside them.

Usage: python benchmarks/thresholds.py [--n 300]

Writes results/thresholds.md, for those who bring a threshold from elsewhere (docs/serve.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from civilly.detect.by_sentence import open_detector
from civilly.languages import CODES
from civilly.types import Text
from detection_data import Measured
from measures import Floats, table

RESULTS = Path(__file__).parent / "results"
THRESHOLDS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)


def shares(scores: Floats) -> list[str]:
    """The share at or above each threshold, in percent."""
    if not len(scores):
        return ["–"] * len(THRESHOLDS)
    return [f"{100 * np.mean(scores >= threshold):.1f}" for threshold in THRESHOLDS]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=300, help="the most texts of a kind and language")
    measured, detector = Measured(parser.parse_args().n), open_detector()

    def p_toxic(texts: list[str], lang: str) -> Floats:
        found = detector.detect([Text(text, lang) for text in texts])
        return np.array([detection.p_toxic for detection in found])

    kinds = {"official": measured.official_inputs(), "clean": measured.clean_sentences()}
    scores = {
        name: {lang: p_toxic(texts.get(lang, []), lang) for lang in CODES}
        for name, texts in kinds.items()
    }
    civil = [case for case in measured.cases() if case.label == "civil"]
    provoking = np.array([p_toxic([case.text], case.lang)[0] for case in civil])
    head = ["", "texts", *(f"p ≥ {threshold:g}" for threshold in THRESHOLDS)]
    together = {name: np.concatenate(list(each.values())) for name, each in scores.items()}
    rows = [
        ["official inputs, rude", len(together["official"]), *shares(together["official"])],
        ["clean sentences", len(together["clean"]), *shares(together["clean"])],
        ["civil texts written to provoke", len(provoking), *shares(provoking)],
    ]
    by_language = [
        [lang, len(scores[name][lang]), *shares(scores[name][lang])]
        for name in ("official", "clean")
        for lang in CODES
    ]
    half = len(CODES)
    text = [
        "Percent of texts that a threshold of p(toxic) flags, in 15 languages (no clean sentences "
        "in Hinglish). “Civil texts written to provoke” have rude-looking words in a civil sense.",
        table(head, rows),
        "Official inputs by language (the share found):",
        table(["language", *head[1:]], by_language[:half]),
        "Clean sentences by language (the share flagged wrongly):",
        table(["language", *head[1:]], by_language[half:]),
    ]
    (RESULTS / "thresholds.md").write_text("\n\n".join(text) + "\n", "utf-8")


if __name__ == "__main__":
    main()
