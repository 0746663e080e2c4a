"""What the methods that look into a model are told: what is toxic there, and which model it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from civilly.errors import CivillyError, EngineError, MissingExtraError
from civilly.methods.decoding import ADAPTER_OPTION
from civilly.model.sparse.toxic_file import DEFAULT, open_toxic
from civilly.registry import Option
from civilly.types import Prompt, Tools

if TYPE_CHECKING:
    from civilly.engines.residual import Subject, Tokens
    from civilly.model.sparse.toxic import Toxic

OPTIONS = (
    Option("toxic", "File of what is toxic in the model; usually the one that ships."),
    Option("reading", "Which of the file's readings: latents, or a control."),
    Option("layer", "Another layer than the one that the reading was made for."),
    ADAPTER_OPTION,
)
"""Options of every such method."""
ADAPTER = "tuned"
"""The adapter of the embedded model that writes."""
LONGEST_TEXT = 2_000
"""Characters; longer texts get no candidate, the pipeline cuts them into parts before."""
MOST_TOKENS = 240
"""A text of more gets no candidate either."""


@dataclass(frozen=True, slots=True)
class Inside:
    """A model that writes, and what is toxic in it.

    Attributes:
        subject: The model.
        toxic: What is toxic in its stream.
        layer: After which the stream is read or changed.
    """

    subject: Subject
    toxic: Toxic
    layer: int

    def prompt(self, prompt: Prompt) -> list[int]:
        """The ids of a prompt: the segments are encoded apart, behind what opens every text."""
        segments = [segment.text for segment in prompt.segments]
        found = list(self.subject.opening)
        for tokens in self.subject.encode(segments):
            found += tokens.ids
        return found

    def read(self, texts: Sequence[str]) -> list[tuple[Tokens, Any]]:
        """Tokens of each text, and the stream [tokens, width] at them."""
        import torch

        tokens = self.subject.encode(texts)
        streams = self.subject.streams(texts, self.layer)
        return [(row, torch.from_numpy(s)) for row, s in zip(tokens, streams, strict=True)]

    def why(self, stream: Any) -> tuple[dict[str, Any], ...]:
        """What is toxic at the first position of a stream [1, width], strongest first."""
        found = self.toxic.fired(stream)[0][:MOST_TOLD]
        return tuple(
            {"latent": each.name, "height": round(each.height, 3), "mass": round(each.mass, 3)}
            for each in found
        )

    @property
    def described(self) -> dict[str, Any]:
        """What a trace says of it."""
        about = self.toxic.about
        return {"reading": about.name, "kind": about.kind, "layer": self.layer}


MOST_TOLD = 5
"""Latents of a position that a trace names."""


def open_inside(tools: Tools) -> Inside:
    """The model that an engine's name and the options mean, and what is toxic in it.

    Raises:
        MissingExtraError: If torch or transformers is not installed.
        ModelError: If a file is missing or does not fit the model.
        EngineError: If the engine is none that can be looked into.
        CivillyError: If an option is wrong.
    """
    try:
        import transformers  # noqa: F401 - asked for before anything is read
    except ImportError as error:
        raise MissingExtraError("Looking into a model", "sae", error.name or "torch") from error
    from civilly.engines.residual import open_subject
    from civilly.model.sparse.toxic import require_model

    options = tools.options
    place = options.get("toxic")
    toxic = open_toxic(Path(place) if place else None, str(options.get("reading") or DEFAULT))
    name, adapter = model_of(tools.engine_spec, options)
    subject = open_subject(name, adapter=adapter)
    require_model(toxic, subject.name, subject.width)
    layer = number_of(options, "layer", toxic.about.layer, int, "a whole number, 0 or more")
    return Inside(subject, toxic, subject.require_layer(int(layer)))


def model_of(engine: str | None, options: Mapping[str, Any]) -> tuple[str, str | None]:
    """The model and the adapter that an engine's name and the options mean.

    Raises:
        EngineError: If the engine is none that can be looked into.
    """
    from civilly.engines.hf_target import Target, lora_folder

    kind, _, target = (engine or "embedded").partition(":")
    given = options.get("adapter")
    if kind == "embedded":
        return "embedded", lora_folder(str(given)) if given else ADAPTER
    if kind != "hf":
        raise EngineError(
            f"Nobody can look into the engine {engine!r}.",
            allowed="embedded, or hf:MODEL",
            mend="leave --engine out, or choose another method",
        )
    parsed = Target.parse(target)
    name = f"{parsed.model}@{parsed.revision}" if parsed.revision else parsed.model
    return name, lora_folder(str(given)) if given else parsed.adapter


def number_of(
    options: Mapping[str, Any],
    name: str,
    usual: float,
    convert: Callable[[Any], float] = float,
    allowed: str = "a number, 0 or more",
) -> float:
    """An option that is a number ≥ 0.

    Raises:
        CivillyError: If it is none.
    """
    given = options.get(name)
    if given is None:
        return usual
    try:
        number = convert(given)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0 <= number < float("inf"):
        raise CivillyError(f"The option {name!r} is {given!r}.", allowed=allowed)
    return number
