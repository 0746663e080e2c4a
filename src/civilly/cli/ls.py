"""``civilly ls``: what there is to choose from."""

from __future__ import annotations

from typing import Annotated

import typer

from civilly.cli import _console

SHELVES = {
    "languages": "",
    "methods": "methods",
    "engines": "engines",
    "detectors": "detect",
    "selectors": "select",
    "metrics": "score",
    "filters": "synth.filters",
    "options": "",
}
"""What can be listed, with the room that holds it."""


def complete_shelf(incomplete: str) -> list[str]:
    """What can be listed, for shell completion."""
    return [shelf for shelf in SHELVES if shelf.startswith(incomplete)]


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog="Example: civilly ls methods")(ls)


def ls(
    what: Annotated[
        str | None,
        typer.Argument(
            autocompletion=complete_shelf,
            help=f"One of: {', '.join(SHELVES)}. Default: all but options.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    debug: _console.DebugOption = False,
) -> None:
    """List languages, methods, engines, detectors, selectors, metrics, filters, options.

    Options of methods and metrics are given with --option NAME=VALUE, those of engines in their
    address: --engine "hf:MODEL?NAME=VALUE&NAME=VALUE".
    """
    from civilly.data import values
    from civilly.errors import UnknownNameError

    if what is not None and what not in SHELVES:
        raise UnknownNameError("list", what, SHELVES)
    shelves = {shelf: _items(shelf) for shelf in ([what] if what else list(SHELVES)[:-1])}
    if as_json:
        _console.write_out(values.as_json(shelves) + "\n")
        return
    for shelf, items in shelves.items():
        width = max((len(item["name"]) for item in items), default=0)
        lines = "".join(
            f"{item['name']:<{width}}  {item['summary']} ({item['provider']})\n" for item in items
        )
        title = f"{shelf}\n" if what is None else ""
        _console.write_out(title + lines + ("\n" if what is None else ""))


def _items(shelf: str) -> list[dict[str, str]]:
    from civilly import registry
    from civilly.languages import LANGUAGES

    if shelf == "languages":
        return [
            {"name": code, "summary": f"{lang.name}, {lang.script} script", "provider": "civilly"}
            for code, lang in LANGUAGES.items()
        ]
    if shelf == "options":
        return [item for room in ("methods", "engines", "score") for item in _options(room)]
    return [
        {"name": entry.name, "summary": entry.summary, "provider": entry.provider}
        for entry in registry.entries(SHELVES[shelf])
    ]


def _options(room: str) -> list[dict[str, str]]:
    """The options of all methods of a room that say which they have."""
    from civilly import registry

    return [
        {
            "name": f"{entry.name}: {option.name}",
            "summary": option.help + (f" {', '.join(option.values)}." if option.values else ""),
            "provider": entry.provider,
        }
        for entry in registry.entries(room)
        for option in registry.options_of(registry.load(room, entry.name), {}) or ()
    ]
