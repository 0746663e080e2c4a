"""Measures the judge of rewrites on readings kept apart; writes results/reader.md.

Usage: python benchmarks/reader.py [--texts N] [--out results/reader.md]

Beside it stands what chose before: the joint score of `civilly.select.rerank`, a product of
p(toxic), edit distance and mean log probability, on the same rows. Readings: the texts of
recipes/readings/pairs that no reader is trained on (`civilly.data.kept_apart`). Judgements by
people: TextDetox 2024 in the folder of the environment variable CIVILLY_DATA (default
../shared/data), kept apart likewise; how far the suite agrees with them is left in
results/agreement_reading.json, too, for the leaderboard.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agreement_tables import agreement_table, means_table, system_table, write_agreement
from civilly import registry
from civilly.data.kept_apart import reading_kept_apart
from civilly.data.readings import FAULTS, Reading, read_readings
from civilly.languages import CODES
from civilly.model.cache import fingerprint
from civilly.model.reader_weights import shipped_reader
from civilly.score.agreement import Agreement, agreement
from civilly.score.human import LEARNT_FROM, TARGETS, Judgement
from civilly.score.reader import load
from civilly.score.scoring import score_texts
from civilly.select.rerank import score
from civilly.select.seams import Seams
from civilly.toolbox import Toolbox
from civilly.types import Candidate, Text
from measures import Floats, auc, interval, table
from tricks import SUITES, judgements_kept_apart

ROOT = Path(__file__).parent.parent
READINGS = ROOT / "recipes" / "readings" / "pairs"
OUT = ROOT / "benchmarks" / "results" / "reader.md"
AGREEMENT = OUT.with_name("agreement_reading.json")
LEAST_PAIRS = 20
"""With fewer pairs nothing is said of a kind."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Readings kept apart, with what the judge and the joint score say of them.

    Attributes:
        rows: The readings, each output once.
        value: The judge's value (`civilly.score.reader.Opinion.value`) of each.
        faults: Its probability of each fault: fault → one per row.
        joint: The joint score of each.
    """

    rows: Sequence[Reading]
    value: Floats
    faults: dict[str, Floats]
    joint: Floats

    def of(self, keep: Callable[[Reading], bool]) -> Judged:
        """Some of the rows."""
        chosen = np.array([keep(row) for row in self.rows], dtype=np.bool_)
        return Judged(
            [row for row, kept in zip(self.rows, chosen, strict=True) if kept],
            self.value[chosen],
            {fault: values[chosen] for fault, values in self.faults.items()},
            self.joint[chosen],
        )

    @property
    def texts(self) -> list[Floats]:
        """The row numbers of each text."""
        found: dict[tuple[str, str], list[int]] = defaultdict(list)
        for place, row in enumerate(self.rows):
            found[row.lang, row.text].append(place)
        return [np.array(places) for places in found.values()]

    @property
    def good(self) -> Floats:
        """1 for each row that is good."""
        return np.array([row.fault == "good" for row in self.rows], dtype=np.int64)


def kept_apart(texts: int | None) -> list[Reading]:
    """The readings that measure, the first label of each output.

    Args:
        texts: The most texts; None: all.
    """
    first: dict[tuple[str, str, str], Reading] = {}
    for row in read_readings(READINGS):
        if reading_kept_apart(row.text):
            first.setdefault((row.lang, row.text, row.rewrite), row)
    wanted = set(list(dict.fromkeys(row.text for row in first.values()))[:texts])
    return [row for row in first.values() if row.text in wanted]


def joint_scores(rows: Sequence[Reading]) -> Floats:
    """What chose before, as it was: the n-gram detector, the adapter's log probabilities."""
    texts = [Text(row.text, row.lang) for row in rows]
    outputs = [row.rewrite for row in rows]
    tuned = registry.create("methods", "tuned", Toolbox(None, {}))
    likely = tuned.score(texts, outputs)
    after = registry.create("detect", "toxicity").detect(
        [Text(out, text.lang) for text, out in zip(texts, outputs, strict=True)]
    )
    seams = Seams()
    found = [
        score(text, Candidate(out, "read", logprob), detection, seams).joint
        for text, out, logprob, detection in zip(texts, outputs, likely, after, strict=True)
    ]
    return np.array(found)


