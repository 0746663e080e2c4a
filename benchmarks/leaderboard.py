"""Compares published systems with ours, on the sentences that all systems of a language share.

Usage: python benchmarks/leaderboard.py [--data ../shared/data] [--ours runs/official/out.tsv]
       [--suite reading] [--agreement results/agreement_reading.json] [--runs runs/leaderboard]

Reads every submission of the data folder, and ours if it is there (benchmarks/official.py makes
it). Only shared sentences are scored, and none whose judgements by people the suite was trained on;
scores are kept in --runs, and a second run with the same suite goes on from there. Writes
results/leaderboard.md, and the page into --runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path

from civilly import registry
from civilly.data.alignment import align_alone
from civilly.data.submission import read_submission
from civilly.languages import CODES
from civilly.leaderboard.agreement import read_agreement
from civilly.leaderboard.page import write_site
from civilly.leaderboard.runs import Sentence, Submission, read_runs, sentences_of
from civilly.leaderboard.scoring import score_submission
from civilly.leaderboard.standings import build, shared_sentences
from civilly.leaderboard.tables import markdown
from civilly.pipeline import Toolbox
from civilly.score import DEFAULT
from civilly.score.human import LEARNT_FROM, Learner, read_judgements, resolve
from civilly.score.scores_file import read_scores, write_scores
from civilly.types import Metric

RESULTS = Path(__file__).parent / "results"
OURS = "civilly"
CAVEATS = {
    "reading": f"""Read with care where `{OURS}` is compared: it chooses by the same reader that the
suite `reading` scores with, and so scores better than it reads. What people and other readers say
of the outputs comes first (see "Outputs read by eye").
""",
    "embedded": f"""Read with care where `{OURS}` is compared: words that are merely cut fool the
suite `embedded` (see "Scoring"), which is what `{OURS}` often did (see "Outputs read by eye"). The
official models may judge differently.
""",
}


def submissions(data: Path, ours: Path) -> list[Submission]:
    """The published outputs and ours."""
    found = read_runs(data / "submissions").submissions
    if ours.exists():
        rows, _ = read_submission(ours)
        found.append(Submission(OURS, align_alone(rows, "zero", str(ours)).rows))
    return found


def learnt(metric: Metric, data: Path) -> set[tuple[str, str]]:
    """Language and text of the sentences whose judgements by people a metric was trained on."""
    if not isinstance(metric, Learner):
        return set()
    rows = read_judgements(resolve(LEARNT_FROM, data))
    return {(row.lang, " ".join(row.text.split())) for row in rows if metric.learnt_from(row)}


def restricted(
    systems: Sequence[Submission], without: Collection[tuple[str, str]] = ()
) -> list[Submission]:
    """Every submission on the sentences that the ranked systems of each language share.

    One that shares none is left out.

    Args:
        systems: The submissions.
        without: Language and text of sentences that are left out.
    """
    keys = [sentences_of(system.rows) for system in systems]
    left = [[s for s in each if (s.lang, s.text) not in without] for each in keys]
    wanted: list[set[Sentence]] = [set() for _ in systems]
    for lang in CODES:
        kept, shared = shared_sentences([[s for s in each if s.lang == lang] for each in left])
        if len(kept) > 1:
            for index in kept:
                wanted[index].update(shared)
    chosen = [
        Submission(
            system.name,
            [row for key, row in zip(each, system.rows, strict=True) if key in sentences],
        )
        for system, each, sentences in zip(systems, keys, wanted, strict=True)
    ]
    return [system for system in chosen if system.rows]


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--ours", type=Path, default=Path("runs/official/out.tsv"))
    parser.add_argument("--suite", default=DEFAULT)
    parser.add_argument("--agreement", type=Path, help="default: results/agreement_SUITE.json")
    parser.add_argument("--runs", type=Path, default=Path("runs/leaderboard"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    every = submissions(given.data, given.ours)
    suite = registry.create("score", given.suite, Toolbox(None, {}))
    chosen = restricted(every, learnt(suite, given.data))
    scores = given.runs / "scores"
    scores.mkdir(parents=True, exist_ok=True)
    for submission in chosen:
        path = scores / f"{submission.name.replace('/', '_')}.{given.suite}.json"
        if not path.exists() or read_scores(path).signature != suite.signature:
            print(f"{submission.name}: {len(submission.rows)} rows")
            write_scores(path, score_submission(submission, given.suite, suite))
    file = given.agreement or RESULTS / f"agreement_{given.suite}.json"
    agreement = read_agreement(file) if file.exists() else {}
    board = build(read_runs(scores, given.suite).systems, agreement)
    write_site(board, given.runs / "site")
    left_out = sorted({system.name for system in every} - {system.name for system in chosen})
    lines = [CAVEATS.get(given.suite, ""), markdown(board)]
    if left_out:
        lines.append(f"Left out, since they share no sentences: {', '.join(left_out)}.\n")
    given.results.mkdir(parents=True, exist_ok=True)
    (given.results / "leaderboard.md").write_text("\n".join(lines), "utf-8")


if __name__ == "__main__":
    main()
