"""What callers of the Python API hand over: put right, or refused with the mend."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping
from typing import Any

from civilly.data.files import mend_surrogates
from civilly.errors import CivillyError
from civilly.languages import AUTO, chosen_language

_SHOWN = 40
"""Characters of a wrong value that a message shows."""
_MANY = "a list, column or array of strings, or a generator"
_MANY_LANGUAGES = "one language for all texts, or a list with one per text, in their order"
_NAMED = {
    "method": '"tuned", or several: "tuned+infill"',
    "engine": '"embedded", "hf:ID", "gguf:FILE" or "openai:URL#MODEL"',
    "select": '"reads"',
    "detector": '"context"',
    "lang": f'"{AUTO}", which detects it',
}
"""What an argument that is a name may be, for example."""


def checked_texts(texts: Iterable[str]) -> list[str]:
    """The texts of a batch, in order, as plain strings that can be encoded.

    A lone surrogate becomes U+FFFD. One string is refused although it is an iterable of strings: it
    would be taken letter by letter, and one result where a list is promised would surprise as much.

    Args:
        texts: A list, column, array or generator of strings.

    Raises:
        CivillyError: If it is something else, or if one of them is no string.
    """
    if isinstance(texts, str):
        raise CivillyError(
            f"texts is one string: {_shown(texts)}.",
            allowed=_MANY,
            mend="Detoxifier().rewrite([text])[0], or civilly.rewrite(text)",
        )
    given = _listed(texts, "texts", _MANY)
    return [_text(text, _place("texts", i)) for i, text in enumerate(given)]


def checked_text(text: str) -> str:
    """One text as a plain string that can be encoded.

    Raises:
        CivillyError: If it is no string.
    """
    if not isinstance(text, str | bytes | bytearray) and isinstance(text, Iterable):
        raise CivillyError(
            f"text is {_shown(text)}, not one string.", mend="Detoxifier().rewrite(texts) for many"
        )
    return _text(text, "text")


def _text(text: Any, name: str) -> str:
    if isinstance(text, str):
        return mend_surrogates(str.__str__(text))  # of a subclass (numpy.str_) the plain string
    if isinstance(text, bytes | bytearray):
        mend = "decode it: text.decode()"
    elif _is_missing(text):
        mend = 'leave it out, or hand over "" for it (a column of pandas: .fillna(""))'
    else:
        mend = "str(…), if it is meant as a text"
    raise CivillyError(f"{name} is {_shown(text)}.", allowed="a string", mend=mend)


def checked_languages(langs: str | Iterable[str], count: int) -> list[str]:
    """A language code or `AUTO` for each of ``count`` texts.

    Args:
        langs: One for all, or one per text; read as `civilly.languages.language_code` does.
        count: Number of texts.

    Raises:
        UnknownNameError: If one is none of our languages.
        CivillyError: If it is no string and no list of strings, or has another length.
    """
    if isinstance(langs, str):
        return [chosen_language(langs, auto=True)] * count
    mend = f'"{AUTO}" where a language is not known'
    given = _listed(langs, "langs", _MANY_LANGUAGES, f'"{AUTO}", which detects each')
    if len(given) != count:
        raise CivillyError(
            f"Got {len(given)} languages for {count} texts.",
            allowed=_MANY_LANGUAGES,
            mend=mend,
        )
    known: dict[str, str] = {}
    for i, lang in enumerate(given):
        if not isinstance(lang, str):
            raise CivillyError(
                f"{_place('langs', i)} is {_shown(lang)}.", allowed="a language code", mend=mend
            )
        if lang not in known:
            known[lang] = chosen_language(lang, auto=True, where=f", {_place('langs', i)}")
    return [known[lang] for lang in given]


def checked_language(lang: str) -> str:
    """The code of one language, or `AUTO`.

    Raises:
        UnknownNameError: If it is none of our languages.
        CivillyError: If it is no string.
    """
    return chosen_language(checked_name(lang, "lang"), auto=True)


def checked_name(name: Any, argument: str) -> str:
    """A string that names something.

    Args:
        name: What was given.
        argument: For which argument.

    Raises:
        CivillyError: If it is no string.
    """
    if not isinstance(name, str):
        raise CivillyError(
            f"{argument} is {_shown(name)}.", allowed="a string", mend=_NAMED[argument]
        )
    return name


def checked_candidates(number: int | None) -> int | None:
    """A number of candidates, or None, which leaves it to the method.

    Raises:
        CivillyError: If it is no whole number, or less than 1.
    """
    if number is None:
        return None
    try:
        whole = 0 if isinstance(number, bool) else operator.index(number)
    except TypeError:
        whole = 0
    if whole < 1:
        raise CivillyError(
            f"n_candidates is {_shown(number)}.",
            allowed="a whole number, 1 or more",
            mend="None, which leaves it to the method",
        )
    return whole


def checked_least(p_toxic: float | None) -> float | None:
    """The least p(toxic) of what is rewritten, or None, which rewrites what the selector would.

    Raises:
        CivillyError: If it is no number in [0, 1].
    """
    if p_toxic is None:
        return None
    try:
        number = -1.0 if isinstance(p_toxic, bool) else float(p_toxic)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= 1:
        raise CivillyError(
            f"only_toxic is {_shown(p_toxic)}.",
            allowed="the least p(toxic) of what is rewritten, from 0 to 1",
            mend="only_toxic=0.5, --only-toxic 0.5",
        )
    return number


def checked_adapter(adapter: str | os.PathLike[str] | None) -> str | None:
    """The path of a folder as a string, or None.

    Raises:
        CivillyError: If it is no path.
    """
    if adapter is None or isinstance(adapter, str | os.PathLike):
        return None if adapter is None else os.fspath(adapter)
    raise CivillyError(f"adapter is {_shown(adapter)}.", allowed="the path of a folder")


def checked_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options of a method by name.

    Raises:
        CivillyError: If it is no mapping of names, or names what has an argument of its own.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise CivillyError(
            f"options is {_shown(options)}.",
            allowed="a dictionary by name",
            mend='options={"decoding": "sample"}',
        )
    if "strength" in options:
        raise CivillyError(
            "The strength is no option of a method.", mend="Detoxifier(strength=…), --strength"
        )
    return dict(options)


def _listed(given: Any, name: str, allowed: str, mend: str = "") -> list[Any]:
    """The items of a list, column, array or generator, in order.

    Args:
        given: What was handed over.
        name: As which argument.
        allowed: What may be.
        mend: What to try instead; empty: that depends on what was given.

    Raises:
        CivillyError: If it has no order, more than one column, or is no list at all.
    """
    shape = getattr(given, "shape", None)
    if isinstance(given, Mapping):
        problem, other = f"is {_shown(given)}", "list(….values()) or list(….keys())"
    elif isinstance(given, set | frozenset):
        problem = "is a set, which has no order: one could not tell which result is whose"
        other = "sorted(…), and keep that list"
    elif isinstance(shape, tuple) and len(shape) != 1:
        problem = f"is a {type(given).__name__} of the shape {shape}"
        other = "one column of it, for example table['text']"
    elif isinstance(given, bytes | bytearray | memoryview) or not isinstance(given, Iterable):
        problem, other = f"is {_shown(given)}", "[text] for one text"
    else:
        return list(given)
    raise CivillyError(f"{name} {problem}.", allowed=allowed, mend=mend or other)


def _is_missing(value: Any) -> bool:
    """Whether it stands for no value: None, NaN, or what pandas has for it."""
    nan = isinstance(value, float) and value != value
    return value is None or nan or type(value).__name__ in ("NAType", "NaTType")


def _place(name: str, index: int) -> str:
    return f"{name} at position {index} (the first is 0)"


def _shown(value: Any) -> str:
    """A wrong value, shortened, and of which type it is."""
    text = " ".join(repr(value).split())
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return text if value is None else f"{text} ({type(value).__name__})"
