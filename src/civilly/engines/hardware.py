"""How many threads a model should use here; of a torch model the device and number format."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from civilly.errors import EngineError


def device_of(torch: Any, name: str) -> Any:
    """The device that is asked for, or with ``auto`` the best one there is.

    Whoever asks is about to compute, so forked children are provided for, too.

    Raises:
        EngineError: If torch knows no such device.
    """
    _provide_for_forked_children(torch)
    if name == "auto":
        has_metal = torch.backends.mps.is_available()
        name = "cuda" if torch.cuda.is_available() else "mps" if has_metal else "cpu"
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise EngineError(
            f"The option 'device' is {name!r}.",
            allowed="auto, cpu, cuda, cuda:N, mps",
        ) from error


@cache
def _provide_for_forked_children(torch: Any) -> None:
    """Lets them compute on one thread each.

    OpenMP's other threads are not in a child, and GNU's would be waited for without end.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def dtype_of(torch: Any, name: str, device: Any) -> Any:
    """The number format ``fp32``, ``bf16`` or ``fp16``, or with ``auto`` the fastest safe one."""
    if name == "auto":
        name = "bf16" if _computes_bfloat16(torch, device) else "fp32"
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[name]


def _computes_bfloat16(torch: Any, device: Any) -> bool:
    """Whether the hardware has bfloat16 arithmetic; without it, it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    try:
        features = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    except OSError:  # not Linux
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(features)


def default_threads() -> int:
    """Cores this process may use, or ``CIVILLY_THREADS``.

    Raises:
        EngineError: If that variable holds no number of threads.
    """
    chosen = os.environ.get("CIVILLY_THREADS")
    if chosen:
        if not chosen.isdecimal() or int(chosen) < 1:
            raise EngineError(
                f"The environment variable CIVILLY_THREADS is {chosen!r}.",
                allowed="a whole number, 1 or above",
                mend="unset it to use all cores",
            )
        return int(chosen)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
