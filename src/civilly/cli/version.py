"""``civilly version``: the versions that a result depends on."""

from __future__ import annotations

import typer

from civilly.cli import _console


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog="Example: civilly version")(version)


def version() -> None:
    """Show the version of Civilly and of Python."""
    import platform

    from civilly import __version__

    _console.write_out(f"civilly {__version__} (Python {platform.python_version()})\n")
