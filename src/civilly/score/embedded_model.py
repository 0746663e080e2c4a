"""The few coefficients of the embedded suite, and how features become STA, SIM and FL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from civilly.errors import ModelError
from civilly.score.embedded_features import FL, SIM, SIM_REFERENCE, STA, Features

WEIGHTS = Path(__file__).parent.parent / "weights" / "suite" / "suite.json"
PARTS = {"STA": STA, "SIM": SIM, "SIM_reference": SIM_REFERENCE, "FL": FL}
"""Features of each part."""
REFERENCE_SHARE = 0.6
"""Share of the reference in SIM where there is one; that of the official metric of 2025."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Part:
    """A logistic model with weights >= 0.

    Attributes:
        offset: Its logit where all features are 0.
        weights: Weight per feature.
    """

    offset: float
    weights: Mapping[str, float]

    def logits(self, features: Features) -> Floats:
        """float64 [rows]."""
        terms = [weight * features[name] for name, weight in self.weights.items()]
        return np.asarray(self.offset + np.sum(terms, axis=0))


@dataclass(frozen=True, slots=True)
class SuiteModel:
    """All parts.

    Attributes:
        parts: By the names of `PARTS`.
    """

    parts: Mapping[str, Part]

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> SuiteModel:
        """Reads the shipped coefficients.

        Raises:
            ModelError: If the file is missing, damaged, or has other or negative weights.
        """
        try:
            stored = json.loads(path.read_text("utf-8"))["parts"]
            parts = {
                name: Part(float(p["offset"]), dict(p["weights"])) for name, p in stored.items()
            }
            for name, names in PARTS.items():
                weights = parts[name].weights
                if set(weights) != set(names) or min(weights.values()) < 0:
                    raise ValueError(f"the weights of {name} are {dict(weights)}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"The coefficients of the embedded suite {path} cannot be read ({error}).",
                mend="reinstall civilly, or fit them again: civilly train suite",
            ) from error
        return cls(parts)

    def save(self, path: Path) -> None:
        """Writes the coefficients, rounded to six significant digits."""

        def rounded(value: float) -> float:
            return float(f"{value:.6g}")

        stored = {
            name: {
                "offset": rounded(part.offset),
                "weights": {key: rounded(value) for key, value in part.weights.items()},
            }
            for name, part in self.parts.items()
        }
        path.write_text(json.dumps({"parts": stored}, indent=1) + "\n", "utf-8")

    def components(self, features: Features) -> dict[str, Floats]:
        """``STA``, ``SIM`` and ``FL``, each float64 [rows] in [0, 1].

        STA is 0 for an output that is no less toxic than its input, where people say one half:
        ``(σ(z) - σ(offset)) / (1 - σ(offset))``, a copy being where all its features are 0. SIM is
        the logistic of the input's logit, or of `REFERENCE_SHARE` of the reference's logit and the
        rest of the input's.
        """
        toxicity = self.parts["STA"]
        copied = float(_logistic(np.array(toxicity.offset)))
        civil = (_logistic(toxicity.logits(features)) - copied) / (1.0 - copied)
        to_input = self.parts["SIM"].logits(features)
        to_reference = self.parts["SIM_reference"].logits(features)
        mixed = REFERENCE_SHARE * to_reference + (1.0 - REFERENCE_SHARE) * to_input
        content = np.where(np.isnan(to_reference), to_input, mixed)
        fluent = _logistic(self.parts["FL"].logits(features))
        return {"STA": np.clip(civil, 0.0, 1.0), "SIM": _logistic(content), "FL": fluent}


def _logistic(values: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -30.0, 30.0))))
