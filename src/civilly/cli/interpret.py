"""``civilly interpret``: looks into the model that rewrites, and reports what it finds there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from civilly.cli import _console
from civilly.cli._options import DataOption
from civilly.cli._verbs import Shell
from civilly.errors import MissingExtraError

verbs = Shell(
    help="Look into the model: which latents find a text toxic, and what they do.",
    epilog="Example: civilly interpret report runs/sae",
)


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.add_typer(verbs, name="interpret")


@contextlib.contextmanager
def needing_extra(feature: str) -> Iterator[None]:
    """Turns a package that cannot be imported into the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        extra = "train" if error.name in ("sklearn", "scipy") else "sae"
        raise MissingExtraError(feature, extra, error.name or "torch") from error


@verbs.command(epilog="Example: civilly interpret report runs/sae")
def report(
    sae: Annotated[
        str,
        typer.Argument(
            help="Folder of a sparse autoencoder or of `civilly train sae`, embedded, or the name "
            "of a published one."
        ),
    ] = "embedded",
    model: Annotated[
        str, typer.Option(help="Model: embedded, a folder in Hugging Face form, or a hub id.")
    ] = "embedded",
    written: Annotated[
        Path, typer.Option(help="Folder of detector.toml and authored_pairs.")
    ] = Path("recipes"),
    per_language: Annotated[
        int, typer.Option(min=2, help="The most held-out texts of each language.")
    ] = 60,
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    debug: _console.DebugOption = False,
) -> None:
    """Measure how well a sparse autoencoder describes the model, per language.

    Into a folder of civilly train sae it writes report.json and report.md.
    """
    from civilly.data.pairs import data_folder

    with needing_extra("Measuring a sparse autoencoder"):
        from civilly.data.values import as_json as printed
        from civilly.interpret.report import as_markdown
        from civilly.interpret.report_run import report_folder

        folder = data_folder(data)
        reports = report_folder(sae, model, folder, written, per_language, _console.note)
    if as_json:
        text = printed([each.as_json() for each in reports]) + "\n"
    else:
        text = "\n".join(map(as_markdown, reports))
    _console.write_out(text)
