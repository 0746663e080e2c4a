"""``civilly serve``: the service for programs, and the page for people, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from civilly.cli import _console
from civilly.cli._options import parse_options
from civilly.cli.rewrite import (
    complete_engine,
    complete_method,
    complete_method_option,
    complete_model,
)

EXAMPLES = """Examples:

civilly serve

civilly serve --port 9000 --method delete --workers 2

civilly serve --host 0.0.0.0 --keys keys.txt --feedback feedback.jsonl"""


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command(epilog=EXAMPLES)(serve)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port; 0 takes any free one.")
    ] = 8000,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes, each with the models in its memory.")
    ] = 1,
    method: Annotated[
        str,
        typer.Option("--method", "-m", autocompletion=complete_method, help="Rewriting method."),
    ] = "tuned",
    engine: Annotated[
        str | None, typer.Option(autocompletion=complete_engine, help="Engine that generates.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(autocompletion=complete_model, help="Size: light or large.")
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="Folder of an adapter instead of the shipped one.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            metavar="NAME=VALUE",
            autocompletion=complete_method_option,
            help="Option of the method: see civilly ls options; repeatable.",
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(help="File of API keys, one a line; also: CIVILLY_API_KEYS. None: all may."),
    ] = None,
    feedback: Annotated[
        Path | None, typer.Option(help="JSONL file that people's decisions are appended to.")
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Origin whose pages may ask; repeatable; * for any."),
    ] = None,
    max_queue: Annotated[
        int, typer.Option(min=1, help="Texts that wait at most; more are refused (429).")
    ] = 1024,
    max_batch: Annotated[int, typer.Option(min=1, help="Texts worked on together at most.")] = 32,
    window: Annotated[
        float, typer.Option(min=0, max=1000, help="Milliseconds to wait for others for a batch.")
    ] = 5.0,
    debug: _console.DebugOption = False,
) -> None:
    """Serve over HTTP: our own JSON, the shapes of other services, a page for moderators.

    It listens on this machine alone unless --host says otherwise, keeps nothing of what it is sent,
    and logs no texts. SIGTERM lets it finish what it has accepted.
    """
    import civilly.serve as room

    room.require()
    from civilly.pipeline import Detoxifier
    from civilly.serve.feedback import append
    from civilly.serve.keys import read_keys
    from civilly.serve.server import run
    from civilly.serve.settings import Settings

    settings = Settings(
        host=host,
        port=port,
        workers=workers,
        method=method,
        model=model,
        engine=engine,
        adapter=adapter,
        options=parse_options(option or []),
        keys=read_keys(keys),
        cors=tuple(cors or ()),
        max_queue=max_queue,
        max_batch=max_batch,
        window_ms=window,
        feedback=feedback,
    )
    # What is wrong with them shows here, and not in each worker.
    Detoxifier(method=method, engine=engine, model=model, adapter=adapter, options=settings.options)
    if feedback is not None:
        append(feedback, [])
    run(settings, _console.note)
