"""Makes a synthetic set in a folder: asks for what is missing, filters, writes everything down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from civilly.data.files import write_bytes
from civilly.data.journal import journal_path, open_journal
from civilly.errors import DataError
from civilly.synth import pair_rows, thread_rows
from civilly.synth.asking import Asking, Task, ask, spent_in
from civilly.synth.budget import Budget, Limits
from civilly.synth.diversity import diversity_of
from civilly.synth.filters import Filter
from civilly.synth.folder import (
    ACCEPTED_FILE,
    ANSWERS_FILE,
    CARD_FILE,
    REJECTED_FILE,
    REPORT_FILE,
    RUN_FILE,
    SPENT_FILE,
    Run,
    answer_rows,
    json_file,
    json_lines,
    read_run,
    write_folder,
)
from civilly.synth.report import card, report_of
from civilly.synth.sifting import sift
from civilly.types import Engine


def make_answers(
    engine: Callable[[], Engine],
    texts: Sequence[Task],
    run: Run,
    asking: Asking,
    folder: Path,
    limits: Limits,
    *,
    resume: bool = False,
    overwrite: bool = False,
    tell: Callable[[int, Budget], object] = lambda done, budget: None,
) -> tuple[list[dict[str, Any]], bool]:
    """Asks for every text and writes the answers; what was answered before is not asked for again.

    Args:
        engine: Opens the engine; not called if there is nothing to ask.
        texts: All texts.
        run: How; the answers of another run are not taken up.
        asking: How to ask.
        folder: Where; made if it is missing.
        limits: What may be spent in all.
        resume: Go on with what is there.
        overwrite: Throw away what is there.
        tell: See `civilly.synth.asking.ask`.

    Returns:
        The rows of the answers, and whether they are those of all texts: a budget may end before.

    Raises:
        DataError: If what is there is in the way, or of other work.
        EngineError: If the engine fails; what was answered is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ANSWERS_FILE
    if resume and path.exists():
        known, rows = read_run(folder)
        if known == run and len(rows) == len(texts):
            journal_path(path).unlink(missing_ok=True)  # a kill may have left it
            return rows, True
        if known != run:
            raise DataError(
                f"{str(folder)!r} holds another set.",
                mend="use the same input and options, or --overwrite to begin again",
            )
    with open_journal(path, asdict(run), len(texts), resume=resume, overwrite=overwrite) as journal:
        if overwrite:
            for name in (ANSWERS_FILE, ACCEPTED_FILE, REJECTED_FILE, REPORT_FILE, SPENT_FILE):
                with suppress(FileNotFoundError):
                    (folder / name).unlink()
        write_bytes(folder / RUN_FILE, json_file(asdict(run)))
        if len(journal.records) < len(texts):
            ask(engine(), texts, asking, journal, limits, tell)
        rows = answer_rows(texts, journal.records)
        complete = len(rows) == len(texts)
        spent = spent_in(journal.records.values())
        write_bytes(folder / SPENT_FILE, json_file({**asdict(spent), "cost": limits.cost(spent)}))
        if complete:
            write_bytes(path, json_lines(rows))
            journal.remove()
    return rows, complete


def write_set(
    folder: Path,
    run: Run,
    rows: Sequence[dict[str, Any]],
    filters: Sequence[Filter],
    *,
    complete: bool,
    notes: Sequence[str] = (),
    real: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Filters answers and writes the accepted and the rejected rows, the report and the card.

    The same answers and filters give the same bytes.

    Args:
        folder: Where.
        run: How the answers were made.
        rows: The answers.
        filters: See `civilly.synth.filters.open_filters`.
        complete: Whether all texts were asked for.
        notes: What the report is to say besides.
        real: Real texts of each language, with which invented ones are compared.

    Returns:
        The report.
    """
    kind = thread_rows if run.way.invents else pair_rows
    verdicts = kind.verdicts_of(run, rows)
    sift(verdicts, filters, one_each=kind.ONE_EACH)
    accepted = [kind.row_of(run, v, rows[v.text]) for v in verdicts if not v.against]
    rejected = [kind.row_of(run, v, rows[v.text]) for v in verdicts if v.against]
    digests = write_folder(
        folder, {ACCEPTED_FILE: json_lines(accepted), REJECTED_FILE: json_lines(rejected)}
    )
    report = report_of(run, rows, verdicts, filters, complete=complete, notes=notes)
    if run.way.invents:
        report["diversity"] = diversity_of(rows, accepted, real)
    report["files"] = digests
    write_folder(
        folder,
        {
            REPORT_FILE: json_file(report),
            CARD_FILE: card(report, run, verdicts).encode(),
        },
    )
    return report
