"""How the suites open and run their models: where from, on which device, in which batches."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from civilly.data.hub_access import hub_access
from civilly.engines.hardware import device_of, dtype_of
from civilly.errors import CivillyError, MissingExtraError, ModelError
from civilly.registry import Option

EXTRA = "official"
DTYPES = ("fp32", "bf16", "fp16")
MAX_LENGTH = 512
"""Tokens a text may have; the rest is cut off, as the shared tasks do."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model on the hub or in a folder.

    Attributes:
        name: Hub id such as ``org/name``, or a folder.
        revision: Branch, tag or commit of a hub id; None is its main branch.
    """

    name: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> ModelSource:
        """Reads ``org/name``, ``org/name@revision`` or a folder.

        Raises:
            CivillyError: If there is no name.
        """
        if text and Path(text).is_dir():
            return cls(text)
        name, _, revision = text.partition("@")
        if not name:
            raise CivillyError(
                f"{text!r} names no model.", allowed="org/name, org/name@revision, a folder"
            )
        return cls(name, revision or None)

    @property
    def is_folder(self) -> bool:
        """Whether it is on this machine already."""
        return Path(self.name).is_dir()

    @property
    def where(self) -> dict[str, Any]:
        """What ``from_pretrained`` needs beside the name; a folder never touches the network."""
        return {"local_files_only": True} if self.is_folder else {"revision": self.revision}

    def file(self, *names: str) -> Path | None:
        """The first of some files that the model has, downloaded if need be.

        Raises:
            OSError: If a hub id does not exist.
            ModelError: If it can be neither found here nor downloaded.
        """
        from transformers.utils import cached_file

        with hub_access(self.name):
            for name in names:
                path = cached_file(
                    self.name, name, _raise_exceptions_for_missing_entries=False, **self.where
                )
                if path is not None:
                    return Path(path)
        return None

    def signed(self) -> str:
        """``id@commit``, or ``folder@sha256:…`` over the folder's weights.

        A hub id that is not in the cache and cannot be reached is signed as it was asked for.
        """
        if self.is_folder:
            return f"{Path(self.name).resolve().name}@sha256:{_digest(Path(self.name))}"
        try:
            path = self.file("config.json", "model.safetensors", "pytorch_model.bin")
        except (ImportError, OSError, ModelError):
            path = None
        parts = path.parts if path is not None else ()
        commit = parts[parts.index("snapshots") + 1] if "snapshots" in parts else None
        return f"{self.name}@{commit or self.revision or 'main'}"


def _digest(folder: Path) -> str:
    """Twelve hexadecimal digits over the weights below a folder, or its vocabulary files."""
    found = sorted(p for kind in ("*.safetensors", "*.bin") for p in folder.rglob(kind))
    found = found or sorted(p for p in folder.iterdir() if p.is_file())
    total = hashlib.sha256()
    for path in found:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Runtime:
    """How models run.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        dtype: ``fp32`` (as the shared tasks), ``bf16`` or ``fp16``.
        batch: Texts (for XCOMET, rows) that run together.
    """

    device: str = "auto"
    dtype: str = "fp32"
    batch: int = 32

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Runtime:
        """Reads ``device``, ``dtype`` and ``batch``.

        Raises:
            CivillyError: If a value is not allowed.
        """
        dtype = str(options.get("dtype", cls().dtype))
        if dtype not in DTYPES:
            raise CivillyError(f"The option 'dtype' is {dtype!r}.", allowed=", ".join(DTYPES))
        batch = str(options.get("batch", cls().batch))
        if not batch.isascii() or not batch.isdecimal() or int(batch) < 1:
            raise CivillyError(f"The option 'batch' is {batch!r}.", allowed="1 or more")
        return cls(str(options.get("device", cls().device)), dtype, int(batch))

    def resolve(self) -> tuple[Any, Any, Any]:
        """The module torch, the device and the number format.

        Raises:
            ImportError: If torch is not installed.
            EngineError: If torch knows no such device.
        """
        import torch

        device = device_of(torch, self.device)
        return torch, device, dtype_of(torch, self.dtype, device)


RUNTIME_OPTIONS = (
    Option("device", "Device of torch, as cpu or cuda:1."),
    Option("dtype", "Precision of the weights.", DTYPES),
    Option("batch", "Texts that are read together."),
)


@contextmanager
def opening(role: str, source: ModelSource) -> Iterator[None]:
    """Turns what goes wrong while a model is opened into our errors.

    Args:
        role: What the model is for, for example ``"STA"``.
        source: The model.

    Raises:
        MissingExtraError: If a package is not installed.
        ModelError: If the model is not there, or is not such a model.
    """
    with hub_access(source.name, what=f"The model of {role}") as hub:
        try:
            yield
        except ImportError as error:
            raise MissingExtraError(f"The model of {role}", EXTRA, error.name or "torch") from error
        except CivillyError:
            raise
        except Exception as error:  # the libraries raise everything from OSError to their own kinds
            raise ModelError(
                f"The model of {role}, {source.name!r}, cannot be opened: "
                f"{hub.problem(_first_line(error))}",
                allowed="a hub id (org/name@revision) or a folder of such a model",
                mend=hub.mend("check the name, the revision, the network and the device"),
            ) from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]


def batches(lengths: Sequence[int], size: int, label: str) -> Iterator[list[int]]:
    """Indices in batches of like length, longest first, with a progress bar at a terminal.

    Args:
        lengths: Tokens of each row.
        size: The most rows in a batch.
        label: What the bar says.
    """
    from rich.console import Console
    from rich.progress import track

    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    cut = [order[start : start + size] for start in range(0, len(order), size)]
    yield from track(
        cut,
        description=label,
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
