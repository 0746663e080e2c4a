"""Who generates: one file per runtime."""

from __future__ import annotations

from civilly import registry
from civilly.types import Engine

DEFAULT = "embedded"
"""The engine that is used when nobody names one."""


def engine_name(spec: str | None = None) -> str:
    """The registered engine that a specification names; see `open_engine`."""
    return (spec or DEFAULT).strip().partition(":")[0]


def open_engine(spec: str | None = None) -> Engine:
    """Opens the engine that a specification names; the only place where one is parsed.

    Args:
        spec: A registered engine, or an engine and what it opens, separated by a colon:
            ``embedded``, ``echo``, ``hf:org/name@revision``, ``hf:folder``,
            ``openai:http://host:port/v1#model``. None is the embedded model.

    Raises:
        UnknownNameError: If no engine has that name.
        EngineError: If what follows the colon is not what the engine expects.
    """
    target = (spec or DEFAULT).strip().partition(":")[2]
    engine: Engine = registry.create("engines", engine_name(spec), target)
    return engine


def check_engine(spec: str | None) -> None:
    """Makes sure that a specification is understood, without opening anything.

    Raises:
        UnknownNameError: If no engine has that name, or it has no option of a given name.
        EngineError: If what follows the colon is not what the engine expects.
    """
    check = getattr(registry.load("engines", engine_name(spec)), "check_target", None)
    if check is not None:  # an engine of another package may have none
        check((spec or DEFAULT).strip().partition(":")[2])
