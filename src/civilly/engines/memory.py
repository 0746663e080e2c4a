"""Keeps freed memory from piling up, and from being mapped anew at every step."""

from __future__ import annotations

import ctypes
import sys

# From malloc.h of the GNU C library.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
LARGE = 32 * 1024 * 1024
"""Bytes, the most that is allowed; a buffer of this size or more is mapped on its own and unmapped
when freed. Beams copy their caches at every step, and every page of a fresh mapping is a fault."""
KEPT = 4 * LARGE
"""Bytes at the end of the heap that stay for the next step of a decoding."""
ALL = 2**31 - 1
"""The same for a training, which has the process for itself."""


def share_freed_buffers() -> None:
    """Tells the C library's allocator so; without the GNU C library it does nothing.

    Decoding allocates and frees buffers of many sizes on several threads. By default the allocator
    keeps them per thread: a quarter more memory at the peak.
    """
    _set({_ARENA_MAX: 1, _MMAP_THRESHOLD: LARGE, _TRIM_THRESHOLD: KEPT})


def keep_freed_memory() -> None:
    """Lets a training keep what it frees, but for buffers of `LARGE` or more.

    Those would leave holes in the heap that only their like could fill: trainings grew to twice the
    memory.
    """
    _set({_MMAP_THRESHOLD: LARGE, _TRIM_THRESHOLD: ALL})


def _set(options: dict[int, int]) -> None:
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in options.items():
            mallopt(option, value)
