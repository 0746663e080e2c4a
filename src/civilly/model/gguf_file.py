"""Opens a GGUF file: its architecture checked, its fields read, its tensors named."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from civilly.errors import ModelError

MAGIC = b"GGUF"
"""What such a file begins with."""
_VERSIONS = (2, 3)
_TEXT_KIND, _SIZES = 8, {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Kind of a field that is a text, and bytes of those that are a number, as GGUF numbers them."""
_LONGEST = 1 << 20
"""Bytes of a text in the head; a damaged length is far above."""


class GgufFile:
    """A GGUF file of a known architecture.

    Args:
        path: The file.
        architecture: What it has to hold, as GGUF calls it.
        mend: What to do about a damaged file.

    Attributes:
        tensors: Its tensors, as gguf has them.

    Raises:
        ModelError: If the file is no GGUF, or of another architecture.
    """

    def __init__(self, path: Path, architecture: str, mend: str) -> None:
        import gguf

        self._path, self._mend = path, mend
        try:
            reader = gguf.GGUFReader(str(path))
        # Beyond the end of a file gguf reads lists of nothing, and stumbles over them later.
        except (OSError, ValueError, IndexError, KeyError) as error:
            raise unreadable(path, error, mend) from error
        self._reader = reader
        self.tensors: list[Any] = reader.tensors
        found = self.field("general.architecture")
        if found != architecture:
            raise ModelError(
                f"{path} holds a model of architecture {found!r}.",
                allowed=architecture,
                mend=mend,
            )

    def field(self, name: str) -> Any:
        """The content of a field.

        Raises:
            ModelError: If the file lacks it.
        """
        found = self.optional(name)
        if found is None:
            raise ModelError(f"{self._path} lacks the field {name!r}.", mend=self._mend)
        return found

    def optional(self, name: str) -> Any:
        """The content of a field, or None if the file lacks it.

        Raises:
            ModelError: If it is damaged.
        """
        field = self._reader.get_field(name)
        try:
            return None if field is None else field.contents()
        except (ValueError, IndexError) as error:
            raise unreadable(self._path, error, self._mend) from error


def unreadable(path: Path, reason: Exception, mend: str) -> ModelError:
    """The error for a file that cannot be read as a GGUF.

    Args:
        path: The file.
        reason: What went wrong.
        mend: What to do about it.
    """
    if isinstance(reason, OSError):
        why = reason.strerror or str(reason)
    elif _beginning(path) != MAGIC:
        why = f"it does not begin with {MAGIC.decode()!r}"
    else:
        why = f"it is incomplete or damaged ({reason})"
    return ModelError(f"{path} is not a readable GGUF file: {why}.", mend=mend)


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC))
    except OSError:
        return b""


def read_head(path: Path, mend: str) -> dict[str, str]:
    """The texts at the beginning of a GGUF file, up to its first list, by their fields.

    What the architecture and the model are called stands there. To open the file as a whole takes
    seconds: the vocabulary is read piece by piece.

    Args:
        path: The file.
        mend: What to do about one that is none, or is damaged.

    Raises:
        ModelError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return dict(_texts(file))
    except (OSError, ValueError) as error:
        raise unreadable(path, error, mend) from error


def _texts(file: BinaryIO) -> Iterator[tuple[str, str]]:
    if _read(file, len(MAGIC)) != MAGIC:
        raise ValueError("another beginning")
    version, _, fields = struct.unpack("<IQQ", _read(file, 20))
    if version not in _VERSIONS:
        raise ValueError(f"version {version}")
    for _ in range(fields):
        name = _text(file)
        (kind,) = struct.unpack("<I", _read(file, 4))
        if kind == _TEXT_KIND:
            yield name, _text(file)
        elif kind in _SIZES:
            _read(file, _SIZES[kind])
        else:
            return


def _text(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", _read(file, 8))
    if length > _LONGEST:
        raise ValueError(f"a text of {length} bytes in its head")
    return _read(file, length).decode("utf-8")


def _read(file: BinaryIO, count: int) -> bytes:
    found = file.read(count)
    if len(found) < count:
        raise ValueError("it ends in its head")
    return found


def transformers_name(
    name: str, whole: Mapping[str, str], of_layer: Mapping[str, str], mend: str
) -> str:
    """What transformers calls a tensor of a GGUF file.

    Args:
        name: Its name in the file.
        whole: Names of the tensors that are not of a layer.
        of_layer: Names of the kinds of tensors that every layer has.
        mend: What to do about a file with another tensor.

    Raises:
        ModelError: If the name is not known.
    """
    if name in whole:
        return whole[name]
    try:
        _, layer, kind, suffix = name.split(".")
        return f"model.layers.{layer}.{of_layer[kind]}.{suffix}"
    except (ValueError, KeyError):
        raise ModelError(f"Unknown tensor {name!r} in the GGUF file.", mend=mend) from None
