"""A causal model whose residual stream is read and edited, as sparse autoencoders need it.

The stream *after layer N* is what the layer returns: ``model.layers.N.output`` of Gemma Scope 2,
``blocks.N.hook_resid_post`` of SAELens. It is taken by a hook on the layer, so the last one's is
not yet normalised, as the last of transformers' ``hidden_states`` is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from civilly.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    from civilly.model.sparse.autoencoder import SparseAutoencoder

PIECE = 1_024
"""A text of more tokens is read in pieces of so many, each from the model's beginning."""
TOKENS_AT_ONCE = 2_048
_RESIDUAL = re.compile(r"(?:model\.)?layers\.(\d+)\.output|blocks\.(\d+)\.hook_resid_post")

Floats = NDArray[np.float32]
Edit = Callable[[Any], Any]
"""From a stream [texts, positions, width] to one of the same shape."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as its model reads it, without what stands before every text.

    Attributes:
        ids: Of each token.
        offsets: Characters ``[start, end)`` of the text that each stands for; tokens that are
            bytes of one character share its place.
    """

    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]


class _Enough(Exception):
    """The layers that are wanted have been computed."""


class Subject:
    """A causal language model under study.

    Args:
        name: What it is called.
        model: Of transformers, in evaluation mode.
        encode: A text's ids and the places of its tokens.
        decode: A text of ids.
        opening: Ids before every text.

    Raises:
        ModelError: If it has no layers that can be hooked.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        encode: Callable[[str], tuple[list[int], list[tuple[int, int]]]],
        decode: Callable[[Sequence[int]], str],
        opening: Sequence[int],
    ) -> None:
        import torch

        self._torch = torch
        self.name = name
        self.model = model
        self.opening = tuple(opening)
        self._encode = encode
        self.decode = decode
        self._decoder = _decoder_of(model, name)
        config = model.config.get_text_config()
        self.width = int(config.hidden_size)
        room = getattr(config, "max_position_embeddings", None) or PIECE
        self._piece = min(PIECE, room) - len(self.opening)

    @property
    def layers(self) -> int:
        """Number of layers; they count from 0."""
        return len(self._decoder.layers)

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of each text, in order; nothing in a text becomes a control token."""
        rows = [self._encode(text) for text in texts]
        return [Tokens(tuple(ids), tuple(places)) for ids, places in rows]

    def layer_of(self, sae: SparseAutoencoder) -> int:
        """The layer after which a sparse autoencoder reads the stream.

        Raises:
            ModelError: If its width, its layer or its hook is none of this model's.
        """
        if sae.d_in != self.width:
            raise ModelError(
                f"The sparse autoencoder reads vectors of width {sae.d_in}, but the stream of "
                f"{self.name!r} has {self.width}.",
                mend=f"the model that it was made for ({sae.about.model or 'its card says which'})",
            )
        hook = sae.about.hook
        found = _RESIDUAL.fullmatch(hook or "")
        if hook and not found:
            raise ModelError(
                f"{self.name!r} has no hook {hook!r}: only the residual stream is read.",
                allowed=f"model.layers.N.output, N from 0 to {self.layers - 1}",
                mend="a sparse autoencoder of the residual stream (resid_post)",
            )
        layer = int(found[1] or found[2]) if found else sae.about.layer
        if layer is None:
            raise ModelError(
                "The sparse autoencoder does not say which layer it was made for.",
                mend="keep its folder's name (layer_12/…) and config.json",
            )
        return self.require_layer(layer)

    def require_layer(self, layer: int) -> int:
        """The layer, if there is one of that number.

        Raises:
            ModelError: If there is none.
        """
        if not 0 <= layer < self.layers:
            raise ModelError(
                f"{self.name!r} has no layer {layer}.", allowed=f"0 to {self.layers - 1}"
            )
        return layer

    def streams(self, texts: Sequence[str], layer: int) -> list[Floats]:
        """The stream after a layer at each token of each text: [tokens, width] each.

        Args:
            texts: Of any length; see `PIECE`.
            layer: From 0.

        Raises:
            ModelError: If there is no such layer.
        """
        pieces: list[list[int]] = []
        owners: list[int] = []
        for number, tokens in enumerate(self.encode(texts)):
            for start in range(0, len(tokens.ids), self._piece):
                pieces.append([*self.opening, *tokens.ids[start : start + self._piece]])
                owners.append(number)
        found: list[list[Floats]] = [[] for _ in texts]
        for owner, stream in zip(owners, self.read(pieces, layer), strict=True):
            found[owner].append(stream[len(self.opening) :])
        empty = np.empty((0, self.width), np.float32)
        return [np.concatenate(parts) if parts else empty for parts in found]

    def read(self, rows: Sequence[Sequence[int]], layer: int) -> list[Floats]:
        """The stream after a layer at each position of each row of ids: [len(row), width] each.

        Raises:
            ModelError: If there is no such layer.
        """
        self.require_layer(layer)
        found: list[Floats] = [np.empty((0, self.width), np.float32)] * len(rows)
        for batch in self._batches(rows):
            stream = self.forward([rows[index] for index in batch], (layer,))[layer].float().cpu()
            for index, row in zip(batch, stream.numpy(), strict=True):
                found[index] = row[: len(rows[index])].copy()
        return found

    def forward(self, rows: Sequence[Sequence[int]], layers: Sequence[int]) -> dict[int, Any]:
        """The streams after some layers; those above the highest are not computed.

        Args:
            rows: Ids; shorter ones are filled up at their end, which no token before it sees.
            layers: From 0.

        Returns:
            By layer, a tensor [rows, longest row, width] in the model's number format.
        """
        found: dict[int, Any] = {}
        last = max(layers)

        def keep(layer: int) -> Callable[[Any, Any, Any], None]:
            def hook(_module: Any, _inputs: Any, output: Any) -> None:
                found[layer] = _hidden(output)
                if layer == last:
                    raise _Enough

            return hook

        handles = [
            self._decoder.layers[self.require_layer(layer)].register_forward_hook(keep(layer))
            for layer in layers
        ]
        try:
            with self._torch.inference_mode():
                self._decoder(input_ids=self._filled(rows), use_cache=False)
        except _Enough:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return found

    @contextmanager
    def editing(self, layer: int, edit: Edit) -> Iterator[None]:
        """Within, ``edit`` changes the stream after a layer whenever the model runs.

        While the model generates with a cache, ``edit`` sees the prompt once and then each new
        position alone. Filled-up positions are among what it sees. Edits of the same layer follow
        each other.

        Args:
            layer: From 0.
            edit: Gets the stream [texts, positions, width] in the model's number format and gives
                one of the same shape, in any format; best computed in float32.

        Raises:
            ModelError: If there is no such layer, or the edit gives another shape.
        """

        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            hidden = _hidden(output)
            edited = edit(hidden)
            if getattr(edited, "shape", None) != hidden.shape:
                raise ModelError(
                    f"The edit after layer {layer} gave {list(getattr(edited, 'shape', []))}.",
                    allowed=f"the shape that it got, {list(hidden.shape)}",
                )
            edited = edited.to(hidden.dtype)
            return (edited, *output[1:]) if isinstance(output, tuple) else edited

        handle = self._decoder.layers[self.require_layer(layer)].register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()

    def next_logits(self, rows: Sequence[Sequence[int]]) -> Floats:
        """Logits of the token after each row of ids, [rows, vocabulary]; within `editing`, edited.

        Raises:
            ModelError: If a row is empty.
        """
        if any(not row for row in rows):
            raise ModelError("There is nothing before the next token.", mend="begin with .opening")
        found: list[Any] = [None] * len(rows)
        for batch in self._batches(rows):
            chosen = [rows[index] for index in batch]
            hidden = self._last_hidden(chosen)
            ends = self._torch.tensor([len(row) - 1 for row in chosen], device=hidden.device)
            places = self._torch.arange(len(chosen), device=hidden.device)
            logits = self._logits(hidden[places, ends]).cpu().numpy()
            for index, row in zip(batch, logits, strict=True):
                found[index] = row
        return np.stack(found) if found else np.empty((0, 0), np.float32)

    def advance(self, ids: Any, mask: Any, places: Any, cache: Any) -> Any:
        """Logits [rows, vocabulary] after the last of further positions; within `editing`, edited.

        Args:
            ids: int64 [rows, positions]: the prompts, filled up at their beginning, or one id each.
            mask: int64 [rows, positions so far]: 0 for what nobody may look at.
            places: int64 [rows, positions]: the place of each id in its text.
            cache: A cache of transformers, which grows by these positions.
        """
        with self._torch.inference_mode():
            hidden = self._decoder(
                input_ids=ids, attention_mask=mask, position_ids=places, past_key_values=cache,
                use_cache=True,
            ).last_hidden_state  # fmt: skip
            return self._logits(hidden[:, -1].contiguous())

    def losses(self, rows: Sequence[Sequence[int]]) -> list[Floats]:
        """−log p (nats) of each id after the first of each row; within `editing`, edited."""
        found: list[Floats] = [np.empty(0, np.float32)] * len(rows)
        for batch in self._batches(rows):
            hidden = self._last_hidden([rows[index] for index in batch])
            for place, index in enumerate(batch):
                row = self._torch.tensor(rows[index], device=hidden.device)
                logits = self._logits(hidden[place, : len(row) - 1])
                loss = self._torch.nn.functional.cross_entropy(logits, row[1:], reduction="none")
                found[index] = loss.cpu().numpy()
        return found

    def _last_hidden(self, rows: Sequence[Sequence[int]]) -> Any:
        with self._torch.inference_mode():
            return self._decoder(input_ids=self._filled(rows), use_cache=False).last_hidden_state

    def _logits(self, hidden: Any) -> Any:
        with self._torch.inference_mode():
            logits = self.model.get_output_embeddings()(hidden).float()
            cap = getattr(self.model.config.get_text_config(), "final_logit_softcapping", None)
            return logits if cap is None else (logits / cap).tanh() * cap

    def _filled(self, rows: Sequence[Sequence[int]]) -> Any:
        longest = max(map(len, rows))
        filled = [[*row, *[0] * (longest - len(row))] for row in rows]
        return self._torch.tensor(filled, device=self.model.device)

    def _batches(self, rows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Indices of rows of like length, the longest first; empty rows are left out."""
        batch: list[int] = []
        for index in sorted(range(len(rows)), key=lambda i: (-len(rows[i]), i)):
            if not rows[index]:
                continue
            if batch and (len(batch) + 1) * len(rows[batch[0]]) > TOKENS_AT_ONCE:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch


def _hidden(output: Any) -> Any:
    return output[0] if isinstance(output, tuple) else output


def _decoder_of(model: Any, name: str) -> Any:
    """The part of a model that has the layers."""
    decoder = None if model.config.is_encoder_decoder else model.get_decoder()
    layers = getattr(decoder, "layers", None)
    if not layers or not hasattr(layers[0], "self_attn"):
        raise ModelError(
            f"{name!r} ({type(model).__name__}) has no residual stream that can be hooked.",
            allowed="causal models of transformers with layers under model.layers: Gemma 2 and 3, "
            "Llama, Qwen",
        )
    return decoder


def open_subject(
    name: str = "embedded",
    *,
    adapter: str | None = None,
    precision: str = "auto",
    device: str = "auto",
    download: bool = False,
) -> Subject:
    """Opens a model for reading and editing its residual stream.

    Args:
        name: ``embedded``, a folder in Hugging Face form, or a hub id (``org/name@revision``).
        adapter: Of the embedded model or a folder's: a LoRA that is merged in; the name of one that
            ships (``tuned``, ``fim``), or its folder.
        precision: ``fp32``, ``bf16``, ``fp16``, or ``auto``: bfloat16 where the hardware computes
            in it.
        device: ``auto``, or a device of torch.
        download: Whether a hub id may be downloaded; else it must be in the hub's cache already.

    Raises:
        MissingExtraError: If torch or transformers is not installed.
        ModelError: If it cannot be loaded, or its stream cannot be hooked.
        EngineError: If the device is unknown.
    """
    from civilly.engines.residual_models import load_embedded, load_from_hub

    try:
        import torch
        import transformers  # noqa: F401 - asked for before anything is built
    except ImportError as error:
        raise MissingExtraError("Reading a model's stream", "sae", error.name or "torch") from error
    from civilly.engines.hardware import device_of, dtype_of

    place = device_of(torch, device)
    dtype = dtype_of(torch, precision, place)
    if name == "embedded":
        return load_embedded(dtype, place, adapter)
    return load_from_hub(name, dtype, place, adapter, download=download)
