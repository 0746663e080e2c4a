"""Fine-tunes a model by a recipe, from the corpus to the run folder, for any training task."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, Unpack

from civilly.data.corpus.build import DEV_FILE, build_corpus
from civilly.data.hub_access import require_hub
from civilly.data.pairs import Pair, count_by_source, read_pairs
from civilly.data.split import dev_part
from civilly.errors import CivillyError, DataError, MissingExtraError
from civilly.model.adapter import PROMPT_FILE
from civilly.score.joint import JOINT
from civilly.train.examples import Example
from civilly.train.recipe import (
    EMBEDDED,
    LARGE,
    FineTuningRecipe,
    SftRecipe,
    ValidationSettings,
)
from civilly.train.run_folder import (
    CONFIG_FILE,
    RESULT_FILE,
    as_read_back,
    read_json,
    refuse_another_recipe,
    write_json,
)

if TYPE_CHECKING:
    from civilly.train.base_model import TrainableModel
    from civilly.train.trainer import Objective, Validate

LOG_FILE = "log.json"
PRECISION = "computed_in"
"""What ``config.json`` calls the number format that a recipe's ``auto`` stood for."""


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """What is learnt from pairs.

    Attributes:
        examples: Makes prompts and answers of the pairs, and notes on them for ``config.json``.
        validator: Makes of held-out pairs what scores the model as it is.
        decides: The score by which the best weights are chosen.
    """

    examples: Callable[[Sequence[Pair]], tuple[list[Example], Mapping[str, Any]]]
    validator: Callable[[TrainableModel, Sequence[Pair]], Validate]
    decides: str = JOINT


