"""Says on stderr what is being built in the cache, and how far it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def reported(task: str) -> Iterator[Any]:
    """A progress bar on stderr at a terminal, one line elsewhere; yields ``report(share)``."""
    if not sys.stderr.isatty():
        print(f"civilly: {task} …", file=sys.stderr)  # noqa: T201 - this is the progress report
        yield lambda share: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        row = bar.add_task(task, total=1.0)
        yield lambda share: bar.update(row, completed=share)
