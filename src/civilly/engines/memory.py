"""Keeps freed memory from piling up: large buffers go back to the system at once."""

from __future__ import annotations

import ctypes
import sys

# From malloc.h of the GNU C library.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
LARGE = 4 * 1024 * 1024
"""Bytes; a buffer of this size or more is mapped on its own and unmapped when freed."""


def return_large_buffers() -> None:
    """Tells the C library's allocator so; without the GNU C library it does nothing.

    Decoding allocates and frees buffers of many sizes on several threads. By default the allocator
    keeps them, per thread: 15 % more memory at the peak, and no faster.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, LARGE), (_TRIM_THRESHOLD, LARGE)):
            mallopt(option, value)
