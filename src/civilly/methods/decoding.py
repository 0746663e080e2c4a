"""How a method that generates decodes: the option ``decoding`` and what goes with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from civilly.errors import CivillyError, UnknownNameError
from civilly.registry import Option
from civilly.types import GenerationOptions

KINDS = ("greedy", "beam", "diverse", "sample")
"""What ``decoding`` may be."""
CANDIDATES = 4
"""Candidates per text of every decoding but ``greedy``, where the user does not say."""
TEMPERATURE = 0.7
"""Of sampling, where the user does not say."""
DIVERSITY = 0.5
"""Of diverse beam search, where the user does not say, in nats; the paper's range is .2 to .8."""
OPTIONS = (
    Option("decoding", "Search; diverse is for --engine hf:MODEL only.", KINDS),
    Option("temperature", "Of sampling: 0 to 100."),
    Option("top_k", "Sample among the k best tokens; 0 is all."),
    Option("top_p", "Sample among the best tokens of this probability in all."),
    Option("beams", "Width of a beam search."),
    Option("groups", "Groups of a diverse beam search."),
    Option("diversity", "What a token costs in nats that an earlier group took."),
    Option("seed", "Seed of sampling."),
)
"""Options of a method that decodes as it is told."""
ADAPTER_OPTION = Option("adapter", "Folder of another adapter, or of the training that made it.")
_BELONGS = {
    "temperature": ("sample",),
    "top_k": ("sample",),
    "top_p": ("sample",),
    "beams": ("beam", "diverse"),
    "groups": ("diverse",),
    "diversity": ("diverse",),
}
"""Which options make sense with which decodings."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How candidates are generated.

    Attributes:
        kind: One of `KINDS`; None where the user does not say, by a temperature neither: greedy
            for one candidate, and for several what the method does by itself.
        temperature: Of sampling, above 0; None: `TEMPERATURE`.
        top_k: Sample among the k best tokens; 0 is all of them.
        top_p: Sample among the fewest best tokens that together have this probability, in (0, 1].
        beams: Width of a beam search; 0 is the number of candidates, and not less.
        groups: Groups of a diverse beam search; 0 is one per beam.
        diversity: What a token costs per beam of the groups before that took it, in nats.
        seed: Seed of sampling.
    """

    kind: str | None = None
    temperature: float | None = None
    top_k: int = 0
    top_p: float = 1.0
    beams: int = 0
    groups: int = 0
    diversity: float = DIVERSITY
    seed: int = 0

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Decoding:
        """Takes the options of a method that are about decoding.

        Raises:
            UnknownNameError: If there is no such decoding.
            CivillyError: If a value is out of range, or does not go with the decoding.
        """
        kind = options.get("decoding")
        if kind is not None and kind not in KINDS:
            raise UnknownNameError("decoding", str(kind), KINDS)
        chosen: dict[str, Any] = {}
        for name, (convert, right, allowed) in _RANGES.items():
            if options.get(name) is not None:
                chosen[name] = _number(name, options[name], convert, right, allowed)
        if kind is None and chosen.get("temperature", 0) > 0:
            kind = "sample"
        _check_together(kind, chosen)
        return cls(kind=kind, **chosen)

    def generation(self, n: int, **more: Any) -> GenerationOptions:
        """What an engine is asked for.

        Args:
            n: Candidates per text.
            more: Further fields of `GenerationOptions`.

        Raises:
            CivillyError: If several candidates are asked of greedy decoding.
        """
        if self.kind == "greedy" and n > 1:
            raise CivillyError(
                f"Greedy decoding gives one candidate, not {n}.",
                mend="decoding=beam, diverse or sample",
            )
        if self.kind == "sample":
            return GenerationOptions(
                n=n,
                temperature=TEMPERATURE if self.temperature is None else self.temperature,
                top_k=self.top_k,
                top_p=self.top_p,
                seed=self.seed,
                **more,
            )
        if self.kind in ("beam", "diverse"):
            beams = max(n, self.beams)
            groups = self.groups or beams
            if self.kind == "beam":
                return GenerationOptions(n=n, beams=beams, **more)
            return GenerationOptions(
                n=n, beams=beams, groups=groups, diversity=self.diversity, **more
            )
        return GenerationOptions(n=n, **more)


def _check_together(kind: str | None, chosen: Mapping[str, Any]) -> None:
    """Refuses options that a decoding would not heed.

    Raises:
        CivillyError: Naming the option, and the decodings that it goes with.
    """
    for name, kinds in _BELONGS.items():
        if name in chosen and kind not in kinds and (kind or name != "temperature"):
            raise CivillyError(
                f"The option {name!r} goes with another decoding than {kind or 'the default'}.",
                mend=" or ".join(f"decoding={each}" for each in kinds),
            )
    if kind == "sample" and chosen.get("temperature") == 0:
        raise CivillyError(
            "Nothing can be sampled at temperature 0.", mend="decoding=greedy, or beam"
        )


_RANGES: dict[str, tuple[Callable[[Any], float], Callable[[float], bool], str]] = {
    "temperature": (float, lambda x: 0 <= x < 100, "0 to 100"),
    "top_k": (int, lambda x: x >= 0, "a whole number, 0 or more"),
    "top_p": (float, lambda x: 0 < x <= 1, "above 0, to 1"),
    "beams": (int, lambda x: x >= 1, "a whole number, 1 or more"),
    "groups": (int, lambda x: x >= 1, "a whole number, 1 or more"),
    "diversity": (float, lambda x: 0 <= x < float("inf"), "0 or more"),
    "seed": (int, lambda x: x >= 0, "a whole number, 0 or more"),
}
"""How each option is read, which values are right, and how to say so."""


def _number(
    name: str,
    value: Any,
    convert: Callable[[Any], float],
    right: Callable[[float], bool],
    allowed: str,
) -> float:
    try:
        number = convert(value)
        if right(number) and number == float(value):
            return number
    except (TypeError, ValueError, OverflowError):
        pass
    raise CivillyError(f"The option {name!r} is {value!r}.", allowed=allowed)


def usual_candidates(decoding: str | None) -> int:
    """How many candidates per text a decoding makes where the user does not say."""
    return 1 if decoding in (None, "greedy") else CANDIDATES
