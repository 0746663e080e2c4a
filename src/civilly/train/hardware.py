"""What a training may use of this machine: free cores, and the number format that is faster."""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

WIDTH, ROWS = 1024, 512
"""Of the product that is timed: like a layer of a small model."""
LEAST_GAIN = 1.2
"""So much faster must bfloat16 be to be worth its rounding."""
_STATE = Path("/proc/stat")


@cache
def computed_in(precision: str) -> str:
    """``fp32`` or ``bf16``: as asked for, or with ``auto`` what this processor multiplies faster.

    Args:
        precision: ``fp32``, ``bf16`` or ``auto``.
    """
    if precision != "auto":
        return precision
    import torch

    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    usual, half = (_seconds(dtype) for dtype in (torch.float32, torch.bfloat16))
    return "bf16" if half * LEAST_GAIN < usual else "fp32"


def _seconds(dtype: object, trials: int = 12) -> float:
    """The shortest time of a product in a number format."""
    import torch

    left = torch.ones(ROWS, WIDTH).to(dtype)
    right = torch.ones(WIDTH, WIDTH).to(dtype)
    times = []
    for _ in range(trials):
        begun = time.perf_counter()
        torch.nn.functional.linear(left, right)
        times.append(time.perf_counter() - begun)
    return min(times)


class Cores:
    """How many cores other work leaves free, seen from one question to the next.

    Args:
        allowed: The most that this process may use.
    """

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._seen = _seconds_of_work()

    def free(self) -> int:
        """Whole cores that nobody else used since the last question; at least 1."""
        before, self._seen = self._seen, _seconds_of_work()
        if before is None or self._seen is None:
            return self._allowed
        clock, everyone, own = (new - old for new, old in zip(self._seen, before, strict=True))
        if clock <= 0:
            return self._allowed
        idle_or_own = (os.cpu_count() or 1) - max(0.0, everyone - own) / clock
        return max(1, min(self._allowed, int(idle_or_own + 0.3)))


def _seconds_of_work() -> tuple[float, float, float] | None:
    """The clock, and the processor time of everyone and of this process until now, in seconds."""
    try:
        words = _STATE.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    except OSError:  # not Linux
        return None
    ticks = [int(word) for word in words]
    idle = ticks[3] + ticks[4]
    busy = (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")
    return time.monotonic(), busy, time.process_time()
