"""Direct preference optimisation, DPO (Rafailov et al. 2023, arXiv 2305.18290, eq. 7)."""

from __future__ import annotations

from typing import Any

from civilly.train.prefer.losses import Likelihood

NEEDS_REFERENCE = True
BETA, SFT, MARGIN = 0.1, 0.0, 0.0


def reward(answers: Likelihood) -> Any:
    """Gives r = log π(y|x) − log π_ref(y|x), [answers]."""
    return answers.logps - answers.reference


def loss(chosen: Any, rejected: Any, beta: float, margin: float) -> Any:
    """−log σ(β (r_chosen − r_rejected) − margin), [pairs]."""
    from torch.nn.functional import logsigmoid

    return -logsigmoid(beta * (chosen - rejected) - margin)
