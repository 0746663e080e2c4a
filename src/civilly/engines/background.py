"""Native models that load in the background, and load anew in a forked child."""

from __future__ import annotations

import atexit
import ctypes
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import Any
from weakref import WeakMethod, WeakSet


class Background:
    """What a function makes on a thread of its own, for whoever asks first to wait for.

    A forked child (``os.fork``, ``multiprocessing`` by fork, a web server that loads before it
    forks) has the memory of its parent but none of its threads, so a model with threads of its own
    would be waited for without end. In such a child the function is called again, when it is first
    asked for. A fork waits for what is being loaded, as it would leave half of it behind.

    Args:
        load: A method that makes it; for a native library, which does not hold the interpreter
            meanwhile. Whose method it is holds this object, and is not held by it.
    """

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = WeakMethod(load)
        self._starting = Lock()
        self._pending: Future[Any] | None = None
        self._start()
        _LIVING.add(self)

    def _start(self) -> Future[Any]:
        with self._starting:
            if self._pending is None:
                loader = ThreadPoolExecutor(1, "load")
                self._pending = loader.submit(self._made)
                loader.shutdown(wait=False)
            return self._pending

    def _made(self) -> Any:
        load = self._load()
        return load() if load is not None else None  # nobody is left to ask for it

    def result(self) -> Any:
        """What was made.

        Raises:
            Exception: What the function raised.
        """
        return self._start().result()

    def finish(self) -> None:
        """Waits until it is made, or has failed."""
        if self._pending is not None:
            wait([self._pending])

    def let_go(self) -> None:
        """Destroys it, unless somebody else holds it."""
        self.finish()
        self._pending = None

    def forget(self) -> None:
        """Lets go of what another process made, but never destroys it.

        Destroying it would wait for its threads, which are not here: a reference too many keeps it
        also from the interpreter's cleaning up at the end.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._pending))
        self._pending = None
        self._starting = Lock()  # another thread of the parent may have held the old one


_LIVING: WeakSet[Background] = WeakSet()


def _finish_all() -> None:
    for each in list(_LIVING):
        each.finish()


def _forget_all() -> None:
    for each in list(_LIVING):
        each.forget()


@atexit.register
def _let_go_of_all() -> None:
    """A model that a script still holds at its end must not outlive the interpreter.

    CTranslate2 waits for its threads when it is destroyed and lets go of the interpreter meanwhile;
    while that is shutting down it never comes back, and the process aborts.
    """
    for each in list(_LIVING):
        each.let_go()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(before=_finish_all, after_in_child=_forget_all)