def judged(texts: int | None) -> Judged:
    """The rows with all that is said of them."""
    rows = kept_apart(texts)
    opinions = load().opinions([row.text for row in rows], [row.rewrite for row in rows])
    return Judged(
        rows,
        np.array([opinion.value for opinion in opinions]),
        {fault: np.array([opinion.faults[fault] for opinion in opinions]) for fault in FAULTS},
        joint_scores(rows),
    )


def won(found: Judged, scores: Floats, places: Floats, others: Floats) -> tuple[float, int]:
    """Pairs of a text in which the good output scores higher (ties half), and all its pairs.

    Args:
        found: The rows.
        scores: What ranks them.
        places: The rows of one text.
        others: 1 for each row that counts where it is not good.
    """
    good = scores[places[found.good[places] == 1]]
    bad = scores[places[(found.good[places] == 0) & (others[places] == 1)]]
    difference = np.sign(good[:, None] - bad[None])
    return float((1 + difference).sum() / 2), difference.size


def good_first(found: Judged, scores: Floats, others: Floats | None = None) -> str:
    """Share of the pairs within a text in which good is above not good; drawn by text."""
    counted = np.ones(len(found.rows)) if others is None else others
    pairs = np.array([won(found, scores, places, counted) for places in found.texts]).reshape(-1, 2)
    if pairs[:, 1].sum() < LEAST_PAIRS:
        return "–"
    return interval(lambda i: float(pairs[i, 0].sum() / max(1, pairs[i, 1].sum())), len(pairs))


def pairs_of(found: Judged, others: Floats | None = None) -> int:
    """How many pairs `good_first` counts."""
    counted = np.ones(len(found.rows)) if others is None else others
    return sum(won(found, found.value, places, counted)[1] for places in found.texts)


def area(found: Judged, scores: Floats, labels: Floats) -> str:
    """AUC of scores, drawn by text; a dash where there are too few of a kind."""
    if min(labels.sum(), (1 - labels).sum()) < LEAST_PAIRS:
        return "–"
    return interval(lambda i: auc(scores[i], labels[i]), found.texts)


def fault_table(found: Judged) -> str:
    """AUC of each fault: by the judge's probability of it, and by the joint score turned round."""
    body = []
    for fault in FAULTS:
        labels = np.array([row.fault == fault for row in found.rows], dtype=np.int64)
        old = found.joint if fault == "good" else -found.joint
        cells = [area(found, found.faults[fault], labels), area(found, old, labels)]
        body.append([fault, labels.sum(), f"{labels.mean():.0%}", *cells])
    return table(["fault", "n", "share", "judge", "joint score"], body)


def part_table(title: str, parts: Iterable[tuple[str, Judged]]) -> str:
    """Good before not good and the AUC of good, gap and meaning, a row for each part."""
    body = []
    for name, found in parts:
        body.append([
            name, len(found.rows), len(found.texts), f"{found.good.mean():.0%}", pairs_of(found),
            good_first(found, found.value), good_first(found, found.joint),
            *(area(found, found.faults[fault],
                   np.array([row.fault == fault for row in found.rows], dtype=np.int64))
              for fault in ("good", "gap", "meaning")),
        ])  # fmt: skip
    head = [title, "outputs", "texts", "good", "pairs", "judge: good first", "joint score",
            "AUC good", "AUC gap", "AUC meaning"]  # fmt: skip
    return table(head, body)


