"""Who generates: one file per runtime."""

from __future__ import annotations

from civilly import registry
from civilly.types import Engine

DEFAULT = "embedded"
"""The engine that is used when nobody names one."""


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
    name, _, target = (spec or DEFAULT).strip().partition(":")
    engine: Engine = registry.create("engines", name, target)
    return engine
