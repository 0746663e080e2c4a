"""A job: a folder of files goes in, the same files rewritten come out, each whole or not at all.

A file is a shard: one worker reads it, rewrites it by way of a journal (`civilly.data.journal`) and
puts it in its place in one step, so its rows are there once and in order whoever is killed when.
Beside the outputs, in `ASIDE`, stand the job (``job.json``), one entry of the manifest per finished
shard (``done/NAME.json``), and what was set aside (``bad/NAME.jsonl``). The name begins with an
underscore, so that what reads the folder as a data set leaves it out.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from civilly import __version__
from civilly.batch.source import Reading
from civilly.data.files import check_folder, write_bytes
from civilly.data.io import format_of, knows_suffix, uncompressed
from civilly.data.values import as_json
from civilly.errors import DataError
from civilly.pipeline import Detoxifier

ASIDE = "_civilly"
WEIGHTS = Path(__file__).parent.parent / "weights"


@dataclass(frozen=True)
class Job:
    """What is done to which files.

    Attributes:
        folder: Where the inputs lie.
        names: The shards: paths of the inputs in it, in order.
        output: The folder of the outputs.
        detoxifier: Rewrites; handed to another process, it loads its models anew.
        reading: How the inputs are read.
        json_lines: Whether a JSON object per text is written instead of the format of the input.
    """

    folder: Path
    names: Sequence[str]
    output: Path
    detoxifier: Detoxifier
    reading: Reading = field(default_factory=Reading)
    json_lines: bool = False

    def identity(self) -> dict[str, Any]:
        """What the outputs depend on beside the inputs, as this installation of Civilly has it."""
        content = {
            "civilly version": __version__,
            "models": _weights_digest(),
            "pipeline": self.detoxifier.describe(),
            "reading": asdict(self.reading),
            "json": self.json_lines,
        }
        as_read_back: dict[str, Any] = json.loads(as_json(content))
        return as_read_back

    def output_of(self, name: str) -> Path:
        """Where the output of a shard goes: the same name, unless another format is written."""
        format_name = self.reading.format or format_of(Path(name))
        if self.json_lines and format_name != "jsonl":
            name += ".jsonl"
        elif uncompressed(Path(name)).suffix.lower() == ".json":
            name = name.removesuffix(".gz").removesuffix(".json") + ".jsonl"
        return self.output / name

    def aside(self, kind: str, name: str) -> Path:
        """Where ``done`` or ``bad`` of a shard stands."""
        ending = ".json" if kind == "done" else ".jsonl"
        return self.output / ASIDE / kind / (name + ending)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one shard.

    Attributes:
        name: It.
        rows: Its rows in the output.
        changed: How many of them were rewritten.
        bad: How many rows were mended, or set aside because they could not be read.
        error: Why nothing came of it; nothing if it is finished.
        done_before: Whether an earlier run had finished it.
    """

    name: str
    rows: int = 0
    changed: int = 0
    bad: int = 0
    error: str = ""
    done_before: bool = False


def shards_in(given: Path, output: Path, format_name: str | None = None) -> tuple[Path, list[str]]:
    """The folder of the inputs and their names in it, in order.

    Args:
        given: A file, or a folder with files at any depth; what begins with a dot or an underscore
            is left out, and so is what has no suffix of a format.
        output: The folder of the outputs, which may lie in it.
        format_name: A format that all files have, whatever their suffixes are.

    Raises:
        DataError: If there is none.
    """
    if given.is_file():
        return given.parent, [given.name]
    names = []
    for folder, folders, files in os.walk(given):
        folders[:] = [name for name in folders if name[0] not in "._"]
        if os.path.abspath(folder) == os.path.abspath(output):
            folders.clear()
            continue
        paths = (Path(folder, name) for name in files if name[0] not in "._")
        known = [path for path in paths if format_name or _is_readable(path)]
        names += [path.relative_to(given).as_posix() for path in known]
    if not names:
        raise DataError(
            f"{str(given)!r} holds no file that Civilly reads.",
            allowed="Parquet, JSON lines, CSV, TSV and lines of text, by their suffixes",
            mend="name another folder, or the format of all files with --format",
        )
    return given, sorted(names)


def _is_readable(path: Path) -> bool:
    return knows_suffix(path) or uncompressed(path).suffix.lower() == ".json"


@contextlib.contextmanager
def opened(job: Job, *, overwrite: bool = False) -> Iterator[dict[str, Any]]:
    """Makes the output's folder ready and keeps other jobs out of it; gives the job's identity.

    Args:
        job: What is done.
        overwrite: Throw away what earlier jobs finished there.

    Raises:
        DataError: If the folder holds the outputs of another job, or other files; if another job is
            at work there; if two shards would have one output; if it cannot be written.
    """
    _refuse_clashes(job)
    identity = job.identity()
    check_folder(job.output)
    aside = job.output / ASIDE
    if not overwrite and job.output.is_dir() and any(job.output.iterdir()) and not aside.is_dir():
        raise DataError(
            f"{str(job.output)!r} holds other files.", mend="another -o FOLDER, or --overwrite"
        )
    aside.mkdir(parents=True, exist_ok=True)
    lock = FileLock(aside / "job.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DataError(
            f"Another job is writing into {str(job.output)!r}.", mend="wait for it, or another -o"
        ) from None
    try:
        _begin(aside, identity, overwrite=overwrite)
        yield identity
    finally:
        lock.release()


def _begin(aside: Path, identity: Mapping[str, Any], *, overwrite: bool) -> None:
    path = aside / "job.json"
    before = read_entry(path)
    different = [name for name in identity if before.get(name) != identity[name]] if before else []
    if different and not overwrite:
        raise DataError(
            f"{str(aside.parent)!r} was begun otherwise: {', '.join(different)} differ.",
            mend="the same options and version, another -o FOLDER, or --overwrite to begin again",
        )
    if overwrite:
        for entry in (aside / "done").rglob("*.json"):
            entry.unlink()
    write_bytes(path, (as_json(identity) + "\n").encode())


def _refuse_clashes(job: Job) -> None:
    made: dict[Path, str] = {}
    for name in job.names:
        output = job.output_of(name)
        if output.absolute() == (job.folder / name).absolute():
            raise DataError(f"The output {str(output)!r} is the input.", mend="another -o FOLDER")
        if output in made:
            raise DataError(
                f"{made[output]!r} and {name!r} would both become {str(output)!r}.",
                mend="rename one of them",
            )
        made[output] = name


def read_entry(path: Path) -> dict[str, Any]:
    """The object of a JSON file; empty if there is none, or if it is damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@cache
def _weights_digest() -> str:
    """A hash of all the weights that this installation brings."""
    digest = hashlib.sha256()
    for path in sorted(WEIGHTS.rglob("*.*")):
        if path.suffix in (".safetensors", ".json"):
            digest.update(f"{path.name} {path.stat().st_size} ".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
