"""Identity preference optimisation, IPO (Azar et al. 2023, arXiv 2310.12036, eq. 17).

Per token, as its authors computed what they report: sums would ask less of longer answers.
"""

from __future__ import annotations

from typing import Any

from civilly.train.prefer.losses.dpo_norm import reward

__all__ = ["loss", "reward"]

NEEDS_REFERENCE = True
BETA, SFT, MARGIN = 0.1, 0.0, 0.0


def loss(chosen: Any, rejected: Any, beta: float, margin: float) -> Any:
    """(r_chosen − r_rejected − 1/(2β) − margin)², [pairs]; β is the paper's τ."""
    return (chosen - rejected - 1 / (2 * beta) - margin) ** 2
