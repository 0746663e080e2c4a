"""What is measured of detectors side by side: a Markdown table of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np

from civilly.data.readings import Case
from civilly.detect.normalise import Normalised
from civilly.languages import CODES
from civilly.train.obfuscation import DISGUISES
from civilly.types import Detection, Detector, Text
from detection_data import Measured
from measures import Floats, auc, f1, interval, rate, table

TOXIC = ("toxic", "threat")
"""Labels of the cases that are to be found."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A detector that reads a text once.

    Attributes:
        name: What tables call it.
        detector: It.
    """

    name: str
    detector: Detector
    _known: dict[Text, Detection] = field(default_factory=dict)

    def detect(self, texts: Sequence[str], lang: str) -> list[Detection]:
        """Detections of texts in one language."""
        asked = [Text(text, lang) for text in texts]
        unknown = [text for text in dict.fromkeys(asked) if text not in self._known]
        self._known.update(zip(unknown, self.detector.detect(unknown), strict=True))
        return [self._known[text] for text in asked]

    def p_toxic(self, texts: Sequence[str], lang: str) -> Floats:
        """p(toxic) of texts in one language."""
        return np.array([detection.p_toxic for detection in self.detect(texts, lang)])


Contestants = Sequence[Contestant]
"""The first is what the others are compared with."""


def heads(contestants: Contestants, *measures: str) -> list[str]:
    """A column per measure and contestant, measures outermost."""
    return [f"{measure}: {each.name}" for measure in measures for each in contestants]


def gained(statistic: Callable[[Floats, Any], float], scores: Sequence[Floats], count: int) -> str:
    """How much more a statistic is for the last scores than for the first, paired rows."""
    return interval(lambda i: statistic(scores[-1][i], i) - statistic(scores[0][i], i), count)


def recall_section(contestants: Contestants, measured: Measured) -> str:
    """What is flagged of the official inputs and of clean sentences."""
    inputs, clean = measured.official_inputs(), measured.clean_sentences()
    body = []
    for lang in CODES:
        flagged = [
            rate(each.p_toxic(texts[lang], lang) >= 0.5 if texts[lang] else np.zeros(0))
            for texts in (inputs, clean)
            for each in contestants
        ]
        body.append([lang, len(inputs[lang]), len(clean[lang]), *flagged])
    head = ["language", "official inputs", "clean", *heads(contestants, "official", "clean")]
    return table(head, body)


def cases_section(contestants: Contestants, measured: Measured) -> str:
    """False positives on the civil half of the cases kept apart, and what is found of the rest."""
    cases = measured.cases()
    groups: dict[str, list[Case]] = {"all": cases}
    groups |= {lang: [case for case in cases if case.lang == lang] for lang in CODES}
    parts = [_cases_table("language", groups, contestants), "By kind:"]
    kinds: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        kinds[case.kind].append(case)
    parts.append(_cases_table("kind", dict(sorted(kinds.items())), contestants))
    return "\n\n".join(parts)


def _cases_table(title: str, groups: Mapping[str, Sequence[Case]], contestants: Contestants) -> str:
    body = [[name, *_cases_cells(cases, contestants)] for name, cases in groups.items() if cases]
    measures = ("civil flagged", "toxic flagged", "AUC", "span F1")
    return table([title, "civil", "toxic", *heads(contestants, *measures)], body)


def _cases_cells(cases: Sequence[Case], contestants: Contestants) -> list[Any]:
    toxic = np.array([case.label in TOXIC for case in cases])
    gold = [case.spans for case in cases]
    found = [[each.detect([c.text], c.lang)[0] for c in cases] for each in contestants]
    p = [np.array([detection.p_toxic for detection in each]) for each in found]
    return [
        int((~toxic).sum()),
        int(toxic.sum()),
        *(rate(scores[~toxic] >= 0.5) for scores in p),
        *(rate(scores[toxic] >= 0.5) for scores in p),
        *(interval(lambda i, s=scores: auc(s[i], toxic[i]), len(cases)) for scores in p),
        *(rate(span_f1(each, gold)[toxic]) for each in found),
    ]


def pair_section(contestants: Contestants, measured: Measured) -> str:
    """How well the toxic side is told from the civil one."""
    body = []
    for lang, pairs in measured.pairs().items():
        count = len(pairs)
        if not count:
            continue
        both = [
            (each.p_toxic([t for t, _ in pairs], lang), each.p_toxic([c for _, c in pairs], lang))
            for each in contestants
        ]
        areas = [
            lambda i, t=toxic, c=civil: auc(np.concatenate([t[i], c[i]]), np.repeat([1, 0], len(i)))
            for toxic, civil in both
        ]
        body.append([
            lang, count, *(interval(area, count) for area in areas),
            interval(lambda i, a=areas: a[-1](i) - a[0](i), count),
            *(rate((toxic > civil) + 0.5 * (toxic == civil)) for toxic, civil in both),
            *(f"{np.mean(toxic >= 0.5):.2f}" for toxic, _ in both),
            *(f"{np.mean(civil >= 0.5):.2f}" for _, civil in both),
        ])  # fmt: skip
    measures = ("toxic side higher", "toxic ≥ .5", "civil ≥ .5")
    head = ["language", "pairs", *heads(contestants, "AUC"), "AUC gained",
            *heads(contestants, *measures)]  # fmt: skip
    return table(head, body)


def labelled_section(contestants: Contestants, measured: Measured) -> str:
    """AUC and F1 on the labelled sets."""
    body = []
    for lang, name, trained, rows in measured.labelled():
        p = [each.p_toxic([row["text"] for row in rows], lang) for each in contestants]
        labels = np.array([row["label"] for row in rows])
        two = 0 < labels.sum() < len(labels)
        areas = [interval(lambda i, s=s, y=labels: auc(s[i], y[i]), len(rows)) for s in p]
        more = gained(lambda s, i, y=labels: auc(s, y[i]), p, len(rows))
        body.append([
            lang, name, len(rows), "yes" if trained else "no",
            *(areas if two else ["–"] * len(p)), more if two else "–",
            *(interval(lambda i, s=s, y=labels: f1(s[i], y[i]), len(rows)) for s in p),
        ])  # fmt: skip
    head = ["language", "set", "n", "sister rows in training", *heads(contestants, "AUC"),
            "AUC gained", *heads(contestants, "F1 at .5")]  # fmt: skip
    return table(head, body)


def hatecheck_section(contestants: Contestants, measured: Measured) -> str:
    """Multilingual HateCheck by language."""
    body = []
    for lang, rows in measured.hatecheck().items():
        p = [each.p_toxic([row["text"] for row in rows], lang) for each in contestants]
        labels = np.array([row["label"] for row in rows])
        body.append([
            lang, len(rows),
            *(interval(lambda i, s=s, y=labels: auc(s[i], y[i]), len(rows)) for s in p),
            gained(lambda s, i, y=labels: auc(s, y[i]), p, len(rows)),
            *(rate(s[labels == 1] >= 0.5) for s in p), *(rate(s[labels == 0] >= 0.5) for s in p),
        ])  # fmt: skip
    head = ["language", "n", *heads(contestants, "AUC"), "AUC gained",
            *heads(contestants, "hateful flagged", "not hateful flagged")]  # fmt: skip
    return table(head, body)


def only_lower_case(text: str, lang: str) -> Normalised:
    """What the n-gram model would read without a normaliser."""
    lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return Normalised(lowered, range(len(text)), range(1, len(text) + 1))


def disguise_section(contestants: Contestants, measured: Measured) -> str:
    """What is flagged of disguised toxic texts, and by the first one without the normaliser."""
    body = []
    for name in ["none", *DISGUISES]:
        texts = measured.disguised(name)
        flagged = [
            np.concatenate([each.p_toxic(own, lang) >= 0.5 for lang, own in texts.items()])
            for each in contestants
        ]
        bare = Contestant("bare", contestants[0].detector)
        with patch("civilly.detect.features.normalise", only_lower_case):
            before = np.concatenate([bare.p_toxic(own, lang) >= 0.5 for lang, own in texts.items()])
        body.append([name, len(before), rate(before), *map(rate, flagged)])
    head = ["disguise", "n", f"without normaliser: {contestants[0].name}",
            *heads(contestants, "flagged")]  # fmt: skip
    return table(head, body)


def span_f1(found: Sequence[Detection], gold: Sequence[Sequence[Sequence[int]]]) -> Floats:
    """Character F1 of each text as in SemEval-2021 task 5: both empty is 1."""
    scores = []
    for detection, spans in zip(found, gold, strict=True):
        mine = {i for span in detection.spans for i in range(span.start, span.end)}
        true = {i for start, end in spans for i in range(start, end)}
        both = len(mine) + len(true)
        scores.append(2 * len(mine & true) / both if both else 1.0)
    return np.array(scores)


def span_section(contestants: Contestants, measured: Measured) -> str:
    """Character F1 of the spans."""
    body = []
    for lang, whose, rows in measured.spans():
        texts, gold = [row["text"] for row in rows], [row["spans"] for row in rows]
        scores = [span_f1(each.detect(texts, lang), gold) for each in contestants]
        more = gained(lambda s, i: float(s.mean()), scores, len(rows))
        body.append([lang, whose, len(rows), *map(rate, scores), more])
    head = ["language", "gold", "n", *heads(contestants, "character F1"), "gained"]
    return table(head, body)
