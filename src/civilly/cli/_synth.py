"""What the verbs that make synthetic data have in common: options, filters, progress, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from civilly.cli import _console
from civilly.cli._options import parse_options
from civilly.cli._source import a_file
from civilly.errors import CivillyError

if TYPE_CHECKING:
    from civilly.synth.budget import Budget
    from civilly.synth.filters import Filter

_SECONDS_BETWEEN_LINES = 5.0

FolderOption = Annotated[
    Path, typer.Option("--output", "-o", callback=a_file, help="Folder for the set.")
]
EngineOption = Annotated[
    str | None, typer.Option(help="Engine that generates: see civilly ls engines.")
]
CandidatesOption = Annotated[
    int, typer.Option("--n-candidates", "-n", min=1, help="Candidates per text.")
]
TemperatureOption = Annotated[float, typer.Option(min=0.0, help="0 is greedy: one candidate.")]
SeedOption = Annotated[int, typer.Option(help="Seed of sampling.")]
ShotsOption = Annotated[
    int, typer.Option("--examples", min=0, max=4, help="Examples in a prompt, of its language.")
]
AtOnceOption = Annotated[
    int | None, typer.Option(min=1, help="Requests at a time. Default: what the engine says.")
]
RequestsOption = Annotated[int | None, typer.Option(min=1, help="Budget: requests in all.")]
TokensOption = Annotated[
    int | None, typer.Option(min=1, help="Budget: tokens in all, read and written.")
]
MoneyOption = Annotated[
    float | None, typer.Option(min=0.0, help="Budget: money in all; needs prices.")
]
ReadPriceOption = Annotated[float, typer.Option(min=0.0, help="Price of a million tokens read.")]
WrittenPriceOption = Annotated[
    float, typer.Option(min=0.0, help="Price of a million tokens written.")
]
LicenceOption = Annotated[
    str, typer.Option(help="Licence (SPDX) of texts whose column licence states none.")
]
ModelLicenceOption = Annotated[
    str, typer.Option(help="Terms (SPDX) under which the model's outputs may be used.")
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option("--allow", help="A licence that is allowed too; repeatable."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FILTER=VALUE", help="Another threshold; repeatable."),
]
WithoutOption = Annotated[
    list[str] | None, typer.Option("--without", metavar="FILTER", help="Leave a filter out.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on after a stop.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Begin again.")]
JsonOption = Annotated[bool, typer.Option("--json", help="The report as one JSON object.")]


def filters_of(
    thresholds: list[str] | None,
    without: list[str] | None,
    data: Path | None,
    allow: list[str] | None,
) -> tuple[list[Filter], list[str]]:
    """The filters, and what they cannot know."""
    from civilly.data.corpus.recipe import SHIPPABLE
    from civilly.data.pairs import data_folder
    from civilly.errors import DataError
    from civilly.synth.filters import NO_DATA, FilterTools, open_filters

    notes = []
    try:
        folder = data_folder(data)
    except DataError:
        if data is not None:
            raise
        folder = None
        notes = [f"Leaks were not looked for: {NO_DATA}."]
        _console.warn(notes)
    tools = FilterTools(folder, [*SHIPPABLE, *(allow or [])])
    return open_filters(tools, parse_options(thresholds or []), without or []), notes


def engine_of(spec: str | None) -> tuple[str, str, tuple[str, ...]]:
    """Its name, its model, and where an answer ends.

    A server's chat model ends its answers itself; others would go on with further examples.
    """
    from civilly.engines import check_engine, engine_name, model_name

    check_engine(spec)
    name = engine_name(spec)
    if name == "openai":
        return name, (spec or "").partition("#")[2], ()
    return name, model_name(spec) if spec else name, ("\n\n",)


def digest(rows: Any) -> str:
    import hashlib

    return hashlib.sha256(repr(rows).encode("utf-8", "replace")).hexdigest()


def teller(total: int) -> Callable[[int, Budget], None]:
    """A running count on standard error."""
    last = 0.0

    def tell(done: int, budget: Budget) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES or done == total:
            last = now
            _console.note(f"asked: {done}/{total} texts, {budget}")

    return tell


def show(report: Mapping[str, Any], folder: Path, as_json: bool) -> None:
    from civilly.cli._table import aligned
    from civilly.data.values import as_json as to_json

    if as_json:
        _console.write_out(to_json(report) + "\n")
    else:
        rows = [
            (each["name"], "" if each["threshold"] is None else f"{each['threshold']:g}",
             str(each["took"]), str(each["failed"]), str(each["alone"]), each["summary"])
            for each in report["filters"]
        ]  # fmt: skip
        langs = [(code, str(n["texts"]), str(n["accepted"]))
                 for code, n in report["languages"].items()]  # fmt: skip
        header = ("filter", "threshold", "took", "failed", "alone", "looks for")
        _console.write_out(aligned(header, rows) + "\n")
        _console.write_out(aligned(("lang", "texts", "accepted"), langs))
    following = 'name it in a recipe as a source of the kind "synthetic"'
    _console.done(folder, following if report["use"] == "pairs" else "")


def real_of(data: Path | None, langs: Sequence[str]) -> dict[str, list[str]]:
    """Real toxic texts, with which invented ones are compared; none without a data folder."""
    from civilly.data.pairs import data_folder
    from civilly.errors import DataError
    from civilly.synth.diversity import real_texts

    try:
        return real_texts(data_folder(data), langs)
    except DataError:
        return {}


def one_beginning(resume: bool, overwrite: bool) -> None:
    """Refuses what would both go on and begin again."""
    if resume and overwrite:
        raise CivillyError("--resume and --overwrite exclude each other.", mend="give one")


def ended(complete: bool, answered: int, asked: int) -> None:
    """Says so if a budget ended the asking."""
    if not complete:
        _console.note(
            f"the budget ended after {answered} of {asked}; go on with --resume and a larger one"
        )
