"""BatchTopK sparse autoencoders in training (Bussmann et al. 2024, arXiv 2412.06410).

The stream x comes divided by one scalar, so that its distance to its mean is √d on average. With
W_dec's rows of length 1 and pre-activations ``z = (x − b_dec)·W_enc + b_enc``, a batch keeps the k
largest positive ones a position on average; its loss is ``‖x − x̂‖²`` and, for latents that have not
fired for long, ``α·‖(x − x̂) − ê‖²`` of what the best of them alone would add (Gao et al. 2024,
2406.04093). The running mean of the smallest value that is kept is the threshold of the JumpReLU
by which it is used later, as SAELens has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

from civilly.model.sparse.autoencoder import About, JumpRelu, SparseAutoencoder
from civilly.train.sae.recipe import FitSettings, NetworkSettings

_EVERY = 8
"""The value above which a batch is kept is found among every so manieth of its positions: within
two per cent of the exact one, twenty times as fast."""


class BatchTopK(torch.nn.Module):  # type: ignore[misc]
    """The autoencoder that is trained.

    Args:
        mean: [d] of the scaled stream, where the decoder's bias begins.
        settings: Its size.
        generator: Of the decoder's first directions.
    """

    def __init__(self, mean: Any, settings: NetworkSettings, generator: Any) -> None:
        super().__init__()
        directions = torch.randn(settings.width, len(mean), generator=generator)
        directions = functional.normalize(directions, dim=-1)
        self.k = settings.k
        self.decoder = torch.nn.Parameter(directions)
        self.encoder = torch.nn.Parameter(directions.t().contiguous())
        self.encoder_bias = torch.nn.Parameter(torch.zeros(settings.width))
        self.decoder_bias = torch.nn.Parameter(mean.clone())
        self.register_buffer("threshold", torch.tensor(-1.0))
        self.register_buffer("silent", torch.zeros(settings.width, dtype=torch.long))

    def losses(self, x: Any, settings: FitSettings) -> tuple[Any, Any, Any]:
        """Of a batch [positions, d] of the scaled stream: both losses a position, and its L0.

        Notes which latents fired, and moves the threshold.
        """
        half = torch.bfloat16
        centred = x - self.decoder_bias
        z = centred.to(half) @ self.encoder.to(half) + self.encoder_bias.to(half)
        with torch.no_grad():
            smallest = self._smallest_kept(z)
            self._move_threshold(smallest, settings.threshold_rate)
        latents = functional.threshold(z, smallest, 0.0)
        decoder = self.decoder.to(half)
        missed = centred - (latents @ decoder).float()
        with torch.no_grad():
            count = torch.count_nonzero(latents) / len(x)
            self.silent += len(x)
            self.silent[latents.amax(0) > 0] = 0
        main = missed.square().sum(-1).mean()
        return main, self._auxiliary(z, missed.detach(), decoder, settings), count

    def _smallest_kept(self, z: Any) -> float:
        rows = z[::_EVERY].float().flatten()
        kept = self.k * len(z[::_EVERY])
        return max(float(rows.topk(kept, sorted=False).values.min()), 0.0)

    def _move_threshold(self, smallest: float, rate: float) -> None:
        before = float(self.threshold)
        moved = smallest if before < 0 else before + rate * (smallest - before)
        self.threshold.fill_(moved)

    def _auxiliary(self, z: Any, missed: Any, decoder: Any, settings: FitSettings) -> Any:
        """The loss of latents that are dead, weighed by how many of those wanted there are."""
        dead = (self.silent > settings.dead_after).nonzero().flatten()
        if not len(dead) or not settings.auxiliary:
            return torch.zeros(())
        wanted = decoder.shape[1] // 2
        best = z[:, dead].topk(min(wanted, len(dead)), dim=-1, sorted=False)
        chosen = torch.zeros_like(z[:, dead]).scatter(-1, best.indices, best.values.relu())
        added = (chosen @ decoder[dead]).float()
        share = min(1.0, len(dead) / wanted)
        return settings.auxiliary * share * (missed - added).square().sum(-1).mean()

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """Around a step of the optimiser: the decoder's rows keep the length 1.

        What of the gradient would only change their length is taken out before.
        """
        with torch.no_grad():
            along = (self.decoder.grad * self.decoder).sum(-1, keepdim=True)
            self.decoder.grad -= along * self.decoder
        yield
        with torch.no_grad():
            self.decoder.copy_(functional.normalize(self.decoder, dim=-1))

    def as_jump_relu(self, scale: float, about: About) -> SparseAutoencoder:
        """The same on the raw stream: the scale, and the centring, are in its weights.

        Args:
            scale: What the stream was divided by.
            about: What it was made for.
        """
        with torch.no_grad():
            encoder, decoder = self.encoder.detach().clone(), self.decoder.detach().clone()
            bias = self.encoder_bias - self.decoder_bias @ encoder
            # Latents in units of the raw stream, so that both matrices are what was learnt.
            return SparseAutoencoder(
                encoder=encoder,
                encoder_bias=(bias * scale).detach(),
                decoder=decoder,
                decoder_bias=(self.decoder_bias * scale).detach(),
                activation=JumpRelu((self.threshold * scale).expand(len(decoder)).clone()),
                about=about,
            )
