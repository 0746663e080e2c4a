"""What counts as toxic in a model's residual stream, and what the stream is without it.

The *toxic mass* of a position is ≥ 0; from 1 on, it speaks for an insult there.

- Latents of a sparse autoencoder: ``m = Σ w_j · a_j`` over those with ``a_j > θ_j``. Without them
  the stream is ``x' = x + dec(a') − dec(a)``: what the autoencoder misses stays.
- A direction d of length 1: ``m = max(0, x·d − c) / u``, where c is the usual of civil words.

``civilly interpret latents`` finds both and writes the file (`civilly.model.sparse.toxic_file`).
Nothing is changed where nothing toxic is: an edit is gated by position.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from civilly.errors import CivillyError, ModelError, UnknownNameError

if TYPE_CHECKING:
    from civilly.model.sparse.autoencoder import SparseAutoencoder

WAYS = {
    "zero": "what is toxic is set to zero; a strength above 1 turns it into its opposite",
    "clamp": "it is set to -strength times its usual height on insults (Farrell et al. 2024)",
    "project": "its directions are projected out of the stream, whatever their sign",
}
"""What `Toxic.removed` can do."""
KINDS = ("latents", "direction", "random")
"""Latents that were chosen; a direction; latents that were drawn, as a control."""


@dataclass(frozen=True, slots=True)
class Fired:
    """What is toxic at a position, for traces.

    Attributes:
        name: Number of the latent in its autoencoder; the name of a direction.
        height: Its activation, in the stream's units.
        mass: What it adds to the position's toxic mass.
    """

    name: int | str
    height: float
    mass: float


@dataclass(frozen=True, slots=True)
class About:
    """What something was made for, and what it was made of.

    Attributes:
        name: What the file calls it, as ``latents`` or ``probe``.
        kind: One of `KINDS`.
        model: Name of the language model.
        layer: From 0; the stream after this layer is read.
        latents: Width of the autoencoder that the latents are of; 0 for a direction.
    """

    name: str
    kind: str
    model: str
    layer: int
    latents: int = 0


class Toxic(Protocol):
    """What counts as toxic; its tensors are float32 and stand on the processor."""

    @property
    def about(self) -> About:
        """What it was made for."""

    @property
    def width(self) -> int:
        """Width of the stream."""

    def mass(self, x: Any) -> Any:
        """Toxic mass ≥ 0 of each position, [...] for a stream [..., width], float32.

        Raises:
            ModelError: If the stream has another width.
        """

    def removed(self, x: Any, how: str = "zero", strength: float = 1.0) -> Any:
        """The stream [..., width] without what is toxic in it, in the type of ``x``.

        Args:
            x: The stream.
            how: One of `WAYS`.
            strength: ≥ 0; at 0 nothing is changed (with ``clamp``: set to zero).

        Raises:
            ModelError: If the stream has another width.
            UnknownNameError: If there is no such way.
            CivillyError: If the strength is no number ≥ 0.
        """

    def fired(self, x: Any) -> list[list[Fired]]:
        """What is toxic at each position of a stream [positions, width], strongest first."""


@dataclass(frozen=True, slots=True)
class ToxicLatents:
    """Some latents of a sparse autoencoder; see the module.

    Attributes:
        about: What they were made for.
        part: An autoencoder of these latents alone (`part_of`).
        numbers: Their numbers in the whole one.
        weights: Mass per unit of activation, > 0, [latents].
        thresholds: θ ≥ 0, [latents].
        peaks: Usual activation on insults, [latents].

    Raises:
        ModelError: If lengths do not fit each other.
    """

    about: About
    part: SparseAutoencoder
    numbers: tuple[int, ...]
    weights: Any
    thresholds: Any
    peaks: Any

    def __post_init__(self) -> None:
        lengths = {len(self.weights), len(self.thresholds), len(self.peaks), self.part.width}
        if lengths != {len(self.numbers)}:
            raise ModelError(
                f"{self.about.name!r} has {len(self.numbers)} latents, but other numbers of "
                f"vectors, weights, thresholds or peaks ({sorted(lengths)}).",
                mend="make the file again: civilly interpret latents",
            )
        for number in self.numbers:
            if not 0 <= number < self.about.latents:
                raise ModelError(
                    f"There is no latent {number}.",
                    allowed=f"0 to {self.about.latents - 1}, both included",
                )

    @property
    def width(self) -> int:
        """Width of the stream."""
        return self.part.d_in

    def mass(self, x: Any) -> Any:
        """See `Toxic.mass`."""
        return self._counted(self._latents(x)) @ self.weights

    def removed(self, x: Any, how: str = "zero", strength: float = 1.0) -> Any:
        """See `Toxic.removed`; only latents above their thresholds are changed."""
        strength = checked_change(how, strength)
        require_width(self, x)
        if how == "project":
            toxic = (self.mass(x) > 0)[..., None]
            basis = _orthonormal(self.part.decoder)
            exact = x.float()
            return (exact - strength * toxic * ((exact @ basis.T) @ basis)).to(x.dtype)

        def change(latents: Any) -> Any:
            counted = latents > self.thresholds
            other = (1 - strength) * latents if how == "zero" else -strength * self.peaks
            return latents * ~counted + other * counted

        return self.part.edited(x, change)

    def fired(self, x: Any) -> list[list[Fired]]:
        """See `Toxic.fired`."""
        latents = self._counted(self._latents(x))
        found = []
        for heights, masses in zip(
            latents.tolist(), (latents * self.weights).tolist(), strict=True
        ):
            there = [j for j, height in enumerate(heights) if height > 0]
            there.sort(key=lambda j: -masses[j])
            found.append([Fired(self.numbers[j], heights[j], masses[j]) for j in there])
        return found

    def _latents(self, x: Any) -> Any:
        require_width(self, x)
        return self.part.encode(x)

    def _counted(self, latents: Any) -> Any:
        return latents * (latents > self.thresholds)


@dataclass(frozen=True, slots=True)
class ToxicDirection:
    """A direction of the stream; see the module.

    Attributes:
        about: What it was made for.
        vector: d, of length 1, [width].
        level: c, where civil words stand on it.
        unit: u > 0: so far above c the mass is 1.
        peak: Where insults usually stand on it.
    """

    about: About
    vector: Any
    level: float
    unit: float
    peak: float

    @property
    def width(self) -> int:
        """Width of the stream."""
        return int(self.vector.shape[0])

    def mass(self, x: Any) -> Any:
        """See `Toxic.mass`."""
        require_width(self, x)
        return (x.float() @ self.vector - self.level).clamp(min=0) / self.unit

    def removed(self, x: Any, how: str = "zero", strength: float = 1.0) -> Any:
        """See `Toxic.removed`; zero of a direction is where civil words stand on it."""
        strength = checked_change(how, strength)
        require_width(self, x)
        exact = x.float()
        place = exact @ self.vector
        if how == "zero":
            away = strength * (place - self.level)
        elif how == "clamp":
            away = place - self.level + strength * (self.peak - self.level)
        else:
            away = strength * place
        away = away * (place > self.level)
        return (exact - away[..., None] * self.vector).to(x.dtype)

    def fired(self, x: Any) -> list[list[Fired]]:
        """See `Toxic.fired`."""
        masses = self.mass(x).tolist()
        name = self.about.name
        return [[Fired(name, each * self.unit, each)] if each > 0 else [] for each in masses]


def part_of(sae: SparseAutoencoder, numbers: list[int]) -> SparseAutoencoder:
    """An autoencoder of some latents alone, which are what they are in the whole one.

    Args:
        sae: Each latent of which depends on no other one: JumpReLU or ReLU.
        numbers: Of the latents.

    Raises:
        ModelError: If there is no such latent, or they depend on each other (TopK).
    """
    import torch

    from civilly.model.sparse.autoencoder import JumpRelu, SparseAutoencoder

    sae.require_latents(numbers)
    if isinstance(sae.activation, JumpRelu):
        threshold = sae.activation.threshold[numbers]
    elif sae.activation is torch.relu:
        threshold = torch.zeros(len(numbers))
    else:
        raise ModelError(
            f"Latents of {type(sae.activation).__name__} depend on each other: none stands alone.",
            allowed="JumpReLU or ReLU",
            mend="of BatchTopK its inference form (SAELens: save_inference_model), a JumpReLU",
        )
    encoder, bias, decoder = (
        sae.encoder[:, numbers],
        sae.encoder_bias[numbers],
        sae.decoder[numbers],
    )
    if sae.centred:
        bias = bias - sae.decoder_bias @ encoder
    if sae.norms is not None:
        norms = sae.norms[numbers]
        encoder, bias, decoder = encoder * norms, bias * norms, decoder / norms[:, None]
    nothing = torch.zeros_like(sae.decoder_bias)
    return SparseAutoencoder(encoder, bias, decoder, nothing, JumpRelu(threshold), about=sae.about)


def require_width(toxic: Toxic, x: Any) -> None:
    """Makes sure that a stream is as wide as it must be.

    Raises:
        ModelError: If it is not.
    """
    if x.shape[-1] != toxic.width:
        raise ModelError(
            f"{toxic.about.name!r} reads a stream of width {toxic.width}, not {x.shape[-1]}.",
            mend=f"the model that it was made for ({toxic.about.model})",
        )


def require_model(toxic: Toxic, model: str, width: int) -> None:
    """Makes sure that something was made for a model; an adapter (``embedded+…``) may be on it.

    Args:
        toxic: It.
        model: The model's name (`civilly.engines.residual.Subject.name`).
        width: Width of its stream.

    Raises:
        ModelError: If it was made for another one.
    """
    made_for = toxic.about.model
    if width != toxic.width or model.partition("+")[0] != made_for.partition("+")[0]:
        raise ModelError(
            f"{toxic.about.name!r} was made for {made_for!r}, whose stream has the width "
            f"{toxic.width}; {model!r} is another model (width {width}).",
            mend=f"read it with {made_for!r}, or make one: civilly interpret latents --model ...",
        )


def checked_change(how: str, strength: float) -> float:
    """The strength of a change.

    Raises:
        UnknownNameError: If there is no such way.
        CivillyError: If it is no number ≥ 0.
    """
    if how not in WAYS:
        raise UnknownNameError("way to take out what is toxic", how, WAYS)
    if isinstance(strength, bool) or not math.isfinite(strength) or strength < 0:
        raise CivillyError(
            f"The strength is {strength}.", allowed="a number from 0 on; 1 takes all out"
        )
    return float(strength)


def _orthonormal(rows: Any) -> Any:
    """An orthonormal basis [rank, width] of what some vectors [n, width] span."""
    import torch

    _, values, basis = torch.linalg.svd(rows, full_matrices=False)
    return basis[values > 1e-5 * values.max()]
