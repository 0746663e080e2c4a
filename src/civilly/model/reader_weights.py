"""The weights of a reader as they lie in a file: a LoRA of the encoder, heads, calibration.

The readers are two: the detector in context (`civilly.detect.context`) and the judge of rewrites
(`civilly.score.reader`).

A safetensors file with ``encoder.LAYER.MATRIX.down`` [r, in] and ``.up`` [out, r] (Hu et al. 2021;
the scale is in ``up``), ``pieces`` (a bit per piece of the encoder's vocabulary) and the tensors of
the heads under their own names, all in float16 but for what is small.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from civilly.errors import ModelError

_ENCODER, _DOWN, _UP, PIECES = "encoder.", ".down", ".up", "pieces"

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EncoderChange:
    """What a reader changes of the encoder.

    Attributes:
        factors: By matrix (``l0.q``): down [r, in] and up [out, r]; the sum is W + up · down.
        pieces: Ids of the pieces that are kept, ascending.
    """

    factors: dict[str, tuple[Floats, Floats]]
    pieces: NDArray[np.int64]


def shipped_reader(name: str) -> Path:
    """The file of a reader that the package brings: ``"detector"`` or ``"judge"``.

    Raises:
        ModelError: If the package brings none.
    """
    path = Path(str(files("civilly").joinpath(f"weights/reader/{name}.safetensors")))
    if not path.exists():
        raise ModelError(
            f"This copy of Civilly brings no reader {name!r}.",
            mend="train one: civilly train reader recipes/reader.toml",
        )
    return path


def _read_tensors(path: Path) -> dict[str, NDArray[np.generic]]:
    """All tensors of a reader's file.

    Raises:
        ModelError: If it is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"The reader {path.name} cannot be read ({error}).",
            mend="reinstall civilly, or train it again: civilly train reader recipes/reader.toml",
        ) from error


def read_encoder_change(path: Path) -> EncoderChange:
    """The LoRA and the pieces of a reader's file.

    Raises:
        ModelError: If it is missing or damaged, or has no pieces.
    """
    tensors = _read_tensors(path)
    names = [n.removesuffix(_DOWN) for n in tensors if n.startswith(_ENCODER) and _DOWN in n]
    try:
        factors = {
            name.removeprefix(_ENCODER): (
                tensors[name + _DOWN].astype(np.float32),
                tensors[name + _UP].astype(np.float32),
            )
            for name in names
        }
        bits = np.unpackbits(tensors[PIECES].view(np.uint8))
    except KeyError as error:
        raise _without(path, str(error.args[0])) from error
    return EncoderChange(factors, np.flatnonzero(bits))


def head_tensors(path: Path, needed: Collection[str] = ()) -> dict[str, Floats]:
    """The heads of a reader's file in float32, by name.

    Args:
        path: The file.
        needed: Tensors that must be among them.

    Raises:
        ModelError: If it is missing, damaged, or of another reader.
    """
    heads = {
        name: tensor.astype(np.float32)
        for name, tensor in _read_tensors(path).items()
        if not name.startswith(_ENCODER) and name != PIECES
    }
    for name in needed:
        if name not in heads:
            raise _without(path, name)
    return heads


def _without(path: Path, name: str) -> ModelError:
    return ModelError(
        f"The reader {path.name} has no tensor {name!r}.",
        mend="train it again: civilly train reader recipes/reader.toml",
    )


def layer(tensors: Mapping[str, Floats], name: str, values: Floats) -> Floats:
    """A linear layer of the heads: values · Wᵀ + b."""
    return np.asarray(values @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"])


def pooled_evidence(logits: Floats, usual: float) -> Floats:
    """log(Σ exp(logits) / usual) over tokens: close to that of the token that says most.

    Args:
        logits: [tokens] or [tokens, kinds].
        usual: So many tokens without evidence, of logit 0, give 0.
    """
    most = logits.max(axis=0)
    return np.asarray(most + np.log(np.exp(logits - most).sum(axis=0) / usual))


def gelu(values: Floats) -> Floats:
    """X · Φ(x) (Hendrycks and Gimpel 2016), exactly, as torch computes it."""
    return np.asarray(values * 0.5 * (1.0 + _erf(values / np.float32(np.sqrt(2)))), np.float32)


def _erf(x: Floats) -> Floats:
    """Abramowitz and Stegun 7.1.26: off by at most 1.5e-7."""
    t = 1.0 / (1.0 + 0.3275911 * np.abs(x))
    poly = t * (
        0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))
    )
    return np.asarray(np.sign(x) * (1.0 - poly * np.exp(-x * x)), np.float32)
