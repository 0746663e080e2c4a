"""The command line: one file per verb. Results go to stdout, everything else to stderr.

Nothing heavy is imported here or at the top of a verb's file, so that ``--help`` and shell
completion are instant.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from civilly.cli import (
    agreement,
    compare,
    data,
    detect,
    doctor,
    interpret,
    leaderboard,
    ls,
    rewrite,
    route,
    score,
    serve,
    synth,
    train,
    version,
)
from civilly.cli._console import debugging, drop_output, occupy_closed_streams, report_error
from civilly.cli._verbs import Shell
from civilly.errors import CivillyError, LeakError

app = Shell(
    name="civilly",
    help="Say the same thing, civilly: rewrites toxic text in 15 languages, offline.",
    epilog='Example: civilly rewrite "What the hell is wrong with you?"',
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
rewrite.add_to(app)
detect.add_to(app)
serve.add_to(app)
score.add_to(app)
compare.add_to(app)
leaderboard.add_to(app)
route.add_to(app)
agreement.add_to(app)
train.add_to(app)
data.add_to(app)
synth.add_to(app)
interpret.add_to(app)
ls.add_to(app)
doctor.add_to(app)
version.add_to(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        version.version()
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Options before the verb."""


def main() -> None:
    """Runs the command line; the entry point ``civilly``.

    Exit codes: 0 done, 1 evaluation rows in training data, 2 another error that the user can mend,
    130 interrupted.
    """
    occupy_closed_streams()
    try:
        app()
    except (CivillyError, OSError) as error:
        if debugging():
            raise
        known = error if isinstance(error, CivillyError) else _of_the_system(error)
        report_error(known)
        drop_output()
        sys.exit(1 if isinstance(error, LeakError) else 2)


def _of_the_system(error: OSError) -> CivillyError:
    """What the operating system refused and nobody nearer could explain."""
    where = f"{str(error.filename)!r}: " if error.filename else ""
    return CivillyError(
        f"{where}{error.strerror or error}.", mend="--debug shows where it happened"
    )
