"""Who generates: one file per runtime."""

from __future__ import annotations

from civilly import registry
from civilly.errors import CivillyError, ModelError, UnknownNameError
from civilly.types import Engine

DEFAULT = "embedded"
"""The engine that is used when nobody names one."""
MODELS = {"light": DEFAULT, "large": "large"}
"""The sizes that the product comes in, and the engine of each."""


def engine_name(spec: str | None = None) -> str:
    """The registered engine that a specification names; see `open_engine`."""
    return (spec or DEFAULT).strip().partition(":")[0]


def open_engine(spec: str | None = None) -> Engine:
    """Opens the engine that a specification names; the only place where one is parsed.

    Args:
        spec: A registered engine, or an engine and what it opens, separated by a colon:
            ``embedded``, ``echo``, ``hf:org/name@revision``, ``hf:folder``, ``gguf:file``,
            ``openai:http://host:port/v1#model``. None is the embedded model.

    Raises:
        UnknownNameError: If no engine has that name.
        EngineError: If what follows the colon is not what the engine expects.
        ModelError: If it is a file that is not there, or another kind of model.
    """
    target = (spec or DEFAULT).strip().partition(":")[2]
    engine: Engine = registry.create("engines", engine_name(spec), target)
    return engine


def engine_of(model: str | None, engine: str | None) -> str | None:
    """The engine that a size of the product stands for, or the one that was named instead.

    Raises:
        UnknownNameError: If there is no such size.
        CivillyError: If both are given.
    """
    if model is None:
        return engine
    if engine is not None:
        raise CivillyError(
            f"The model {model!r} and the engine {engine!r} exclude each other.",
            mend="give one of them",
        )
    if model not in MODELS:
        raise UnknownNameError("model", model, MODELS)
    return MODELS[model]


def shipped_name(method: str, spec: str | None) -> str:
    """What the adapter is called that the package brings for a method on an engine.

    Raises:
        ModelError: If the package can bring none, as the engine opens models of the user's.
    """
    names = getattr(registry.load("engines", engine_name(spec)), "ADAPTERS", {})
    name = names.get(method, method)
    if name is None:
        raise ModelError(
            f"Civilly brings no adapter of the method {method!r} for the engine "
            f"{engine_name(spec)!r}.",
            mend="--adapter FOLDER, with one that was trained on its model, or --method prompt",
        )
    return str(name)


def model_name(spec: str) -> str:
    """What the model is called that a specification opens: some ways to ask it are known by that.

    Raises:
        ModelError: If it is a file that cannot be read.
    """
    module = registry.load("engines", engine_name(spec))
    if hasattr(module, "model_name"):
        return str(module.model_name(spec.strip().partition(":")[2]))
    return str(getattr(module, "MODEL", spec))


def check_engine(spec: str | None) -> None:
    """Makes sure that a specification is understood, without opening a model.

    Raises:
        UnknownNameError: If no engine has that name, or it has no option of a given name.
        EngineError: If what follows the colon is not what the engine expects.
        ModelError: If it is a file that is not there, or another kind of model.
    """
    check = getattr(registry.load("engines", engine_name(spec)), "check_target", None)
    if check is not None:  # an engine of another package may have none
        check((spec or DEFAULT).strip().partition(":")[2])
