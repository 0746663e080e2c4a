"""Published sparse autoencoders by name: their model, hook, width and L0; fetched only if asked.

Names, models and nominal L0 as in SAELens 6.54.12, ``pretrained_saes.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from civilly.data.hub_access import hub_access
from civilly.errors import MissingExtraError, ModelError, UnknownNameError
from civilly.model.sparse.layouts import CONFIG, NPZ, PARAMS, load_sae

if TYPE_CHECKING:
    from civilly.model.sparse.autoencoder import SparseAutoencoder

EMBEDDED = "embedded"
"""The name of the one that the package brings, for the model that it brings."""

_FIRST_L0 = (
    105, 102, 141, 59, 124, 68, 70, 69, 71, 73, 77, 80, 82,
    84, 84, 78, 78, 77, 74, 73, 71, 70, 72, 75, 73, 116,
)  # fmt: skip
"""Of gemma-scope-2b-pt-res at width 16k, by layer: the picks that SAELens calls canonical."""
_SECOND_LAYERS = {
    "270m": (5, 9, 12, 15), "1b": (7, 13, 17, 22), "4b": (9, 17, 22, 29), "12b": (12, 24, 31, 41),
}  # fmt: skip
_SECOND_WIDTHS = {"16k": 16_384, "65k": 65_536, "262k": 262_144, "1m": 1_048_576}
_SECOND_L0 = {"small": 20, "medium": 60, "big": 150}
_LOWEST_L0 = {
    "270m": {"small": 18, "medium": 55, "big": 135},
    "1b": {"small": 18, "medium": 54, "big": 132},
    "4b": {"small": 17, "medium": 53, "big": 131},
    "12b": {"small": 17, "medium": 52, "big": 127},
}
"""The same at the lowest of the four layers."""


@dataclass(frozen=True, slots=True)
class Published:
    """A published sparse autoencoder of a residual stream.

    Attributes:
        name: ``release/path``.
        repository: On the hub.
        path: Its folder there.
        model: The language model, a hub id.
        layer: From 0; it reads the stream after this layer.
        hook: The place, as transformers call it.
        width: Latents.
        l0: Latents that are active at a position, nominally.
        files: What it consists of.
    """

    name: str
    repository: str
    path: str
    model: str
    layer: int
    hook: str
    width: int
    l0: int
    files: tuple[str, ...]


def published() -> Iterator[Published]:
    """All that are known: Gemma Scope for Gemma 2 2B at 16k, Gemma Scope 2 up to 12B."""
    for layer, l0 in enumerate(_FIRST_L0):
        path = f"layer_{layer}/width_16k/average_l0_{l0}"
        release = "gemma-scope-2b-pt-res"
        yield Published(
            f"{release}/{path}", f"google/{release}", path, "google/gemma-2-2b", layer,
            f"model.layers.{layer}.output", 16_384, l0, (NPZ,),
        )  # fmt: skip
    for size, layers in _SECOND_LAYERS.items():
        for kind in ("pt", "it"):
            yield from _second(size, kind, layers)


def _second(size: str, kind: str, layers: tuple[int, ...]) -> Iterator[Published]:
    plain = size == "270m" and kind == "pt"
    model = f"google/gemma-3-{size}" + ("" if plain else f"-{kind}")
    release = f"gemma-scope-2-{size}-{kind}"
    for layer in layers:
        for width, count in _SECOND_WIDTHS.items():
            for density, l0 in _SECOND_L0.items():
                name = f"layer_{layer}_width_{width}_l0_{density}"
                nominal = _LOWEST_L0[size][density] if layer == layers[0] else l0
                yield Published(
                    f"{release}-res/{name}", f"google/{release}",
                    f"resid_post/{name}", model, layer, f"model.layers.{layer}.output", count,
                    nominal, (PARAMS, CONFIG),
                )  # fmt: skip


def find_published(name: str) -> Published:
    """What a name means.

    Args:
        name: ``release/path``, with or without the owner ``google/``.

    Raises:
        UnknownNameError: If it is not known here; the nearest name is shown.
    """
    known = {each.name: each for each in published()}
    plain = re.sub(r"^google/", "", name.strip("/")).replace("/resid_post/", "/")
    if plain not in known:
        release = plain.partition("/")[0]
        like = [each for each in known if each.startswith(release + "/")] or list(known)
        raise UnknownNameError("sparse autoencoder", name, like)
    return known[plain]


def fetch(name: str, *, download: bool = False) -> Path:
    """The folder of a published sparse autoencoder on this machine.

    Args:
        name: See `find_published`.
        download: Whether it may be downloaded; else it must be in the hub's cache already.

    Raises:
        UnknownNameError: If it is not known.
        MissingExtraError: If the hub's library is not installed.
        ModelError: If it is not on this machine and may or can not be downloaded.
    """
    found = find_published(name)
    try:
        from huggingface_hub import hf_hub_download, try_to_load_from_cache
    except ImportError as error:
        raise MissingExtraError(
            "A published sparse autoencoder", "sae", "huggingface_hub"
        ) from error
    paths = [f"{found.path}/{file}" for file in found.files]
    cached = [try_to_load_from_cache(found.repository, path) for path in paths]
    if all(isinstance(each, str) for each in cached):
        return Path(str(cached[0])).parent
    if not download:
        raise ModelError(
            f"{found.name} is not on this machine, and nothing is downloaded unasked.",
            mend=f"hf download {found.repository} {' '.join(paths)}",
        )
    with hub_access(found.repository) as hub:
        try:
            fetched = [hf_hub_download(found.repository, path) for path in paths]
            return Path(fetched[0]).parent
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{found.name} cannot be downloaded: {hub.problem(str(error).splitlines()[0])}.",
                mend=hub.mend("check the network and your access to the repository"),
            ) from error


def shipped_folder() -> Path:
    """The folder of the sparse autoencoder that the package brings, for the embedded model.

    Raises:
        ModelError: If this copy brings none.
    """
    folder = Path(str(files("civilly").joinpath("weights/sae")))
    if not (folder / PARAMS).is_file():
        raise ModelError(
            "This copy of Civilly brings no sparse autoencoder.",
            mend="train one with `civilly train sae recipes/sae.toml -o RUN` and name its folder",
        )
    return folder


def open_sae(name: str = EMBEDDED, *, download: bool = False) -> SparseAutoencoder:
    """Opens a sparse autoencoder by what users call it.

    Args:
        name: ``embedded``: the one that the package brings; a folder (`load_sae`); or a published
            one (`find_published`).
        download: Whether a published one may be downloaded.

    Raises:
        UnknownNameError, MissingExtraError, ModelError: As `load_sae` and `fetch`.
    """
    if name == EMBEDDED:
        return load_sae(shipped_folder())
    if Path(name).is_dir():
        return load_sae(Path(name))
    return load_sae(fetch(name, download=download))
