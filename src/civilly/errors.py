"""One family of errors: what was wrong, what we got, what is allowed, how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class CivillyError(Exception):
    """Base of every error that Civilly raises on purpose.

    Args:
        problem: What was wrong, with what we got.
        allowed: What would have been right.
        mend: What the user can do now.
    """

    def __init__(self, problem: str, *, allowed: str = "", mend: str = "") -> None:
        self.problem = problem
        self.allowed = allowed
        self.mend = mend
        parts = [problem]
        if allowed:
            parts.append(f"Allowed: {allowed}.")
        if mend:
            parts.append(f"Try: {mend}")
        super().__init__(" ".join(parts))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles what it says, not how it was made: a pool of processes hands errors over so."""
        return _restored, (type(self), self.args, vars(self))


def _restored(
    kind: type[CivillyError], arguments: tuple[Any, ...], content: dict[str, Any]
) -> CivillyError:
    error = kind.__new__(kind, *arguments)
    vars(error).update(content)
    return error


class UnknownNameError(CivillyError):
    """A method, engine, language or metric that nobody registered.

    Args:
        kind: What was looked up, for example ``"rewriting method"``.
        name: The name that was given.
        known: The names that exist.
        where: Which of several it is, as in ``" at position 3"``.
        mend: What to try; None: the known name that is spelt most alike.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        known: Iterable[str],
        *,
        where: str = "",
        mend: str | None = None,
    ) -> None:
        names = sorted(known)
        if mend is None:
            close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            mend = f"did you mean {close[0]!r}?" if close else ""
        super().__init__(f"Unknown {kind} {name!r}{where}.", allowed=", ".join(names), mend=mend)


class MissingExtraError(CivillyError):
    """A feature whose optional packages are not installed.

    Args:
        feature: What was asked for.
        extra: The extra of this package that brings it.
        module: The module that could not be imported.
    """

    def __init__(self, feature: str, extra: str, module: str) -> None:
        self.extra = extra
        super().__init__(
            f"{feature} needs the package {module!r}, which is not installed.",
            mend=f'pip install "civilly[{extra}]"',
        )


class DataError(CivillyError):
    """A file or row that cannot be read or written as asked."""


class ModelError(CivillyError):
    """A model file that is missing, damaged or of another kind than expected."""


class CacheError(CivillyError):
    """The user cache cannot be written, or the disk is full."""


class EngineError(CivillyError):
    """An engine failed to generate.

    Args:
        retryable: Whether the same call may succeed later (a busy server, say).
    """

    def __init__(
        self, problem: str, *, allowed: str = "", mend: str = "", retryable: bool = False
    ) -> None:
        super().__init__(problem, allowed=allowed, mend=mend)
        self.retryable = retryable


class LeakError(CivillyError):
    """Evaluation rows were found in training data."""
