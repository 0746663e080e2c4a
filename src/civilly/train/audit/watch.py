"""Watches a training by its referees, and ends it when they have not been pleased for long."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from civilly.data.pairs import Pair
from civilly.errors import DataError
from civilly.model.adapter import change_file
from civilly.train.audit.checkpoints import put_in
from civilly.train.audit.look import Look, Observer, Panel
from civilly.train.audit.referees import open_referees
from civilly.train.audit.store import LookStore, seen_with
from civilly.train.audit.texts import fixed_pairs

if TYPE_CHECKING:
    from civilly.train.base_model import TrainableModel
    from civilly.train.prefer.grpo_recipe import GrpoRecipe
    from civilly.train.prefer.token_logprobs import Start
    from civilly.train.rewards.mixture import Rewards


class Watch:
    """Looks at every checkpoint of a training that goes on.

    Args:
        observer: Looks at the model.
        store: Keeps the looks, which the audit finds again.
        run: The run folder.
        patience: Checkpoints without a better mean of the referees after which it ends.
    """

    def __init__(self, observer: Observer, store: LookStore, run: Path, patience: int) -> None:
        self._observer, self._store, self._run = observer, store, run
        self._patience = patience
        self._seen: dict[int, float] = {}

    @property
    def best(self) -> int:
        """The step that the referees like best; of equal ones the earliest."""
        return max(self._seen, key=lambda step: (self._seen[step], -step))

    def begin(self, start: Start, step: int) -> None:
        """Looks at the start, and at what it saw of a run that is resumed at a step."""
        with start.put_back():
            self._look(0, None)
        for folder in self._run.glob("checkpoint-*"):
            at = int(folder.name.rpartition("-")[2])
            if at <= step and (look := self._store.get(at, change_file(folder))):
                self._seen[at] = pleased(look)

    def ends(self, step: int) -> bool:
        """Looks at the model, and says whether the training is to end here."""
        self._look(step, change_file(self._run / f"checkpoint-{step}"))
        return sum(other > self.best for other in self._seen) >= self._patience

    def _look(self, step: int, weights: Path | None) -> None:
        look = self._store.get(step, weights)
        if look is None:
            look = self._observer.look(step)
            self._store.put(look, weights)
        self._seen[step] = pleased(look)

    def put_back_best(self, trainable: TrainableModel, start: Start) -> None:
        """Gives the model the weights that the referees like best."""
        if self.best:
            put_in(trainable, self._run / f"checkpoint-{self.best}")
        else:
            start.restore()


def pleased(look: Look) -> float:
    """The mean of all referees over all texts, in [0, 1]."""
    return statistics.fmean(statistics.fmean(each) for each in look.referees.values())


def open_watch(
    recipe: GrpoRecipe,
    trainable: TrainableModel,
    start: Start,
    rewards: Rewards,
    data: Path,
    run: Path,
) -> Watch:
    """The watch of a recipe with ``patience``.

    Raises:
        DataError: If the recipe names no referee, or there are no texts.
    """
    if not recipe.audit.referees:
        raise DataError(
            "The recipe has patience under [audit], and no referee.",
            mend="a table [audit.referees.NAME] with a metric, or patience = 0",
        )
    pairs: list[Pair] = fixed_pairs(recipe.audit, data)
    panel = Panel(pairs, rewards, open_referees(recipe.audit.referees))
    observer = Observer(trainable, start, panel)
    store = LookStore(run, seen_with(recipe.audit, recipe.rewards, recipe.combine, pairs))
    return Watch(observer, store, run, recipe.audit.patience)
