"""How verbs behave on the command line, whichever they are: their help, their usage errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _without_type(params: list[Any]) -> None:
    """A flag takes no value, so its help shows no type."""
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""


class Verb(TyperCommand):
    """One verb."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its options and arguments, ``--help`` among them."""
        params: list[Any] = list(super().get_params(ctx))
        _without_type(params)
        return params


class TextVerb(Verb):
    """A verb that takes a text, and knows what to do with one that begins with a dash."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the arguments; who gave a text that looks like an option is told how to give it."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            # Which library the error comes from depends on the version of Typer.
            if type(error).__name__ == "NoSuchOption":
                error.message += (  # type: ignore[attr-defined]
                    ". A text that begins with a dash is given with --text, or after --"
                )
            raise


class Verbs(TyperGroup):
    """A group of verbs, which shows its help to whoever names none of them."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its options, ``--help`` among them."""
        params: list[Any] = list(super().get_params(ctx))
        _without_type(params)
        return params

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the arguments; none at all ask for the help, which is no error."""
        asked = args or ctx.resilient_parsing or not self.no_args_is_help
        return super().parse_args(ctx, args if asked else [*ctx.help_option_names[-1:]])


class Shell(typer.Typer):
    """An app whose verbs are of these kinds."""

    def __init__(self, **options: Any) -> None:
        super().__init__(cls=Verbs, no_args_is_help=True, **options)

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **options: Any
    ) -> Callable[[_Function], _Function]:
        """Adds a verb; see `typer.Typer.command`."""
        return super().command(name, cls=cls or Verb, **options)
