"""One look at a model: fixed texts are rewritten, and all who may say something about it do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from civilly.data.pairs import Pair
from civilly.methods.tuned_prompt import tuned_prompt
from civilly.train.audit.measures import distinct_words, measure
from civilly.train.audit.referees import Judge
from civilly.train.rewards.mixture import Rewards
from civilly.train.validation import greedy_answers
from civilly.types import Text

if TYPE_CHECKING:
    from civilly.train.base_model import TrainableModel
    from civilly.train.prefer.token_logprobs import Start

SEED = 20_251_130
"""Of the samples by which the divergence from the start is estimated."""
AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one checkpoint; lists have a value per fixed text, in order.

    Attributes:
        step: Steps taken; 0 is the start.
        outputs: The rewrites, greedy.
        reward: What the rewards come to together.
        rewards: Each reward.
        referees: Each referee, in [0, 1].
        measures: Each of `civilly.train.audit.measures.MEASURES`.
        kl: Divergence from the start of each answer, in nats, estimated from one sample of it: the
            sum of k3 over its tokens (`civilly.train.prefer.grpo`).
        distinct_words: Different words per word of all outputs.
    """

    step: int
    outputs: list[str]
    reward: list[float]
    rewards: dict[str, list[float]]
    referees: dict[str, list[float]]
    measures: dict[str, list[float]]
    kl: list[float]
    distinct_words: float

    def as_row(self) -> dict[str, Any]:
        """For a JSON file."""
        return asdict(self)


class Panel:
    """All who may say something about rewrites of the fixed texts.

    Args:
        pairs: The fixed texts, with references.
        rewards: What the training is towards.
        referees: What it is not.
    """

    def __init__(
        self, pairs: Sequence[Pair], rewards: Rewards, referees: Mapping[str, Judge]
    ) -> None:
        self.texts = [Text(pair.toxic, pair.lang) for pair in pairs]
        self._references = [list(pair.neutral) for pair in pairs]
        self._rewards, self._referees = rewards, referees

    def look(self, step: int, outputs: list[str], kl: list[float]) -> Look:
        """What all say of some rewrites.

        Args:
            step: What the look is called.
            outputs: A rewrite of each fixed text.
            kl: The divergence from the start of each.
        """
        judged = self.texts, outputs, self._references
        each = self._rewards.each(*judged)
        return Look(
            step,
            outputs,
            self._rewards.combined(each),
            each,
            {name: judge(*judged) for name, judge in self._referees.items()},
            measure(*judged),
            kl,
            distinct_words(self.texts, outputs),
        )


class Observer:
    """Looks at one model as often as it is asked.

    Args:
        trainable: The model, whatever its weights are at the time.
        start: Its weights before training.
        panel: Who judges.
    """

    def __init__(self, trainable: TrainableModel, start: Start, panel: Panel) -> None:
        self._trainable, self._start, self._panel = trainable, start, panel

    def look(self, step: int) -> Look:
        """What the model is like now.

        Args:
            step: What the look is called.
        """
        prompts = [tuned_prompt(text.text, text.lang) for text in self._panel.texts]
        answers = greedy_answers(self._trainable, self._trainable.model, prompts)
        outputs = [answer.strip() for answer in answers]
        return self._panel.look(step, outputs, self._divergence())

    def _divergence(self) -> list[float]:
        import torch

        from civilly.train.prefer.grpo import k3
        from civilly.train.prefer.grpo_recipe import GrpoSettings
        from civilly.train.prefer.rollouts import sample_groups
        from civilly.train.prefer.token_logprobs import token_logprobs

        trainable, model = self._trainable, self._trainable.model
        settings = GrpoSettings()
        found: list[float] = []
        for at in range(0, len(self._panel.texts), AT_ONCE):
            texts = self._panel.texts[at : at + AT_ONCE]
            rollouts = sample_groups(trainable, model, texts, settings, SEED + at, samples=1)
            rows = [
                {"prompt": one.prompt, "answer": one.answer, "input_ids": one.prompt}
                for one in rollouts
            ]
            was_training = model.training
            model.eval()
            with torch.no_grad():
                now, mask = token_logprobs(trainable, model, rows)
                with self._start.put_back():
                    before, _ = token_logprobs(trainable, model, rows)
            model.train(was_training)
            found += (k3(now, before) * mask).sum(1).tolist()
        return found
