"""What every engine does alike: checks a request, cleans its text, cuts at stop strings."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from civilly.errors import EngineError
from civilly.registry import Option, refuse_unknown
from civilly.types import GenerationOptions, Prompt


def check(prompts: Sequence[Prompt], options: GenerationOptions) -> None:
    """Refuses options and limits that no engine can serve.

    Raises:
        EngineError: If a number is out of range; nothing was generated then.
    """
    rules = (
        ("n", options.n, options.n >= 1, "1 or more"),
        ("max_new_tokens", options.max_new_tokens, options.max_new_tokens >= 1, "1 or more"),
        ("temperature", options.temperature, 0 <= options.temperature < 100, "0 to 100"),
        ("top_k", options.top_k, options.top_k >= 0, "0 or more"),
        ("top_p", options.top_p, 0 < options.top_p <= 1, "above 0, to 1"),
        ("beams", options.beams, options.beams >= 0, "0 or more"),
        ("groups", options.groups, options.groups >= 1, "1 or more"),
        ("diversity", options.diversity, options.diversity >= 0, "0 or more"),
    )
    for name, value, right, allowed in rules:
        if not right:
            raise EngineError(f"The generation option {name} is {value}.", allowed=allowed)
    if options.temperature > 0 and (options.beams or options.groups > 1):
        raise EngineError(
            "Beams are for temperature 0, and the temperature is above.",
            mend="sample, or search with beams",
        )
    if width_of(options) % options.groups:
        raise EngineError(
            f"{width_of(options)} beams cannot be shared out evenly among {options.groups} groups.",
            mend="a number of beams that is a multiple of the groups",
        )
    for index, prompt in enumerate(prompts):
        if prompt.max_new_tokens is not None and prompt.max_new_tokens < 1:
            raise EngineError(
                f"Prompt {index} asks for {prompt.max_new_tokens} new tokens.", allowed="1 or more"
            )


def check_search(engine: str, options: GenerationOptions, able: Sequence[str]) -> None:
    """Refuses a search that an engine does not have.

    Args:
        engine: The engine's name, for messages.
        options: What is asked for.
        able: Which of ``beam`` and ``diverse`` the engine has.

    Raises:
        EngineError: If options ask for beams or groups by name, and the engine has none.
    """
    asked = "diverse" if options.groups > 1 else "beam" if options.beams else ""
    if asked and asked not in able:
        raise EngineError(
            f"The engine {engine!r} has no {'diverse ' * (asked == 'diverse')}beam search.",
            allowed=", ".join(("greedy", "sample", *able)),
            mend="another decoding, or an engine that has it: hf:MODEL",
        )


def width_of(options: GenerationOptions) -> int:
    """Sequences that are kept per prompt: the beams, and at least ``n``."""
    return max(options.n, options.beams)


def limit_of(prompt: Prompt, options: GenerationOptions) -> int:
    """The most new tokens of one prompt: its own limit, or else the options'."""
    return options.max_new_tokens if prompt.max_new_tokens is None else prompt.max_new_tokens


def well_formed(text: str) -> str:
    """The text with every lone surrogate replaced by U+FFFD, so that UTF-8 can carry it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def as_written(token: str) -> tuple[str, ...]:
    """How a token may stand in an answer: SentencePiece's ``▁`` is a space there, or nothing."""
    bare = token.lstrip("▁")
    return (token,) if bare in ("", token) else (token, f" {bare}", bare)


def cut_at_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """The text before the first stop string, and whether there was one."""
    cuts = [position for word in stop if word and (position := text.find(word)) >= 0]
    return (text[: min(cuts)], True) if cuts else (text, False)


def read_options(engine: str, query: str, known: Sequence[Option]) -> dict[str, str]:
    """Reads the options of an engine's target, written like ``batch=4&dtype=fp32``.

    Args:
        engine: The engine's name, for messages.
        query: What follows the question mark.
        known: The engine's options.

    Returns:
        All options: those given, and the defaults of the others.

    Raises:
        UnknownNameError: If there is no option of a given name.
        EngineError: If an option has no value.
    """
    given = parse_qsl(query, keep_blank_values=True)
    refuse_unknown(f"option of the engine {engine!r}", [name for name, _ in given], known)
    chosen = {option.name: option.default for option in known}
    for name, value in given:
        if not value:
            raise EngineError(
                f"The option {name!r} of the engine {engine!r} has no value.",
                mend=f"?{name}={chosen[name]}, its default, or leave it out",
            )
        chosen[name] = value
    return chosen


def refuse_target(engine: str, target: str) -> None:
    """Makes sure that an engine that opens nothing is given nothing to open.

    Raises:
        EngineError: If it is.
    """
    if target:
        raise EngineError(
            f"The engine {engine!r} opens nothing, but was given {target!r}.",
            mend=f"--engine {engine}",
        )


def choice(engine: str, name: str, value: str, allowed: Sequence[str]) -> str:
    """One of a few words.

    Raises:
        EngineError: If the value is none of them.
    """
    if value not in allowed:
        raise EngineError(
            f"The option {name!r} of the engine {engine!r} is {value!r}.",
            allowed=", ".join(allowed),
        )
    return value


def positive(engine: str, name: str, value: str) -> float:
    """A number above zero.

    Raises:
        EngineError: If the value is anything else.
    """
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise EngineError(
            f"The option {name!r} of the engine {engine!r} is {value!r}.",
            allowed="a number above 0",
        )
    return number
