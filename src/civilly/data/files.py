"""Bytes from files and to files: gzip, encodings, and writing that is all or nothing."""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import re
import sys
import tempfile
import zlib
from pathlib import Path

from civilly.errors import DataError

BOM = "\ufeff"
_GZIP_MAGIC = b"\x1f\x8b"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked if its content is gzip; ``-`` is stdin.

    Raises:
        DataError: If the file is missing, a folder, not readable, or a damaged gzip file.
    """
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"There is no file {str(path)!r}.", mend="check the path") from None
    except IsADirectoryError:
        raise DataError(f"{str(path)!r} is a folder.", mend="name a file in it") from None
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}.") from error
    if not data.startswith(_GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{str(path)!r} is a damaged gzip file: {error}.", mend="copy or download it again"
        ) from error


def decode(data: bytes, name: str) -> str:
    """Decodes UTF-8, with or without byte order mark.

    A byte that is not UTF-8 becomes a lone surrogate (PEP 383), so that `mend_surrogates` can say
    later in which row it was.

    Raises:
        DataError: If the file is UTF-16 by its byte order mark.
    """
    if data.startswith(_UTF16_MARKS):
        raise DataError(
            f"{name} is UTF-16.",
            allowed="UTF-8",
            mend="save it as UTF-8, or: iconv -f UTF-16 -t UTF-8 OLD > NEW",
        )
    return data.decode("utf-8", errors="surrogateescape").removeprefix(BOM)


def encode(text: str) -> bytes:
    """Encodes UTF-8; a lone surrogate becomes U+FFFD.

    A text that itself begins with U+FEFF gets a byte order mark before it: reading takes one away.
    """
    return mend_surrogates(BOM + text if text.startswith(BOM) else text).encode()


def mend_surrogates(text: str) -> str:
    """Replaces every lone surrogate, which no encoder and no tokenizer accepts, by U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all; packs it if the name ends in ``.gz``.

    The bytes depend on nothing but ``data``: a gzip file gets no time stamp. A device or pipe such
    as ``/dev/stdout`` is written to directly.

    Raises:
        DataError: If the folder is missing, not writable, or the disk is full.
    """
    if path.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            _replace(Path(os.path.realpath(path)), data)
    except OSError as error:
        raise write_error(path, error) from error


def _replace(path: Path, data: bytes) -> None:
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_error(path: Path, error: OSError) -> DataError:
    """What to tell somebody whose file could not be written."""
    mends = {
        errno.ENOENT: f"make the folder first: mkdir -p {str(path.parent)!r}",
        errno.EISDIR: "name a file in that folder",
        errno.ENOSPC: "free some disk space; nothing was half written",
    }
    mend = mends.get(error.errno or 0, "choose another folder with -o")
    return DataError(f"{str(path)!r} cannot be written: {error.strerror}.", mend=mend)
