"""Which dev pairs may be trained on: a split by hash that never changes."""

from __future__ import annotations

import hashlib
from typing import Literal

Part = Literal["eval", "tune", "train"]


def dev_part(row_id: str) -> Part:
    """The part of a dev pair, by the SHA-1 of its id: 25 % eval, 10 % tune, 65 % train.

    ``eval`` is never trained on and gives the quoted numbers; ``tune`` chooses thresholds and
    weights; ``train`` is for training.
    """
    bucket = int(hashlib.sha1(row_id.encode()).hexdigest(), 16) % 20
    if bucket < 5:
        return "eval"
    return "tune" if bucket < 7 else "train"
