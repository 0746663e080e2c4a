"""Opens a packaged GGUF file: its architecture checked, its fields read, its tensors named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from civilly.errors import ModelError


class GgufFile:
    """A GGUF file of a known architecture.

    Args:
        path: The file.
        architecture: What it has to hold, as GGUF calls it.
        reinstall: The mend of a damaged package.

    Attributes:
        tensors: Its tensors, as gguf has them.

    Raises:
        ModelError: If the file is no GGUF, or of another architecture.
    """

    def __init__(self, path: Path, architecture: str, reinstall: str) -> None:
        import gguf

        self._reinstall = reinstall
        try:
            reader = gguf.GGUFReader(str(path))
        except (ValueError, OSError) as error:
            raise ModelError(
                f"{path} is not a readable GGUF file: {error}.", mend=reinstall
            ) from error
        self._reader = reader
        self.tensors: list[Any] = reader.tensors
        found = self.field("general.architecture")
        if found != architecture:
            raise ModelError(
                f"{path} holds a model of architecture {found!r}.",
                allowed=architecture,
                mend=reinstall,
            )

    def field(self, name: str) -> Any:
        """The content of a field.

        Raises:
            ModelError: If the file lacks it.
        """
        field = self._reader.get_field(name)
        if field is None:
            raise ModelError(f"The GGUF file lacks the field {name!r}.", mend=self._reinstall)
        return field.contents()


def transformers_name(
    name: str, whole: Mapping[str, str], of_layer: Mapping[str, str], reinstall: str
) -> str:
    """What transformers calls a tensor of a GGUF file.

    Args:
        name: Its name in the file.
        whole: Names of the tensors that are not of a layer.
        of_layer: Names of the kinds of tensors that every layer has.
        reinstall: The mend of a damaged package.

    Raises:
        ModelError: If the name is not known.
    """
    if name in whole:
        return whole[name]
    try:
        _, layer, kind, suffix = name.split(".")
        return f"model.layers.{layer}.{of_layer[kind]}.{suffix}"
    except (ValueError, KeyError):
        raise ModelError(f"Unknown tensor {name!r} in the GGUF file.", mend=reinstall) from None
