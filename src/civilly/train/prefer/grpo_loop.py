"""One step of GRPO after the other: sample, reward, compare, learn; and its state on disk."""

from __future__ import annotations

import io
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from civilly.data.files import write_bytes
from civilly.data.pairs import Pair
from civilly.engines.memory import keep_freed_memory
from civilly.train.prefer.grpo import Whole, advantages, grpo_loss
from civilly.train.prefer.rollouts import Rollout, sample_groups
from civilly.train.prefer.token_logprobs import Start, token_logprobs
from civilly.types import Text

if TYPE_CHECKING:
    from civilly.train.base_model import TrainableModel
    from civilly.train.prefer.grpo_recipe import GrpoRecipe
    from civilly.train.rewards.mixture import Rewards

STATE_FILE = "state.pt"
"""Of a run folder: all that the next step depends on, as of the newest checkpoint."""
FLAT = 1e-6
"""Rewards of a group that differ by less teach nothing."""


class GrpoLoop:
    """A model on its way.

    Args:
        recipe: How.
        trainable: What.
        rewards: Towards what.

    Attributes:
        step: Steps taken.
        start: The model before the first.
    """

    def __init__(self, recipe: GrpoRecipe, trainable: TrainableModel, rewards: Rewards) -> None:
        import torch

        self.step = 0
        self.trainable, self.model = trainable, trainable.model
        self.start = Start(self.model)
        self._recipe, self._rewards = recipe, rewards
        self._trained = [each for each in self.model.parameters() if each.requires_grad]
        settings = recipe.training
        self._optimizer = torch.optim.AdamW(
            self._trained, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        keep_freed_memory()

    def advance(self, pairs: Sequence[Pair]) -> dict[str, float]:
        """Takes one step on the toxic sides of some pairs.

        Returns:
            What happened: means over the samples, each reward by its name.
        """
        import torch

        recipe, settings = self._recipe, self._recipe.loss
        seed = recipe.seed * 1_000_003 + self.step
        torch.manual_seed(seed)  # of dropout, so that a resumed run has the same
        texts = [Text(pair.toxic, pair.lang) for pair in pairs]
        rollouts = sample_groups(self.trainable, self.model, texts, settings, seed)
        inputs = [rollout.text for rollout in rollouts]
        outputs = [rollout.output for rollout in rollouts]
        references = [list(pair.neutral) for pair in pairs for _ in range(settings.samples)]
        each = self._rewards.each(inputs, outputs, references)
        worth = torch.tensor(self._rewards.combined(each))
        table, weights = worth[:, None], torch.ones(1)
        if settings.several == "scale_each":
            table = torch.tensor(list(zip(*each.values(), strict=True)))
            weights = torch.tensor(self._rewards.weights)
        learnt = self._learn(rollouts, advantages(table, weights, settings.samples, settings))
        self.step += 1
        return {
            **_described(rollouts, worth.view(len(texts), -1)),
            **{f"reward/{name}": statistics.fmean(values) for name, values in each.items()},
            **learnt,
        }

    def _learn(self, rollouts: Sequence[Rollout], gain: Any) -> dict[str, float]:
        """Steps of the optimiser on the same samples."""
        import torch

        settings, training = self._recipe.loss, self._recipe.training
        rows = [{"prompt": r.prompt, "answer": r.answer, "input_ids": r.prompt} for r in rollouts]
        lengths = [len(row["answer"]) for row in rows]
        whole = Whole(len(rows), sum(lengths), max(lengths))
        order = sorted(range(len(rows)), key=lambda at: (len(rows[at]["prompt"]), lengths[at]))
        size = training.batch_size
        batches = [order[at : at + size] for at in range(0, len(order), size)]
        references = [self._reference([rows[at] for at in batch]) for batch in batches]
        before: list[Any] = [None] * len(batches)
        kl, clipped, loss, norm = 0.0, 0.0, 0.0, 0.0
        self.model.train()
        rate = self._rate()
        for turn in range(settings.iterations):
            self._optimizer.zero_grad(set_to_none=True)
            for place, batch in enumerate(batches):
                chosen = [rows[at] for at in batch]
                now, mask = token_logprobs(self.trainable, self.model, chosen)
                if turn == 0:
                    before[place] = now.detach()
                own = gain[torch.tensor(batch)].to(now.device)
                part = grpo_loss(now, before[place], references[place], mask, own, settings, whole)
                part.loss.backward()
                loss += float(part.loss.detach()) / settings.iterations
                kl += part.kl / whole.tokens / settings.iterations
                clipped += part.clipped / whole.tokens / settings.iterations
            norm = float(torch.nn.utils.clip_grad_norm_(self._trained, training.most_norm))
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return {"kl": kl, "clipped": clipped, "loss": loss, "norm": norm, "learning_rate": rate}

    def _reference(self, rows: Sequence[Any]) -> Any:
        """Log-probabilities under the model that training began with, or None."""
        import torch

        if not self._recipe.loss.kl:
            return None
        self.model.eval()
        with torch.no_grad(), self.start.put_back():
            return token_logprobs(self.trainable, self.model, rows)[0]

    def _rate(self) -> float:
        """The learning rate of this step."""
        training = self._recipe.training
        rising = max(1, round(training.warmup_ratio * training.steps))
        if self.step < rising:
            return training.learning_rate * (self.step + 1) / rising
        if not training.decay:
            return training.learning_rate
        return training.learning_rate * (training.steps - self.step) / (training.steps - rising + 1)

    def save(self, file: Path) -> None:
        """Writes all that the next step depends on."""
        import torch

        buffer = io.BytesIO()
        state = {
            "step": self.step,
            "weights": [each.detach().cpu() for each in self._trained],
            "optimizer": self._optimizer.state_dict(),
        }
        torch.save(state, buffer)
        write_bytes(file, buffer.getvalue())

    def restore(self, file: Path) -> None:
        """Goes on from what `save` wrote."""
        import torch

        state = torch.load(file, map_location="cpu", weights_only=True)
        with torch.no_grad():
            for each, value in zip(self._trained, state["weights"], strict=True):
                each.copy_(value)
        self._optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])


def _described(rollouts: Sequence[Rollout], rewards: Any) -> dict[str, float]:
    """What the samples of a step are like; ``rewards`` are [texts, samples]."""
    samples = rewards.shape[1]
    groups = [
        {rollout.output for rollout in rollouts[at : at + samples]}
        for at in range(0, len(rollouts), samples)
    ]
    words = [word for rollout in rollouts for word in rollout.output.split()]
    return {
        "reward": float(rewards.mean()),
        "reward_std": float(rewards.std(1).mean()),
        "flat": float((rewards.std(1) < FLAT).float().mean()),
        "tokens": statistics.fmean(len(rollout.answer) for rollout in rollouts),
        "unchanged": statistics.fmean(r.output == r.text.text.strip() for r in rollouts),
        "different": statistics.fmean(len(group) / samples for group in groups),
        "distinct_words": len(set(words)) / max(1, len(words)),
    }
