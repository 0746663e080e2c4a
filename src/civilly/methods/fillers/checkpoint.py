"""Opens a model of the transformers library that fills holes, by hub id or folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from safetensors import SafetensorError

from civilly.data.hub_access import found_where, hub_access, require_hub
from civilly.engines.hardware import device_of, dtype_of
from civilly.engines.hf_target import Target
from civilly.errors import CivillyError, MissingExtraError, ModelError

MOST_LOGITS = 2**26
"""Floats of one forward pass's logits: a quarter of a gigabyte."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model with its tokenizer.

    Attributes:
        torch: The torch module.
        transformers: The transformers module.
        model: The model, on its device, for inference.
        tokenizer: Its tokenizer.
        device: Where it computes.
        room: The most tokens that it reads; None: no limit is known.
        rows: The most rows that it reads together.
    """

    torch: Any
    transformers: Any
    model: Any
    tokenizer: Any
    device: Any
    room: int | None
    rows: int

    def padded(self, rows: Sequence[Sequence[int]], pad: int) -> dict[str, Any]:
        """Rows of token ids as input of the model, filled up on the right.

        Args:
            rows: Of any lengths.
            pad: The id that fills up.

        Returns:
            ``input_ids`` and ``attention_mask``, each int64 [rows, longest], on the device.
        """
        width = max(map(len, rows))
        ids = [[*row, *[pad] * (width - len(row))] for row in rows]
        read = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
        return {
            "input_ids": self.torch.tensor(ids, device=self.device),
            "attention_mask": self.torch.tensor(read, device=self.device),
        }


def open_checkpoint(filler: str, auto_class: str, spec: object, example: str) -> Checkpoint:
    """Loads a model and its tokenizer.

    Args:
        filler: Which filler asks, for messages.
        auto_class: Class of transformers that opens models of the kind.
        spec: ``org/name@revision`` or a folder, with options such as ``?device=cpu&dtype=fp32``
            (`civilly.engines.hf_target.Target`).
        example: A model of the kind, for messages.

    Raises:
        CivillyError: If no model is named, an option is wrong, or an adapter is named.
        MissingExtraError: If torch or transformers is not installed.
        ModelError: If the model cannot be loaded, or is of another kind.
    """
    if not spec:
        raise CivillyError(
            f"The filler {filler!r} was given no model.", mend=f"--option model={example}"
        )
    target = Target.parse(str(spec))
    if target.adapter:
        raise CivillyError(
            f"The filler {filler!r} loads no adapter, and {str(spec)!r} names one.",
            mend="merge it into its model, and name the merged model's folder",
        )
    require_hub(target.model)
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtraError(f"The filler {filler!r}", "hf", error.name or "torch") from error
    device = device_of(torch, target.device)
    where = found_where(target.model, target.revision)
    with hub_access(target.model) as hub:
        try:
            config = transformers.AutoConfig.from_pretrained(target.model, **where)
            tokenizer = transformers.AutoTokenizer.from_pretrained(target.model, **where)
            model = getattr(transformers, auto_class).from_pretrained(
                target.model, dtype=dtype_of(torch, target.dtype, device), **where
            )
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"The filler {filler!r} cannot load {target.model!r}: "
                f"{hub.problem(str(error).strip()[:200])}",
                allowed=f"a model such as {example}, by hub id or folder",
                mend=hub.mend("check the name, the revision and the network"),
            ) from error
    room = getattr(config, "max_position_embeddings", None)
    return Checkpoint(
        torch, transformers, model.eval().to(device), tokenizer, device, room, target.batch
    )
