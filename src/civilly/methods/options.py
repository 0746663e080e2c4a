"""What a user may say to the methods of a pipeline, and what is refused before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from civilly import registry
from civilly.errors import CivillyError
from civilly.methods.ensemble import options_of

SHARED = ("strength",)
"""Options that a pipeline gives to every method and selector."""


def with_adapter(options: Mapping[str, Any], adapter: str | None) -> dict[str, Any]:
    """The options, with an adapter that was given for itself.

    Raises:
        CivillyError: If the options name one, too.
    """
    if adapter is None:
        return dict(options)
    if options.get("adapter") is not None:
        raise CivillyError(
            "The adapter is given twice.", mend="--adapter or --option adapter=, not both"
        )
    return {**options, "adapter": adapter}


def check_names(options: Mapping[str, Any], names: Sequence[str], selector: str) -> None:
    """Makes sure that every option is known to one of the methods, or to the selector.

    A method or selector that does not say which options it has may have any.

    Args:
        options: As `civilly.methods.ensemble.options_of` takes them.
        names: The methods.
        selector: The selector.

    Raises:
        UnknownNameError: If an option is not known.
    """
    given = {
        key: value for key, value in options.items() if value is not None and key not in SHARED
    }
    shared = [key for key in given if "." not in key]
    known: list[registry.Option] = []
    unseen = False
    for name in names:
        own = options_of(given, name, names)
        declared = registry.options_of(registry.load("methods", name), own)
        if declared is None:
            unseen = True
            continue
        known += declared
        registry.refuse_unknown(
            f"option of the rewriting method {name!r}",
            [key for key in own if key not in shared],
            declared,
        )
    selectors = registry.options_of(registry.load("select", selector), given)
    if selectors is not None and not unseen:
        what = f"the rewriting method{'s' * (len(names) > 1)} {'+'.join(names)!r}"
        registry.refuse_unknown(f"option of {what}", shared, [*known, *selectors])
