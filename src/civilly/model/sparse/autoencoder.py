"""Sparse autoencoders as they run: a vector of the residual stream to latents, and back.

``z = (x − c)·W_enc + b_enc``, ``a = σ(z)``, ``x̂ = a·W_dec + b_dec (+ x·W_skip)``; c is b_dec or 0.
σ is JumpReLU (Rajamanoharan et al. 2024, arXiv 2407.14435), TopK (Gao et al. 2024, 2406.04093),
BatchTopK (Bussmann et al. 2024, 2412.06410) or ReLU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from civilly.errors import ModelError

Activation = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class JumpRelu:
    """``z`` where it exceeds the latent's threshold, else 0.

    Attributes:
        threshold: [width].
    """

    threshold: Any

    def __call__(self, z: Any) -> Any:
        """Latents [..., width] of pre-activations."""
        return z * (z > self.threshold)


@dataclass(frozen=True, slots=True)
class TopK:
    """The k largest positive pre-activations of each position; of equal ones all or some.

    Attributes:
        k: Latents a position.
        together: Whether k × positions of the whole batch are kept instead (BatchTopK).
    """

    k: int
    together: bool = False

    def __call__(self, z: Any) -> Any:
        """Latents [..., width] of pre-activations."""
        import torch

        rows = z.reshape(1, -1) if self.together else z
        count = self.k * (z.numel() // z.shape[-1]) if self.together else self.k
        values, places = rows.topk(min(count, rows.shape[-1]), dim=-1, sorted=False)
        return torch.zeros_like(rows).scatter_(-1, places, values.relu()).reshape(z.shape)


@dataclass(frozen=True, slots=True)
class About:
    """What a sparse autoencoder was made for; None where its files do not say.

    Attributes:
        model: Name of the language model.
        layer: Index of the layer, from 0, after which it reads the residual stream.
        hook: The place as its files call it.
        l0: Latents that are active at a position, on average.
    """

    model: str | None = None
    layer: int | None = None
    hook: str | None = None
    l0: float | None = None


@dataclass(frozen=True, slots=True)
class SparseAutoencoder:
    """A sparse autoencoder; its tensors have one type and one device.

    Attributes:
        encoder: [d_in, width].
        encoder_bias: [width].
        decoder: [width, d_out].
        decoder_bias: [d_out].
        activation: From pre-activations to latents.
        centred: Whether the decoder's bias is taken from the input first.
        norms: [width]; latents are in units of these decoder norms (SAELens'
            ``rescale_acts_by_decoder_norm``), or None.
        skip: [d_in, d_out], the affine skip of a transcoder, or None.
        about: What it was made for.

    Raises:
        ModelError: If the widths do not fit each other.
    """

    encoder: Any
    encoder_bias: Any
    decoder: Any
    decoder_bias: Any
    activation: Activation
    centred: bool = False
    norms: Any = None
    skip: Any = None
    about: About = About()

    def __post_init__(self) -> None:
        (d_in, width), d_out = self.encoder.shape, self.decoder.shape[-1]
        wanted = {
            "encoder_bias": (width,), "decoder": (width, d_out), "decoder_bias": (d_out,),
        }  # fmt: skip
        for name, shape in wanted.items():
            _require_shape(name, getattr(self, name), shape)
        if self.skip is not None:
            _require_shape("skip", self.skip, (d_in, d_out))
        if isinstance(self.activation, JumpRelu):
            _require_shape("threshold", self.activation.threshold, (width,))

    @property
    def d_in(self) -> int:
        """Width of the stream that it reads."""
        return int(self.encoder.shape[0])

    @property
    def width(self) -> int:
        """Number of latents."""
        return int(self.encoder.shape[1])

    def encode(self, x: Any) -> Any:
        """Latents [..., width] ≥ 0 of vectors of the stream [..., d_in].

        Raises:
            ModelError: If the vectors have another width.
        """
        if x.shape[-1] != self.d_in:
            made_for = self.about.model or "its card says which"
            raise ModelError(
                f"The sparse autoencoder reads vectors of width {self.d_in}, not {x.shape[-1]}.",
                mend=f"the model that it was made for ({made_for})",
            )
        x = x.to(self.encoder.dtype)
        z = (x - self.decoder_bias if self.centred else x) @ self.encoder + self.encoder_bias
        return self.activation(z if self.norms is None else z * self.norms)

    def decode(self, latents: Any, x: Any = None) -> Any:
        """The reconstruction [..., d_out] of latents; ``x``, the input, is needed for a skip.

        Raises:
            ModelError: If there is a skip and no input.
        """
        scaled = latents if self.norms is None else latents / self.norms
        decoded = scaled @ self.decoder + self.decoder_bias
        if self.skip is None:
            return decoded
        if x is None:
            raise ModelError(
                "A sparse autoencoder with a skip decodes with its input.",
                mend="decode(latents, x), x what was encoded",
            )
        return decoded + x.to(self.skip.dtype) @ self.skip

    def reconstruct(self, x: Any) -> Any:
        """``decode(encode(x))``."""
        return self.decode(self.encode(x), x)

    def edited(self, x: Any, change: Callable[[Any], Any]) -> Any:
        """``x + dec(a') − dec(a)``: changed latents, and what the autoencoder misses stays.

        Args:
            x: [..., d_in]; the result has its type. It is computed in the autoencoder's.
            change: From latents to other ones; must not write into its argument.
        """
        latents = self.encode(x)
        difference = change(latents) - latents
        if self.norms is not None:
            difference = difference / self.norms
        return (x.to(self.decoder.dtype) + difference @ self.decoder).to(x.dtype)

    def direction(self, latent: int) -> Any:
        """What a latent writes into the stream, [d_out].

        Raises:
            ModelError: If there is no such latent.
        """
        self.require_latents([latent])
        return self.decoder[latent]

    def require_latents(self, latents: list[int]) -> None:
        """Makes sure that there are such latents.

        Raises:
            ModelError: If a number is out of range.
        """
        for latent in latents:
            if not 0 <= latent < self.width:
                raise ModelError(
                    f"There is no latent {latent}.", allowed=f"0 to {self.width - 1}, both included"
                )


def _require_shape(name: str, tensor: Any, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        raise ModelError(
            f"The sparse autoencoder's {name} is {list(tensor.shape)}, not {list(shape)}: its "
            "tensors do not fit each other.",
            mend="fetch its files again, or check which file belongs to which",
        )
