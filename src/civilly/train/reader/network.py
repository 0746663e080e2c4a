"""What is trained of a reader, in torch: a LoRA of multilingual-e5-small, heads on its vectors.

The runtime computes the same heads in numpy: `civilly.detect.context` and `civilly.score.reader`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from civilly.data.readings import FAULTS
from civilly.detect import context
from civilly.errors import DataError
from civilly.languages import CODES
from civilly.model.e5 import Encoder
from civilly.model.reader_weights import head_tensors, read_encoder_change
from civilly.model.token_encoder import PADDING
from civilly.score import reader
from civilly.score.reader import HUMAN
from civilly.train.reader.recipe import ReaderSettings
from civilly.train.reader.save import MATRICES, factor_name

_HIDDEN, _JUDGE_HIDDEN = 96, 128
_NOWHERE = -1e4
"""Logit of what is padding."""
_NORMS = {"attention.output.LayerNorm": "aln", "output.LayerNorm": "oln"}


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of token ids of one width.

    Attributes:
        ids: int64 [rows, tokens].
        real: 1 where a token is no padding, float32 [rows, tokens].
    """

    ids: Any
    real: Any

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Batch:
        """Pads rows at their ends."""
        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[PADDING] * (width - len(row))] for row in rows])
        real = torch.tensor([[1.0] * len(row) + [0.0] * (width - len(row)) for row in rows])
        return cls(ids, real)


class DetectorHead(nn.Module):  # type: ignore[misc]
    """Marks the words of an insult, and says whether a text is toxic, a threat, of self-harm.

    Args:
        width: Of the encoder's vectors.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.t1, self.t2 = nn.Linear(width + 2, _HIDDEN), nn.Linear(_HIDDEN, 2)
        self.s1, self.s2 = nn.Linear(2 * width + 2, _HIDDEN), nn.Linear(_HIDDEN, 3)
        self.lang = nn.Parameter(torch.zeros(len(CODES), 4))

    def forward(
        self, hidden: Any, real: Any, scores: Any, logits: Any, known: Any, langs: Any
    ) -> tuple[Any, Any]:
        """Logits of tokens [rows, tokens] and of texts [rows, 3].

        Args:
            hidden: The encoder's vectors, [rows, tokens, width].
            real: See `Batch`.
            scores: What the n-gram model says of each token, [rows, tokens].
            logits: What it says of each text, [rows].
            known: 1 where it may be believed: 0 for texts that it was trained on, [rows].
            langs: Places in `CODES`, [rows].
        """
        told = known[:, None, None].expand(-1, hidden.shape[1], 1)
        seen = torch.cat([hidden, scores[..., None] * told, told], -1)
        marks = self.t2(nn.functional.gelu(self.t1(seen)))
        bias = self.lang[langs]
        mean = (hidden * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        most = hidden.masked_fill(real[..., None] == 0, _NOWHERE).max(1).values
        pooled = torch.cat([mean, most, (logits * known)[:, None], known[:, None]], -1)
        texts = self.s2(nn.functional.gelu(self.s1(pooled))) + bias[:, :3]
        bag = torch.logsumexp(marks[..., 1].masked_fill(real == 0, _NOWHERE), 1)
        bag = bag - math.log(context.USUAL_TOKENS)
        texts = torch.cat([texts[:, :1] + bag[:, None], texts[:, 1:]], 1)
        return marks[..., 0] + bias[:, 3:4], texts


class JudgeHead(nn.Module):  # type: ignore[misc]
    """Says the fault of a rewrite, its use, and how people would judge it.

    Args:
        width: Of the encoder's vectors.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a = nn.Linear(3 * width, _JUDGE_HIDDEN)
        self.b = nn.Linear(_JUDGE_HIDDEN, len(FAULTS) + 1 + len(HUMAN))
        self.tok = nn.Linear(width, len(FAULTS))

    def forward(self, hidden: Any, real: Any, cuts: Any) -> Any:
        """Logits of `FAULTS`, of use and of `HUMAN`: [rows, 11].

        Args:
            hidden: The encoder's vectors, [rows, tokens, width].
            real: See `Batch`.
            cuts: Tokens of the text in each row; two more, and the rewrite begins.
        """
        place = torch.arange(hidden.shape[1])[None]
        rewrite = (place >= cuts[:, None] + 2) & (real > 0)
        text = (place < cuts[:, None]) & (real > 0)
        most = hidden.masked_fill(~rewrite[..., None], _NOWHERE).max(1).values
        pooled = torch.cat([_mean(hidden, text), _mean(hidden, rewrite), most], -1)
        logits = self.b(nn.functional.gelu(self.a(pooled)))
        local = self.tok(hidden).masked_fill(~rewrite[..., None], _NOWHERE)
        evidence = torch.logsumexp(local, 1) - math.log(reader.USUAL_TOKENS)
        faults = logits[:, : len(FAULTS)] + evidence
        return torch.cat([faults, logits[:, len(FAULTS) :]], 1)


def _mean(hidden: Any, chosen: Any) -> Any:
    return (hidden * chosen[..., None]).sum(1) / chosen.sum(1, keepdim=True).clamp(min=1)