def kind_table(found: Judged) -> str:
    """By who wrote the outputs: those of the kind that are not good, against good ones of any."""
    kinds = dict.fromkeys(system for row in found.rows for system in row.systems)
    body = []
    for kind in kinds:
        own = np.array([kind in row.systems for row in found.rows], dtype=np.int64)
        part = found.of(lambda row, kind=kind: kind in row.systems)
        if len(part.rows) < LEAST_PAIRS:
            continue
        expected = part.faults["good"].mean()
        body.append([
            kind, len(part.rows), f"{part.good.mean():.0%}", f"{expected:.0%}",
            pairs_of(found, own), good_first(found, found.value, own),
            good_first(found, found.joint, own), area(part, part.faults["good"], part.good),
            area(part, part.joint, part.good),
        ])  # fmt: skip
    body.sort(key=lambda line: -int(line[1]))
    head = ["kind", "outputs", "good", "good, judge expects", "pairs", "judge: good first",
            "joint score", "AUC good, judge", "joint score"]  # fmt: skip
    return table(head, body)


def readings_part(found: Judged) -> str:
    """Everything on readings."""
    by_lang = [(lang, found.of(lambda row, lang=lang: row.lang == lang)) for lang in CODES]
    parts = [("all", found), *((lang, part) for lang, part in by_lang if part.rows)]
    return "\n\n".join([
        "## Readings",
        "*Good first*: the share of pairs of one text, one output good and one not, in which the "
        "good one scores higher. Intervals: 95 % bootstrap percentiles over texts, with all their "
        "outputs. An output that two readers labelled counts once, with the first label.",
        part_table("language", parts),
        "### Faults",
        "AUC with which the judge's probability of a fault tells the outputs that have it; for the "
        "joint score its opposite, since it knows no faults.",
        fault_table(found),
        "### By who wrote the outputs",
        "*Good first*: outputs of the kind that are not good, against good ones of the same text, "
        "whoever wrote them. Kinds of fewer than 20 outputs are left out.",
        kind_table(found),
    ])  # fmt: skip


def measured(name: str, rows: Sequence[Judgement]) -> dict[str, list[Agreement]]:
    """A suite's components and J with what people judged."""
    metric = registry.create("score", name, Toolbox(None, {}))
    inputs = [Text(row.text, row.lang) for row in rows]
    scores = score_texts(metric, name, inputs, [row.output for row in rows])
    return {target: agreement(scores[target], rows, target) for target in TARGETS}


def people_part(sentences: int | None, out: Path) -> str:
    """Agreement with people of both suites."""
    rows = judgements_kept_apart(sentences)
    of_suite = {name: measured(name, rows) for name in SUITES}
    write_agreement(of_suite["reading"], out)
    texts = len({(row.lang, row.text) for row in rows})
    parts = [
        "## People",
        f"{len(rows):,} judged outputs of {texts} sentences of {LEARNT_FROM} that the reader was "
        "not trained on (their systems it has seen on other sentences), and the suite `embedded` "
        "on the same rows, whose 16 coefficients were fitted on all of the set: its figures are "
        "flattered, and a little those of SIM and J of `reading`, which takes the content from it.",
    ]
    for name, found in of_suite.items():
        parts += [
            f"### The suite `{name}`",
            means_table(found, "mean of the languages"),
            "Sentence level by language:",
            agreement_table(found),
            "System level by language:",
            system_table(found),
        ]
    return "\n\n".join(parts)


def report(texts: int | None, agreement_file: Path) -> str:
    """The page."""
    weights = fingerprint(shipped_reader("judge").read_bytes())
    head = f"# The reader\n\nWeights `{weights}`."
    parts = [head, readings_part(judged(texts)), people_part(texts, agreement_file)]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--texts", type=int, help="at most so many texts, and sentences a language")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    given.out.write_text(report(given.texts, given.out.with_name(AGREEMENT.name)), "utf-8")
    print(given.out.read_text("utf-8"))


if __name__ == "__main__":
    main()
