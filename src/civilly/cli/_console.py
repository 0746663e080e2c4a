"""What the verbs share: stdout and stderr, colours, progress, errors."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from civilly.errors import CivillyError, DataError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_state = {"debug": False}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SECONDS_BETWEEN_LINES = 5.0


def _set_debug(wanted: bool) -> bool:
    _state["debug"] = _state["debug"] or wanted
    return wanted


def debugging() -> bool:
    """Whether ``--debug`` was given."""
    return _state["debug"]


DebugOption = Annotated[
    bool, typer.Option("--debug", callback=_set_debug, help="Show the traceback of an error.")
]


def stdin_is_terminal() -> bool:
    """Whether a person would have to type what is read from standard input."""
    return sys.stdin is not None and sys.stdin.isatty()


def stdout_is_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout is not None and sys.stdout.isatty()


def occupy_closed_streams() -> None:
    """Keeps the numbers of standard streams that are closed from becoming those of other files.

    Otherwise a file that is opened later would be taken for standard output or error by whoever
    writes there. What stands in their place can be neither read nor written.
    """
    for number, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_RDONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)


def write_out(content: str | bytes) -> None:
    """Writes a result to standard output, always in UTF-8.

    At a terminal, control characters are shown as escapes: a text from elsewhere must not be able
    to move the cursor or change the window's title. A bar of `progress` makes way.

    Raises:
        BrokenPipeError: If nobody reads on, as after ``| head``.
        DataError: If standard output is closed, or cannot be written, as when the disk is full.
    """
    if sys.stdout is None:
        raise DataError("Standard output is closed.", mend="leave it open, or send it to a file")
    if stdout_is_terminal():
        text = content.decode("utf-8", errors="replace") if isinstance(content, bytes) else content
        content = visible(text)
    data = content if isinstance(content, bytes) else content.encode("utf-8", errors="replace")
    try:
        with _without_bar():
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        drop_output()
        raise DataError(
            f"Standard output cannot be written: {error.strerror}.", mend="send it elsewhere"
        ) from error


def drop_output() -> None:
    """Throws away what could not be written to standard output, lest Python try again at its end.

    Python would report that without saying what it means, and with an exit code of its own.
    """
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def visible(text: str) -> str:
    """``text`` with control characters, but for tabs and line feeds, written as escapes."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)


def console() -> Console:
    """Standard error as a rich console: coloured only at a terminal, and not under ``NO_COLOR``."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def note(message: str) -> None:
    """Tells the user something on standard error."""
    with suppress(OSError):  # nobody reads it, but the work goes on
        typer.echo(visible(message), err=True)


def done(result: object, following: str = "") -> None:
    """Tells the user that a result is there, and what to do with it."""
    note(f"done: {result}")
    if following:
        note(f"  next: {following}")


def warn(messages: Iterable[str]) -> None:
    """Warns the user on standard error, one line per message."""
    with suppress(OSError):
        for message in messages:
            console().print(f"[yellow]warning:[/] {_escaped(message)}")


def report_error(error: CivillyError) -> None:
    """Prints an error as one red line, and the mend below it."""
    allowed = f" Allowed: {error.allowed}." if error.allowed else ""
    with suppress(OSError):
        console().print(f"[bold red]error:[/] [red]{_escaped(error.problem + allowed)}[/]")
        if error.mend:
            console().print(f"  try: {_escaped(error.mend)}")


def _escaped(message: str) -> str:
    from rich.markup import escape

    return escape(visible(message.replace("\n", " ")))


class Advance(Protocol):
    """Reports that some more rows are done."""

    def __call__(self, rows: int) -> None:
        """``rows`` more rows are done."""


_bars: list[Progress] = []
"""The bar that is shown, if one is."""


@contextmanager
def _without_bar() -> Iterator[None]:
    """Takes the bar off the terminal meanwhile: it must not stand in the midst of a result."""
    for bar in _bars:
        bar.stop()
    yield
    for bar in _bars:
        bar.start()


@contextmanager
def progress(what: str, total: int, done: int = 0, quiet: bool = False) -> Iterator[Advance]:
    """Shows progress on standard error: a bar at a terminal, now and then a line elsewhere.

    Args:
        what: What is being done, for example ``"rewriting"``.
        total: How many rows there are.
        done: How many were done before.
        quiet: Show nothing, because it is too little work.
    """
    if quiet or sys.stderr is None:
        yield lambda rows: None
    elif sys.stderr.isatty():
        yield from _bar(what, total, done)
    else:
        yield from _lines(what, total, done)


def _bar(what: str, total: int, done: int) -> Iterator[Advance]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    # Results are never redirected to the bar's console: they go to standard output as they are.
    with Progress(*columns, console=console(), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(what, total=total, completed=done)
        _bars.append(bar)
        try:
            yield lambda rows: bar.advance(task, rows)
        finally:
            _bars.remove(bar)


def _lines(what: str, total: int, done: int) -> Iterator[Advance]:
    begin = last = time.monotonic()
    before = done

    def advance(rows: int) -> None:
        nonlocal done, last
        done += rows
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES or done == total:
            last = now
            speed = (done - before) / max(now - begin, 1e-9)
            note(f"{what}: {done}/{total} rows, {speed:.1f} rows/s")

    yield advance
