"""Judges a model while it learns to fill holes: gold holes of held-out pairs, filled greedily."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from civilly import registry
from civilly.data.pairs import Pair
from civilly.errors import DataError
from civilly.methods.delete import BLANKS
from civilly.methods.fim_formats import FimFormat
from civilly.score.chrf import Chrf
from civilly.score.joint import JOINT, joint
from civilly.toolbox import Toolbox
from civilly.train.base_model import TrainableModel
from civilly.train.fim.rows import can_show, example_of, gold_holes, with_blanks
from civilly.train.validation import greedy_answers
from civilly.types import Text

if TYPE_CHECKING:
    from civilly.train.fim.recipe import FimRecipe
    from civilly.train.trainer import Validate

EXACT, CHRF = "exact", "chrF"


def hole_validator(
    trainable: TrainableModel, pairs: Sequence[Pair], recipe: FimRecipe, family: FimFormat
) -> Validate:
    """A function from the model to scores of the fillings of all gold holes, in order.

    ``exact``: whether the filling is what the reference has there; ``chrF`` of it against that; an
    empty one where nothing belongs counts 1. Where the recipe asks for whole sentences, also STA,
    SIM, FL and J of the pairs that have holes, all filled left to right after each other.

    Args:
        trainable: The model's tokens.
        pairs: Held-out pairs; the first reference makes the holes.
        recipe: Which of them have holes, and the suite.
        family: The format; what was cut is shown if it can be.

    Raises:
        DataError: If no pair has a hole.
        MissingExtraError: If sacrebleu is not installed.
        UnknownNameError: If there is no such suite.
    """
    shown, order = can_show(family), next(iter(family.layouts))
    rows = [(pair, holes) for pair in pairs if (holes := gold_holes(pair, recipe.fim))]
    if not rows:
        raise DataError("No pair to validate on has a hole.", mend="more pairs in [validation]")
    gold = [hole for _, holes in rows for hole in holes]
    asked = [example_of(hole, family, order, shown=shown) for hole in gold]
    wanted = [[example.answer] for example in asked]
    metric = Chrf()
    suite = None
    if recipe.fim.whole_sentences:
        suite = registry.create("score", recipe.validation.suite, Toolbox(None, {}))
    inputs = [Text(pair.toxic, pair.lang) for pair, _ in rows]
    references = [list(pair.neutral) for pair, _ in rows]

    def filled(model: Any) -> list[str]:
        """The sentences with all their holes filled, each after the model's earlier fillings."""
        texts = [holes[0].gap.before.rstrip(BLANKS) for _, holes in rows]
        for turn in range(max(len(holes) for _, holes in rows)):
            left = [at for at, (_, holes) in enumerate(rows) if turn < len(holes)]
            now = [rows[at][1][turn].preceded_by(texts[at]) for at in left]
            prompts = [example_of(hole, family, order, shown=shown).prompt for hole in now]
            answers = greedy_answers(trainable, model, prompts)
            for at, hole, answer in zip(left, now, answers, strict=True):
                texts[at] += with_blanks(hole, family, answer) + rows[at][1][turn].until_next
        return texts

    def validate(model: Any) -> dict[str, list[float]]:
        answers = greedy_answers(trainable, model, [example.prompt for example in asked])
        exact = [float(answer == row[0]) for answer, row in zip(answers, wanted, strict=True)]
        alike = metric.score([], answers, wanted)
        scores = {EXACT: exact, CHRF: list(map(max, exact, alike))}
        if suite is None:
            return scores
        components = suite.components(inputs, filled(model), references)
        whole = {name: list(map(float, each)) for name, each in components.items()}
        return {**scores, **whole, JOINT: joint(components)}

    return validate
