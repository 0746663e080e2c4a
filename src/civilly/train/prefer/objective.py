"""What is learnt of a batch of preferences, in the loop of transformers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, cast

from civilly.train.base_model import TrainableModel
from civilly.train.prefer.likelihood import answer_logps, answers_batch
from civilly.train.prefer.losses import Likelihood, PairedLoss, UnpairedLoss, loss_named
from civilly.train.prefer.losses.kto import divergence_of
from civilly.train.prefer.recipe import LossSettings
from civilly.train.prefer.rows import Row


class _Objective:
    """What both kinds of loss share: settings, and averages for the log."""

    def __init__(self, trainable: TrainableModel, settings: LossSettings) -> None:
        self._trainable, self._settings = trainable, settings
        self._beta, self._sft, self._margin = settings.filled_in()
        self._noted: dict[str, list[float]] = defaultdict(list)

    def averages(self) -> dict[str, float]:
        """See `civilly.train.trainer.Objective`."""
        found = {name: sum(each) / len(each) for name, each in self._noted.items()}
        self._noted.clear()
        return found

    def _note(self, **numbers: Any) -> None:
        for name, number in numbers.items():
            value = float(number.detach())
            if value == value:  # no answers of that kind in the batch
                self._noted[name].append(value)

    def _likelihood(self, model: Any, batch: dict[str, Any], reference: Any) -> Likelihood:
        logps, tokens = answer_logps(self._trainable, model, batch)
        return Likelihood(logps, tokens, reference)

    def _with_cross_entropy(self, preference: Any, logps: Any, tokens: Any) -> Any:
        """The loss, of whose good answers the log probabilities are given."""
        cross_entropy = -logps.sum() / tokens.sum().clamp(min=1)
        self._note(preference=preference, chosen=-cross_entropy if len(logps) else logps.sum() / 0)
        return preference + self._sft * cross_entropy if self._sft else preference


class PairedObjective(_Objective):
    """Learns from chosen and rejected answers.

    Args:
        trainable: What is trained.
        settings: The loss.
    """

    def collate(self, rows: Sequence[Row]) -> dict[str, Any]:
        """See `civilly.train.trainer.Objective`."""
        import torch

        reference = [row["reference"][side] for side in (0, 1) for row in rows]
        return {**answers_batch(self._trainable, rows), "reference": torch.tensor(reference)}

    def loss(self, model: Any, batch: dict[str, Any]) -> Any:
        """See `civilly.train.trainer.Objective`."""
        module = cast(PairedLoss, loss_named(self._settings.name))
        answers = self._likelihood(model, batch, batch.pop("reference"))
        chosen, rejected = module.reward(answers).chunk(2)
        preference = module.loss(chosen, rejected, self._beta, self._margin).mean()
        self._note(preferred=(chosen > rejected).float().mean(), margin=(chosen - rejected).mean())
        logps, tokens = (each.chunk(2)[0] for each in (answers.logps, answers.tokens))
        return self._with_cross_entropy(preference, logps, tokens)


class UnpairedObjective(_Objective):
    """Learns from answers that are good or bad.

    Args:
        trainable: What is trained.
        settings: The loss.
    """

    def collate(self, rows: Sequence[Row]) -> dict[str, Any]:
        """See `civilly.train.trainer.Objective`."""
        import torch

        return {
            **answers_batch(self._trainable, rows, [0]),
            "strangers": answers_batch(self._trainable, rows, [1]),
            "good": torch.tensor([row["good"] for row in rows]),
            "reference": torch.tensor([row["reference"] for row in rows]),
        }

    def loss(self, model: Any, batch: dict[str, Any]) -> Any:
        """See `civilly.train.trainer.Objective`."""
        import torch

        module = cast(UnpairedLoss, loss_named(self._settings.name))
        good, strangers = batch.pop("good"), batch.pop("strangers")
        of_answers, of_strangers = batch.pop("reference").unbind(1)
        with torch.no_grad():
            aside = module.reward(self._likelihood(model, strangers, of_strangers))
        answers = self._likelihood(model, batch, of_answers)
        rewards, divergence = module.reward(answers), divergence_of(aside)
        each = module.loss(rewards, good, divergence, self._beta)
        weights = torch.where(good, self._settings.good, self._settings.bad)
        self._note(
            divergence=divergence, reward_good=rewards[good].mean(),
            reward_bad=rewards[~good].mean(),
        )  # fmt: skip
        preference = (weights * each).mean()
        return self._with_cross_entropy(preference, answers.logps[good], answers.tokens[good])
