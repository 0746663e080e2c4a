"""The file of what counts as toxic in a stream: ``toxic.safetensors``.

It holds several *readings* of one model: ``latents``, and the controls that they are measured
against (``difference``, ``probe``, ``random``, …), each with its own layer. Latents bring their
vectors along, so the autoencoder that they are of is not needed. Metadata ``toxic``: JSON, by name,
``kind``, ``model``, ``layer``, ``latents`` (width of the autoencoder), ``level``, ``unit``,
``peak``. Tensors, float32: ``NAME.encoder`` [width, n], ``NAME.bias``, ``NAME.jump``,
``NAME.decoder`` [n, width], ``NAME.numbers`` int64, ``NAME.weights``, ``NAME.thresholds``,
``NAME.peaks`` [n]; or ``NAME.vector`` [width].
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from civilly.data.files import write_bytes
from civilly.errors import MissingExtraError, ModelError, UnknownNameError
from civilly.model.sparse.toxic import KINDS, About, Toxic, ToxicDirection, ToxicLatents

FILE = "toxic.safetensors"
DEFAULT = "latents"
"""What is read where nobody names another."""
_KEY = "toxic"
_OF_LATENTS = (
    "encoder", "bias", "jump", "decoder", "numbers", "weights", "thresholds", "peaks",
)  # fmt: skip


def shipped_toxic() -> Path:
    """The file that the package brings.

    Raises:
        ModelError: If it brings none.
    """
    path = Path(str(files("civilly").joinpath(f"weights/sae/{FILE}")))
    if not path.exists():
        raise ModelError(
            "This copy of Civilly brings no toxic latents.", mend="civilly interpret latents"
        )
    return path


def open_toxic(place: Path | None = None, name: str = DEFAULT) -> Toxic:
    """Reads what counts as toxic.

    Args:
        place: A file, or a folder with a `FILE`; None: the one that the package brings.
        name: Which of the file's readings.

    Raises:
        MissingExtraError: If torch is not installed.
        ModelError: If the file is missing, damaged, or another kind of file.
        UnknownNameError: If it holds no such reading.
    """
    path = _found(place)
    about, tensors = _read(path)
    if name not in about:
        raise UnknownNameError(f"reading in {str(path)!r}", name, about)
    try:
        return _opened(name, about[name], tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{str(path)!r} is damaged: {name!r} lacks {error}.",
            mend="make it again: civilly interpret latents",
        ) from error


def names_in(place: Path | None = None) -> list[str]:
    """The readings of a file; see `open_toxic`."""
    return list(_read(_found(place))[0])


def write_toxic(path: Path, readings: Sequence[Toxic]) -> None:
    """Writes a file; the same readings give the same bytes.

    Raises:
        DataError: If it cannot be written.
    """
    from safetensors.numpy import save

    about: dict[str, dict[str, Any]] = {}
    tensors: dict[str, Any] = {}
    for each in readings:
        own = each.about
        about[own.name] = {
            "kind": own.kind, "model": own.model, "layer": own.layer, "latents": own.latents,
        }  # fmt: skip
        if isinstance(each, ToxicDirection):
            about[own.name] |= {"level": each.level, "unit": each.unit, "peak": each.peak}
        own_tensors = _tensors_of(each)
        tensors |= {f"{own.name}.{key}": t.contiguous().numpy() for key, t in own_tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, save(tensors, {_KEY: json.dumps(about)}))


def _found(place: Path | None) -> Path:
    path = shipped_toxic() if place is None else place
    if path.is_dir():
        path = path / FILE
    if not path.is_file():
        raise ModelError(
            f"There is no {str(path)!r}.",
            allowed=f"a file that civilly interpret latents wrote, or a folder with a {FILE}",
        )
    return path


def _read(path: Path) -> tuple[dict[str, dict[str, Any]], Mapping[str, Any]]:
    try:
        import torch  # noqa: F401 - asked for before anything is read
    except ImportError as error:
        raise MissingExtraError("Reading a model's stream", "sae", "torch") from error
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(_KEY, "null"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(
            f"{str(path)!r} cannot be read: {error}.",
            mend="civilly interpret latents writes it anew",
        ) from error
    if not isinstance(about, dict):
        raise ModelError(
            f"{str(path)!r} says of nothing that it is toxic.",
            allowed="a file that civilly interpret latents wrote",
            mend=f"the file {FILE}, not the autoencoder's" if "w_enc" in tensors else "",
        )
    return about, tensors


def _opened(name: str, said: Mapping[str, Any], tensors: Mapping[str, Any]) -> Toxic:
    from civilly.model.sparse.autoencoder import JumpRelu, SparseAutoencoder

    about = About(name, said["kind"], said["model"], int(said["layer"]), int(said["latents"]))
    if about.kind not in KINDS:
        raise ValueError(f"a known kind (it has {about.kind!r})")
    if about.kind == "direction":
        level, unit, peak = (float(said[key]) for key in ("level", "unit", "peak"))
        return ToxicDirection(about, tensors[f"{name}.vector"], level, unit, peak)
    own = {key: tensors[f"{name}.{key}"] for key in _OF_LATENTS}
    nothing = own["decoder"].new_zeros(own["decoder"].shape[1])
    part = SparseAutoencoder(
        own["encoder"], own["bias"], own["decoder"], nothing, JumpRelu(own["jump"])
    )
    numbers = tuple(own["numbers"].tolist())
    return ToxicLatents(about, part, numbers, own["weights"], own["thresholds"], own["peaks"])


def _tensors_of(toxic: Toxic) -> dict[str, Any]:
    import torch

    from civilly.model.sparse.autoencoder import JumpRelu

    if isinstance(toxic, ToxicDirection):
        return {"vector": toxic.vector}
    assert isinstance(toxic, ToxicLatents)
    part = toxic.part
    assert isinstance(part.activation, JumpRelu)
    return {
        "encoder": part.encoder, "bias": part.encoder_bias, "jump": part.activation.threshold,
        "decoder": part.decoder, "numbers": torch.tensor(toxic.numbers, dtype=torch.int64),
        "weights": toxic.weights, "thresholds": toxic.thresholds, "peaks": toxic.peaks,
    }  # fmt: skip