class Options(TypedDict, total=False):
    """How a fine-tuning is begun.

    Attributes:
        resume: Go on from the newest checkpoint in the run folder.
        take_out_leaks: Leave pairs that repeat held-out or official texts out, as a recipe with
            ``leaks = "take_out"`` under ``[corpus]`` does; otherwise they are refused.
        embedded: Folder of the embedded model in Hugging Face form; default: the shipped one.
        callbacks: Further callbacks of transformers.
    """

    resume: bool
    take_out_leaks: bool
    embedded: Path | None
    callbacks: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a training needs once its model is loaded.

    Attributes:
        rows: What is learnt from; the length of ``input_ids`` groups them.
        validate: Scores the model as it is; None: it is not judged on the way.
        objective: What is learnt of the rows; None: to say the answers.
    """

    rows: Sequence[Any]
    validate: Validate | None
    objective: Objective | None = None


class Lesson(Protocol):
    """What is learnt, and from what."""

    @property
    def decides(self) -> str:
        """The score by which the best weights are chosen."""
        ...

    def read(self) -> Mapping[str, Any]:
        """Reads and checks the data before a model is loaded; returns notes for ``config.json``."""
        ...

    def prepare(self, trainable: TrainableModel, precision: str, *, resumed: bool) -> Prepared:
        """Makes rows of what was read, for a model that is as it is at the start.

        Args:
            trainable: The model.
            precision: ``fp32`` or ``bf16``: what it computes in.
            resumed: Whether the training goes on from a checkpoint.
        """
        ...


class _PairsLesson:
    """A `TrainingTask` on the corpus of a recipe."""

    def __init__(self, recipe: SftRecipe, task: TrainingTask, data: Path, take_out: bool) -> None:
        self.decides = task.decides
        self._recipe, self._task, self._data, self._take_out = recipe, task, data, take_out

    def read(self) -> Mapping[str, Any]:
        """See `Lesson`."""
        content = self._recipe.model_dump()
        self._corpus = build_corpus(content, self._data, take_out_leaks=self._take_out)
        self._examples, notes = self._task.examples(self._corpus.train)
        counted = count_by_source(self._corpus.train)
        return {"examples": counted, "left_out": self._corpus.dropped, **notes}

    def prepare(self, trainable: TrainableModel, precision: str, *, resumed: bool) -> Prepared:
        """See `Lesson`."""
        from civilly.train.base_model import encode

        validate = None
        if self._recipe.validation.every_steps is not None:
            held = tuning_pairs(self._corpus.dev, self._data, self._recipe.validation)
            validate = self._task.validator(trainable, held)
        return Prepared(encode(self._examples, trainable), validate)


def fine_tune(
    recipe: SftRecipe, task: TrainingTask, data: Path, out: Path, **options: Unpack[Options]
) -> Path:
    """Trains a model by a recipe, on pairs that repeat no held-out or official text.

    Args:
        recipe: How.
        task: What.
        data: The data folder that the recipe's sources lie in.
        out: Run folder (`carry_out`).
        options: How it is begun.

    Returns:
        The folder that the engines take.

    Raises:
        DataError: If a licence is not allowed, or no pairs are left.
        LeakError: If pairs leak and are not to be taken out; nothing was trained then.
        CivillyError: As `carry_out`.
    """
    take_out = options.get("take_out_leaks", False)
    made = carry_out(recipe, _PairsLesson(recipe, task, data, take_out), out, **options)
    if recipe.marked and made.exists() and not (made / PROMPT_FILE).exists():
        write_json(made / PROMPT_FILE, {"rude_words": True})
    return made


def carry_out(
    recipe: FineTuningRecipe, lesson: Lesson, out: Path, **options: Unpack[Options]
) -> Path:
    """Trains a model by a recipe.

    Args:
        recipe: How.
        lesson: What.
        out: Run folder: ``config.json`` (all settings, what was learnt from), checkpoints,
            ``adapter/`` or, of a model that was trained as a whole, ``model/``; ``log.json``;
            ``result.json`` with the best validation.
        options: How it is begun.

    Returns:
        The folder that the engines take.

    Raises:
        MissingExtraError: If torch, transformers or peft are not installed.
        ModelError: If the base model cannot be loaded.
        CivillyError: What the lesson raises.
    """
    if recipe.base.name not in (EMBEDDED, LARGE) and not (out / RESULT_FILE).exists():
        require_hub(recipe.base.name)
    try:
        import peft  # noqa: F401 - asked for before anything is computed
        import torch  # noqa: F401
        from transformers.trainer_utils import set_seed
    except ImportError as error:
        raise MissingExtraError("Training", "train", str(error.name)) from error
    from civilly.train.base_model import load_trainable
    from civilly.train.hardware import computed_in
    from civilly.train.trainer import build_trainer, train

    out.mkdir(parents=True, exist_ok=True)
    checkpoint = _begun(out, recipe, resume=options.get("resume", False))
    done = _weights(out)
    if done and (out / RESULT_FILE).exists() and _recorded(out, recipe) == as_read_back(recipe):
        return done
    notes = lesson.read()
    set_seed(recipe.seed)
    # A run that is resumed goes on as it was begun, whatever would be faster by now.
    precision = (checkpoint and read_json(out / CONFIG_FILE).get(PRECISION)) or computed_in(
        recipe.training.precision
    )
    trainable = load_trainable(recipe.base, recipe.adapter, precision, options.get("embedded"))
    prepared = lesson.prepare(trainable, precision, resumed=checkpoint is not None)
    trainer = build_trainer(
        recipe,
        trainable,
        prepared.rows,
        out,
        prepared.validate,
        options.get("callbacks", ()),
        decides=lesson.decides,
        precision=precision,
        objective=prepared.objective,
    )
    first = trainer.is_world_process_zero()  # of several devices' processes
    if first:
        content = {"recipe": recipe.model_dump(), PRECISION: precision, **notes}
        write_json(out / CONFIG_FILE, content)
    with contextlib.redirect_stdout(sys.stderr):  # where transformers prints its progress
        train(trainer, checkpoint, recipe.training.stop_after_steps)
    made = trainable.save(out, trainer.model, first=first)
    deciding = f"eval_{lesson.decides}"
    scores = [row for row in trainer.state.log_history if deciding in row]
    best: dict[str, float] = max(scores, key=lambda row: float(row[deciding]), default={})
    if first:
        write_json(out / LOG_FILE, trainer.state.log_history)
        write_json(out / RESULT_FILE, best)  # last: with it, the run is done
    return made


def _begun(out: Path, recipe: FineTuningRecipe, *, resume: bool) -> Path | None:
    """The newest whole checkpoint of a run folder.

    Raises:
        CivillyError: If there is one, or a result, and the run is not to be resumed.
        DataError: If it was begun with another recipe; it may stop earlier or later.
    """
    from civilly.train.trainer import STATE_FILE

    whole = [path.parent for path in out.glob(f"checkpoint-*/{STATE_FILE}")]
    if not whole and not _weights(out):
        return None
    if not resume:
        raise CivillyError(
            f"{out} already holds checkpoints or weights of another run.",
            mend="--resume to go on with it, or another --out",
        )
    before, now = _recorded(out, recipe), as_read_back(recipe)
    for tables in (before, now):
        tables.get("training", {}).pop("stop_after_steps", None)
    refuse_another_recipe(out, before, now)
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _recorded(out: Path, recipe: FineTuningRecipe) -> dict[str, Any]:
    """The recipe that a run folder was begun with; empty if it says none.

    What an earlier version did not know has its default.
    """
    noted = read_json(out / CONFIG_FILE)
    found: dict[str, Any] = noted["recipe"] if noted else {}
    try:
        return as_read_back(type(recipe).parse(found, "the recorded recipe"))
    except CivillyError:
        return found


def _weights(out: Path) -> Path | None:
    """What a run folder holds of trained weights."""
    from civilly.model.adapter import ADAPTER_FOLDER, FULL_FOLDER

    return next((out / n for n in (ADAPTER_FOLDER, FULL_FOLDER) if (out / n).exists()), None)


def tuning_pairs(dev: Sequence[Pair], data: Path, settings: ValidationSettings) -> list[Pair]:
    """The first pairs of the ``tune`` part in each language, which no training sees.

    Args:
        dev: Pairs of that part besides the official ones, as a `Corpus` has them.
        data: The data folder.
        settings: How many of each, and how long.

    Raises:
        DataError: If there are none.
    """
    official = [p for p in read_pairs(data / DEV_FILE) if dev_part(p.id) == "tune"]
    chosen: dict[str, dict[str, Pair]] = {}
    for pair in [*official, *dev]:
        row = chosen.setdefault(pair.lang, {})
        fits = len(pair.toxic) <= (settings.longest_characters or len(pair.toxic))
        if fits and len(row) < settings.pairs:
            row.setdefault(pair.id, pair)
    pairs = [pair for row in chosen.values() for pair in row.values()]
    if not pairs:
        raise DataError(
            "There are no pairs to validate on.",
            mend="dev_split = true in a source, or no every_steps under [validation]",
        )
    return pairs
