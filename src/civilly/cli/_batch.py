"""The work of ``civilly rewrite FOLDER -o FOLDER``: a job, here or on Ray."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from civilly.batch.job import ASIDE, Job, Outcome, opened, shards_in
from civilly.batch.source import Reading
from civilly.cli import _console
from civilly.errors import CivillyError

if TYPE_CHECKING:
    from civilly.pipeline import Detoxifier

SECONDS_BETWEEN_LINES = 5.0


def to_folder(
    detoxifier: Detoxifier,
    given: Path,
    output: Path,
    reading: Reading,
    *,
    runner: str,
    workers: int | None,
    address: str | None,
    json_lines: bool,
    overwrite: bool,
) -> None:
    """Rewrites the files of a folder into another folder; run again, it goes on."""
    if runner == "ray":
        from civilly.batch.ray import require

        require()
    folder, names = shards_in(given.absolute(), output.absolute(), reading.format)
    job = Job(folder, names, output.absolute(), detoxifier, reading, json_lines)
    outcomes: list[Outcome] = []
    with opened(job, overwrite=overwrite) as identity:
        advance = _progress(len(names), outcomes)
        try:
            for outcome in _started(job, identity, advance, runner, workers, address):
                outcomes.append(outcome)
                if outcome.error:
                    _console.warn([f"{outcome.name}: {outcome.error}"])
        except KeyboardInterrupt:
            _console.note(
                f"stopped after {len(outcomes)} of {len(names)} files; the same command goes on"
            )
            raise typer.Exit(130) from None
    _tell(outcomes, output)


def _started(
    job: Job,
    identity: Mapping[str, Any],
    advance: Callable[[int], None],
    runner: str,
    workers: int | None,
    address: str | None,
) -> Iterator[Outcome]:
    if runner == "local":
        from civilly.batch.local import run

        return run(job, identity, advance)
    from civilly.batch.ray import run as run_on_ray

    return run_on_ray(job, identity, advance, workers, address)


def _progress(total: int, outcomes: list[Outcome]) -> Callable[[int], None]:
    """Says on standard error now and then how far the job is."""
    began = last = time.monotonic()
    done = 0

    def advance(rows: int) -> None:
        nonlocal done, last
        done += rows
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            _console.note(
                f"rewriting: {len(outcomes)}/{total} files, {done} rows, "
                f"{done / (now - began):.1f} rows/s"
            )

    return advance


def _tell(outcomes: list[Outcome], output: Path) -> None:
    rows, changed = (sum(getattr(each, name) for each in outcomes) for name in ("rows", "changed"))
    finished = [each for each in outcomes if not each.error]
    before = sum(each.done_before for each in finished)
    earlier = f" ({before} by an earlier run)" if before else ""
    _console.note(
        f"{len(finished)} files{earlier}, {rows} rows, {changed} rewritten, "
        f"{rows - changed} kept: {output}"
    )
    if bad := sum(each.bad for each in finished):
        _console.warn([f"{bad} rows were mended or set aside: {output / ASIDE / 'bad'}"])
    if len(finished) < len(outcomes):
        raise CivillyError(
            f"{len(outcomes) - len(finished)} of {len(outcomes)} files were set aside; what is "
            f"wrong with them stands in {str(output / ASIDE / 'bad')!r}.",
            mend="mend or remove them; the same command goes on",
        )