class ReaderNetwork(nn.Module):  # type: ignore[misc]
    """The encoder with a LoRA, and a head.

    Args:
        encoder: The packed encoder; its weights stay as they are.
        head: Takes the vectors.
        settings: The LoRA's shape, what it starts from, what of it stays.
        half: Whether to compute in bfloat16; what is trained is float32 always.
    """

    def __init__(self, encoder: Encoder, head: Any, settings: ReaderSettings, half: bool) -> None:
        from peft import LoraConfig, get_peft_model

        super().__init__()
        base = torch_encoder(encoder).requires_grad_(False)
        shape = LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules=list(MATRICES),
        )
        self.encoder = get_peft_model(base.to(torch.bfloat16) if half else base, shape)
        self.head = head
        self._half = half
        for name, factor in self.factors().items():
            factor.data = factor.data.float()
            layer = int(name.split(".")[1].removeprefix("l"))
            factor.requires_grad = layer >= settings.frozen_layers

    def factors(self) -> dict[str, Any]:
        """The parameters of the LoRA under the names that the file has (``encoder.l0.q.down``)."""
        named = self.encoder.named_parameters()
        return {factor_name(name): p for name, p in named if "lora_" in name}

    def vectors(self, batch: Batch) -> Any:
        """float32 [rows, tokens, width]."""
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._half):
            read = self.encoder(input_ids=batch.ids, attention_mask=batch.real.long())
        return read.last_hidden_state.float()

    def begin_with(self, path: Path, scale: float) -> None:
        """Takes the LoRA over from a reader's file, and the head if it is of the same kind.

        Args:
            path: The file.
            scale: alpha / r of this LoRA, which a file has in ``up``.

        Raises:
            ModelError: If the file is missing or damaged.
            DataError: If its LoRA has another shape.
        """
        own = self.factors()
        for matrix, (down, up) in read_encoder_change(path).factors.items():
            for name, factor in ((f"encoder.{matrix}.down", down), (f"encoder.{matrix}.up", up)):
                if name not in own or own[name].shape != factor.shape:
                    raise DataError(
                        f"The LoRA of {path.name} does not fit: {name} is {factor.shape}.",
                        mend="give the same rank as the training that made it",
                    )
                divided = factor / scale if name.endswith("up") else factor
                own[name].data.copy_(torch.from_numpy(divided))
        heads = head_tensors(path)
        heads.pop("calibration", None)
        if heads.keys() == self.head.state_dict().keys():
            self.head.load_state_dict({n: torch.from_numpy(head) for n, head in heads.items()})

    def draw_to(self, path: Path, scale: float, share: float) -> None:
        """Gives what is trained a share of the weights that it began with.

        Args:
            path: The file that `begin_with` read.
            scale: As there.
            share: In [0, 1]; 0 changes nothing.
        """
        own = {**self.factors(), **dict(self.head.named_parameters())}
        trained = {name: parameter.data.clone() for name, parameter in own.items()}
        self.begin_with(path, scale)
        for name, parameter in own.items():
            parameter.data.mul_(share).add_(trained[name], alpha=1 - share)

    def arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """The LoRA and the head as `civilly.train.reader.save.packed_tensors` takes them."""
        return _numpy(self.factors()), _numpy(self.head.state_dict())


def _numpy(tensors: dict[str, Any]) -> dict[str, NDArray[Any]]:
    return {name: tensor.detach().float().numpy() for name, tensor in tensors.items()}


def torch_encoder(encoder: Encoder) -> Any:
    """The packed encoder as a BERT of transformers."""
    from transformers import BertConfig, BertModel

    width = encoder.width
    shape = BertConfig(
        vocab_size=len(encoder.tensors["emb.word"]) // width,
        hidden_size=width,
        num_hidden_layers=encoder.layers,
        num_attention_heads=encoder.heads,
        intermediate_size=len(encoder.tensors["l0.fi.b"]),
        max_position_embeddings=len(encoder.tensors["emb.pos"]) // width,
        type_vocab_size=1,
        layer_norm_eps=encoder.norm_epsilon,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = BertModel(shape, add_pooling_layer=False)
    weights = {name: torch.from_numpy(np.array(array)) for name, array in _state(encoder).items()}
    model.load_state_dict(weights, strict=False)
    return model


def _state(encoder: Encoder) -> dict[str, NDArray[np.float32]]:
    """The weights under transformers' names."""
    given, width = encoder.tensors, encoder.width
    state = {
        "embeddings.word_embeddings.weight": given["emb.word"].reshape(-1, width),
        "embeddings.position_embeddings.weight": given["emb.pos"].reshape(-1, width),
        "embeddings.token_type_embeddings.weight": given["emb.type"][:width].reshape(1, width),
        "embeddings.LayerNorm.weight": given["emb.ln.w"],
        "embeddings.LayerNorm.bias": given["emb.ln.b"],
    }
    for layer in range(encoder.layers):
        place = f"encoder.layer.{layer}."
        for name, short in MATRICES.items():
            bias = given[f"l{layer}.{short}.b"]
            state[f"{place}{name}.weight"] = given[f"l{layer}.{short}.w"].reshape(len(bias), -1)
            state[f"{place}{name}.bias"] = bias
        for name, short in _NORMS.items():
            state[f"{place}{name}.weight"] = given[f"l{layer}.{short}.w"]
            state[f"{place}{name}.bias"] = given[f"l{layer}.{short}.b"]
    return state
