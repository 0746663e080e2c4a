"""``civilly compare``: which differences between systems are shown by the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from civilly.cli import _console
from civilly.cli._scoring import (
    ConfidenceOption,
    EngineOption,
    LangsOption,
    MismatchOption,
    ReferenceOption,
    SeedOption,
    SuiteOption,
    SuiteOptionsOption,
    check_confidence,
    open_scoring,
    require_distinct_names,
    run_signature,
)
from civilly.cli._table import aligned, p_value
from civilly.data.values import short
from civilly.score import DEFAULT

if TYPE_CHECKING:
    from civilly.score.comparison import Finding
    from civilly.score.scores_file import SystemScores

EXAMPLES = """Examples:

civilly compare baseline.json new.json

civilly compare delete.tsv tuned.tsv --reference dev.tsv --metric SIM"""


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=EXAMPLES)(compare)


def compare(
    systems: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]A [NAME=]B…",
            help="Scores files (.json) of civilly score, or submissions, which are scored first. "
            "A is the baseline.",
        ),
    ],
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            "-m",
            help="Score to compare: J, STA, SIM, FL, or a share of the suite reading: good, gap, "
            "insult+kept, meaning+overcut.",
        ),
    ] = None,
    reference: ReferenceOption = None,
    suite: SuiteOption = DEFAULT,
    option: SuiteOptionsOption = None,
    engine: EngineOption = None,
    lang: LangsOption = None,
    mismatch: MismatchOption = "refuse",
    correction: Annotated[
        str,
        typer.Option(help="Correction over the languages: holm, or bh (Benjamini-Hochberg)."),
    ] = "holm",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    resamples: Annotated[
        int, typer.Option(min=1, help="Bootstrap samples, and sign flips, of each test.")
    ] = 10_000,
    confidence: ConfidenceOption = 0.95,
    seed: SeedOption = 12_345,
    debug: _console.DebugOption = False,
) -> None:
    """Compare systems with a baseline on the same sentences, language by language.

    Prints the difference with its bootstrap interval, the p-values of the paired bootstrap and of
    approximate randomisation, the latter corrected for the number of languages, the verdict, and
    how many sentences would show such a difference (power .8).
    """
    from civilly.errors import CivillyError
    from civilly.score.comparison import compare_systems

    check_confidence(confidence)
    if len(systems) < 2:
        raise CivillyError("There is one system.", mend="civilly compare A B")
    scoring = open_scoring(systems, suite, option, engine, reference, lang, mismatch)
    baseline, *others = [scoring.scores_of(system) for system in systems]
    require_distinct_names([baseline, *others])
    column = metric or baseline.main_column
    findings = compare_systems(baseline, others, column, resamples, confidence, seed, correction)
    drawing = (f"trials:{resamples}", f"seed:{seed}", f"conf:{confidence}")
    signature = run_signature(baseline, *drawing, f"correction:{correction}")
    if as_json:
        _print_json(baseline, findings, column, signature)
        return
    for other in others:
        own = [finding for finding in findings if finding.system == other.system]
        _console.write_out(f"{column}: A = {baseline.system}, B = {other.system}\n")
        _console.write_out(_table(own, confidence) + "\n")
    _console.write_out(f"signature: {signature}\n")


def _table(findings: Sequence[Finding], confidence: float) -> str:
    header = ["lang", "n", "A", "B", f"B - A [{confidence:.0%}]", "p boot", "p rand", "p corr"]
    rows = []
    for finding in findings:
        numbers = finding.comparison
        rows.append(
            [
                _label(finding),
                str(numbers.difference.n),
                short(numbers.mean_a),
                short(numbers.mean_b),
                str(numbers.difference),
                p_value(numbers.p_bootstrap),
                p_value(numbers.p_randomisation),
                p_value(finding.p_corrected),
                finding.verdict,
                "-" if numbers.needed is None else f"{numbers.needed:,}",
            ]
        )
    return aligned([*header, "B is", "needed"], rows)


def _label(finding: Finding) -> str:
    from civilly.score.scoring import AVERAGES

    whole = len(AVERAGES.get(finding.scope, finding.langs))
    part = f" ({len(finding.langs)} of {whole})" if len(finding.langs) < whole else ""
    return finding.scope + part


def _print_json(
    baseline: SystemScores, findings: Sequence[Finding], column: str, signature: str
) -> None:
    from civilly.data.values import as_json

    content = {
        "metric": column,
        "baseline": baseline.system,
        "signature": signature,
        "comparisons": [_plain(finding) for finding in findings],
    }
    _console.write_out(as_json(content) + "\n")


def _plain(finding: Finding) -> dict[str, Any]:
    from dataclasses import asdict

    numbers = asdict(finding.comparison)
    interval = numbers.pop("difference")
    return {
        "system": finding.system,
        "scope": finding.scope,
        "langs": list(finding.langs),
        "n": interval["n"],
        "mean_a": numbers["mean_a"],
        "mean_b": numbers["mean_b"],
        "difference": interval["mean"],
        "low": interval["low"],
        "high": interval["high"],
        "p_bootstrap": numbers["p_bootstrap"],
        "p_randomisation": numbers["p_randomisation"],
        "p_corrected": finding.p_corrected,
        "verdict": finding.verdict,
        "sentences_needed": numbers["needed"],
    }
