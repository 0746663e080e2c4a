"""Compares published systems with ours, on the sentences that all systems of a language share.

Usage: python benchmarks/leaderboard.py [--data ../shared/data] [--ours runs/official/out.tsv]
       [--suite embedded] [--agreement results/agreement.json] [--runs runs/leaderboard]

Reads every submission of the data folder, and ours if it is there (benchmarks/official.py makes
it). Only shared sentences are scored; scores are kept in --runs, and a second run goes on from
there. Writes results/leaderboard.md, and the page into --runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
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
from civilly.score.scores_file import write_scores

RESULTS = Path(__file__).parent / "results"
OURS = "civilly"
CAVEAT = f"""Read with care where `{OURS}` is compared: it chooses by the same toxicity model
that the suite `embedded` scores with, and words that are merely cut fool the suite (see "Scoring"),
which is what `{OURS}` often does (see "Outputs read by eye"). The official models may judge
differently.
"""


def submissions(data: Path, ours: Path) -> list[Submission]:
    """The published outputs and ours."""
    found = read_runs(data / "submissions").submissions
    if ours.exists():
        rows, _ = read_submission(ours)
        found.append(Submission(OURS, align_alone(rows, "zero", str(ours)).rows))
    return found


def restricted(systems: Sequence[Submission]) -> list[Submission]:
    """Every submission on the sentences that the ranked systems of each language share.

    One that shares none is left out.
    """
    keys = [sentences_of(system.rows) for system in systems]
    wanted: list[set[Sentence]] = [set() for _ in systems]
    for lang in CODES:
        kept, shared = shared_sentences([[s for s in each if s.lang == lang] for each in keys])
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
    parser.add_argument("--suite", default="embedded")
    parser.add_argument("--agreement", type=Path, default=RESULTS / "agreement.json")
    parser.add_argument("--runs", type=Path, default=Path("runs/leaderboard"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    every = submissions(given.data, given.ours)
    chosen = restricted(every)
    suite = registry.create("score", given.suite, Toolbox(None, {}))
    scores = given.runs / "scores"
    scores.mkdir(parents=True, exist_ok=True)
    for submission in chosen:
        path = scores / f"{submission.name.replace('/', '_')}.{given.suite}.json"
        if not path.exists():
            print(f"{submission.name}: {len(submission.rows)} rows")
            write_scores(path, score_submission(submission, given.suite, suite))
    agreement = read_agreement(given.agreement) if given.agreement.exists() else {}
    board = build(read_runs(scores, given.suite).systems, agreement)
    write_site(board, given.runs / "site")
    left_out = sorted({system.name for system in every} - {system.name for system in chosen})
    lines = [CAVEAT, markdown(board)]
    if left_out:
        lines.append(f"Left out, since they share no sentences: {', '.join(left_out)}.\n")
    given.results.mkdir(parents=True, exist_ok=True)
    (given.results / "leaderboard.md").write_text("\n".join(lines), "utf-8")


if __name__ == "__main__":
    main()
