"""Sampling from CTranslate2 that the same seed repeats.

CTranslate2's random numbers belong to a thread: a thread is seeded when it first draws one, from a
number that the whole process shares, and never again. So every call needs fresh workers, and each
must draw before the shared number changes.
"""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock
from typing import Any

LANES = 2
"""Workers of one sampling call; not the number of cores, so that samples do not depend on it."""
_UNSEEDED = 2**32 - 1
"""CTranslate2's value for "no seed"."""
_SEEDING = Lock()
if hasattr(os, "register_at_fork"):  # else a child may inherit the lock from a thread it lacks
    os.register_at_fork(
        before=_SEEDING.acquire, after_in_parent=_SEEDING.release, after_in_child=_SEEDING.release
    )


def seeded_lanes(folder: Path, seed: int, threads: int, begin: str) -> list[Any]:
    """Fresh generators of one worker each, which draw the same numbers whenever they are made.

    The samples are the same if each lane is given the same batches in the same order.

    Args:
        folder: A CTranslate2 folder; every lane holds a copy of the model.
        seed: Any integer; taken modulo 2³² - 1.
        threads: CPU threads, shared out among the lanes.
        begin: A token of the model, which a lane continues to draw its first number.
    """
    import ctranslate2

    lanes = []
    for lane in range(LANES):
        generator = ctranslate2.Generator(
            str(folder), device="cpu", inter_threads=1, intra_threads=max(1, threads // LANES)
        )
        with _SEEDING:
            ctranslate2.set_random_seed((LANES * seed + lane) % _UNSEEDED)
            generator.generate_batch([[begin]], max_length=1, sampling_topk=0)
        lanes.append(generator)
    return lanes
