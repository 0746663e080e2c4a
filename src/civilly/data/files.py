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

from civilly.data.encodings import BOM, decode_text
from civilly.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"
_KINDS = (
    (b"\x28\xb5\x2f\xfd", "packed with Zstandard", "unpack it: zstd -d FILE"),
    (b"BZh", "packed with bzip2", "unpack it: bunzip2 FILE, or pack it with gzip"),
    (b"\xfd7zXZ\x00", "packed with xz", "unpack it: unxz FILE, or pack it with gzip"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it, and name a file of it"),
    (b"%PDF-", "a PDF", "export its texts as plain text"),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "save it as CSV UTF-8 or as plain text"),
)
_OFFICE = (
    (b"xl/", "an Excel workbook", "save it as CSV UTF-8 in Excel, or as CSV in another program"),
    (b"word/", "a Word document", "save it as plain text (.txt)"),
    (b"opendocument.spreadsheet", "an OpenDocument spreadsheet", "save it as CSV"),
    (b"opendocument.text", "an OpenDocument text", "save it as plain text (.txt)"),
)
_ZIP = ("a zip archive", "unpack it: unzip FILE")
_OK = ("", "")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked if its content is gzip; ``-`` is stdin.

    Raises:
        DataError: If the file is missing, a folder, not readable, or a damaged gzip file.
    """
    if str(path) == "-" and sys.stdin is None:
        raise DataError("Standard input is closed.", mend="name a file, or hand it over on stdin")
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


def refuse_other_kinds(data: bytes, name: str) -> None:
    """Makes sure that a file is not packed, and no document of an office program.

    Raises:
        DataError: If it is, with the way to a file that can be read.
    """
    kind, mend = next(((kind, mend) for magic, kind, mend in _KINDS if data.startswith(magic)), _OK)
    if data.startswith(b"PK\x03\x04"):
        # The names of the files in the archive stand at its beginning and in the list at its end.
        names = data[:4096] + data[-65_536:]
        kind, mend = next(((kind, mend) for part, kind, mend in _OFFICE if part in names), _ZIP)
    if kind:
        raise DataError(f"{name} is {kind}.", allowed="text files, gzip, Parquet", mend=mend)


def decode(data: bytes, name: str) -> str:
    """Decodes what must be UTF-8, with or without byte order mark: recipes, scores, reports.

    Raises:
        DataError: If it is in another encoding, or damaged.
    """
    refuse_other_kinds(data, name)
    decoded = decode_text(data, name)
    if decoded.encoding != "utf-8" or _SURROGATE.search(decoded.text):
        known = decoded.encoding if decoded.encoding != "utf-8" else "NAME"
        raise DataError(
            f"{name} is not UTF-8.",
            allowed="UTF-8",
            mend=f"save it as UTF-8, or: iconv -f {known} -t UTF-8 OLD > NEW",
        )
    return decoded.text


def encode(text: str, *, mark: bool = False, bad_bytes: bool = False) -> bytes:
    """Encodes UTF-8; a lone surrogate becomes U+FFFD.

    Args:
        text: What to encode.
        mark: Whether to begin with a byte order mark.
        bad_bytes: Whether lone surrogates that stand for bytes (PEP 383) become these bytes.
    """
    marked = BOM + text if mark else text
    if bad_bytes:
        marked = _NO_BYTE.sub("\ufffd", marked)
        return marked.encode(errors="surrogateescape")
    return mend_surrogates(marked).encode()


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
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".civilly-")
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


def check_writable(path: Path) -> None:
    """Makes sure, before the work, that its result can be written where it shall go.

    Raises:
        DataError: If the folder is missing or takes no files, or the name is too long.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not path.is_file():
            return  # a device or a pipe
        _try_to_write(Path(os.path.realpath(path)).parent)
    except OSError as error:
        raise write_error(path, error) from error


def _try_to_write(folder: Path) -> None:
    # Asking for permissions is not enough: some folders, and whoever may do anything, lie.
    handle, name = tempfile.mkstemp(dir=folder, prefix=".civilly-")
    os.close(handle)
    os.unlink(name)


def check_folder(path: Path) -> None:
    """Makes sure, before the work, that a folder takes files, or can be made.

    Raises:
        DataError: If it cannot, or is a file.
    """
    try:
        nearest = next(place for place in (path, *path.absolute().parents) if place.exists())
        if not nearest.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        _try_to_write(nearest)
    except OSError as error:
        raise write_error(path, error) from error


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Makes sure, before the work, that a result replaces nothing unasked and can be written.

    Raises:
        DataError: If the file exists and may not be replaced, or cannot be written.
    """
    check_writable(path)
    if path.is_file() and not overwrite:
        raise DataError(f"{str(path)!r} exists.", mend="--overwrite to replace it")


def write_error(path: Path, error: OSError) -> DataError:
    """What to tell somebody whose file could not be written."""
    missing = not path.parent.is_dir()
    mends = {
        errno.ENOENT: f"make the folder first: mkdir -p {str(path.parent)!r}" if missing else "",
        errno.EISDIR: "name a file in that folder",
        errno.ENOTDIR: "choose another name, or move the file away",
        errno.ENOSPC: "free some disk space; nothing was half written",
        errno.ENAMETOOLONG: "choose a shorter name",
    }
    mend = mends.get(error.errno or 0) or "choose another folder with -o"
    return DataError(f"{str(path)!r} cannot be written: {error.strerror}.", mend=mend)
