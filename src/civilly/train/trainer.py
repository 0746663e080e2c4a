"""The training loop: transformers' own, with loss and logits on the answer alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from civilly.data.values import as_json
from civilly.engines.hardware import default_threads
from civilly.engines.memory import keep_freed_memory
from civilly.score.joint import JOINT
from civilly.train.base_model import TrainableModel
from civilly.train.hardware import Cores, computed_in
from civilly.train.recipe import FineTuningRecipe

IGNORED = -100
"""Label of positions that carry no loss (the convention of transformers)."""

Row = Mapping[str, list[int]]
Validate = Callable[[Any], dict[str, list[float]]]
VALIDATIONS_FILE = "validations.jsonl"
"""Of a run folder: the step and the scores of every sentence at each validation."""
STATE_FILE = "trainer_state.json"
"""Of a checkpoint, written last: without it the checkpoint is torn."""


class Objective(Protocol):
    """What is learnt from a batch, where it is not to say the answers (`answer_loss`)."""

    def collate(self, rows: Sequence[Any]) -> dict[str, Any]:
        """Makes a batch of rows; its tensors are moved to the model's device."""
        ...

    def loss(self, model: Any, batch: dict[str, Any]) -> Any:
        """A number to be made smaller, averaged over the rows of the batch."""
        ...

    def averages(self) -> dict[str, float]:
        """What was noted of the batches since it was last asked, for the log."""
        ...


def collator(trainable: TrainableModel) -> Callable[[Sequence[Row]], dict[str, Any]]:
    """Makes batches: padded at the left for causal models, so that all answers end together."""
    return (
        _collate_pairs(trainable) if trainable.encoder_decoder else _collate_answers_last(trainable)
    )


def _collate_answers_last(trainable: TrainableModel) -> Callable[[Sequence[Row]], dict[str, Any]]:
    import torch

    def collate(rows: Sequence[Row]) -> dict[str, Any]:
        ids = [row["prompt"] + row["answer"] for row in rows]
        width, answered = max(map(len, ids)), max(len(row["answer"]) for row in rows)
        return {
            "input_ids": torch.tensor([[trainable.pad] * (width - len(i)) + i for i in ids]),
            "attention_mask": torch.tensor([[0] * (width - len(i)) + [1] * len(i) for i in ids]),
            # The vocabulary is a quarter of the work: logits and labels only where an answer may
            # be, and at the token before it, which says the first of the answer.
            "labels": torch.tensor(
                [[IGNORED] * (answered + 1 - len(r["answer"])) + r["answer"] for r in rows]
            ),
            "logits_to_keep": answered + 1,
        }

    return collate


def _collate_pairs(trainable: TrainableModel) -> Callable[[Sequence[Row]], dict[str, Any]]:
    import torch

    start = trainable.model.config.decoder_start_token_id

    def filled(rows: list[list[int]], filler: int) -> Any:
        width = max(map(len, rows))
        return torch.tensor([row + [filler] * (width - len(row)) for row in rows])

    def collate(rows: Sequence[Row]) -> dict[str, Any]:
        prompts, answers = [r["prompt"] for r in rows], [r["answer"] for r in rows]
        return {
            "input_ids": filled(prompts, trainable.pad),
            "attention_mask": filled([[1] * len(prompt) for prompt in prompts], 0),
            "decoder_input_ids": filled([[start, *a[:-1]] for a in answers], trainable.pad),
            "labels": filled(answers, IGNORED),
        }

    return collate


def due_positions(labels: Any) -> Any:
    """Which positions of a causal model's batch say a token that has a label, [rows, positions].

    The last one says a token after the answer's end.
    """
    import torch

    return torch.nn.functional.pad(labels[:, 1:] != IGNORED, (0, 1))


def answer_loss(encoder_decoder: bool) -> Callable[..., Any]:
    """Cross-entropy per answer token, averaged over all tokens of an optimiser step.

    Logits are those of all labelled positions, or of those alone whose next token has a label
    (`civilly.train.answer_positions`).
    """
    import torch

    def loss(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        logits = outputs.logits
        if not encoder_decoder:
            labels = labels[:, 1:]
            if logits.dim() == 2:
                labels = labels[labels != IGNORED]
            else:
                logits = logits[:, :-1].flatten(0, 1)
        else:
            logits = logits.flatten(0, 1)
        whole = torch.nn.functional.cross_entropy(
            logits.float(), labels.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        tokens = (labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        return whole / tokens

    return loss


def build_trainer(
    recipe: FineTuningRecipe,
    trainable: TrainableModel,
    rows: Sequence[Row],
    out: Path,
    validate: Validate | None = None,
    callbacks: Sequence[Any] = (),
    *,
    decides: str = JOINT,
    precision: str | None = None,
    objective: Objective | None = None,
) -> Any:
    """A trainer of transformers that follows a recipe.

    Args:
        recipe: How.
        trainable: What.
        rows: The corpus, as `civilly.train.base_model.encode` gives it.
        out: Run folder; checkpoints go there.
        validate: Scores sentences with the model as it is, each in [0, 1], higher is better; asked
            every ``validation.every_steps`` steps.
        callbacks: Further callbacks of transformers.
        decides: Which of those scores: the weights with its best mean are kept.
        precision: ``fp32`` or ``bf16``; default: what the recipe's stands for here.
        objective: What is learnt; default: to say the answers.
    """
    from transformers import Trainer

    class ValidatedTrainer(Trainer):  # type: ignore[misc]
        """Validates by rewriting instead of by loss; a resumed epoch has the order it had."""

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            size = recipe.training.batch_size * recipe.training.accumulation
            return _sampler(rows, size, lambda: recipe.seed + int(self.state.epoch or 0))

        def compute_loss(self, model: Any, inputs: Any, *others: Any, **named: Any) -> Any:
            if trainable.answers is None:
                return super().compute_loss(model, inputs, *others, **named)
            with trainable.answers.only(due_positions(inputs["labels"])):
                return super().compute_loss(model, inputs, *others, **named)

        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            assert validate is not None
            scores = validate(self.model)
            if self.is_world_process_zero():
                with (out / VALIDATIONS_FILE).open("a", encoding="utf-8") as file:
                    file.write(as_json({"step": self.state.global_step, **scores}) + "\n")
            metrics = {f"eval_{name}": sum(each) / len(each) for name, each in scores.items()}
            self.log(metrics)
            self.control: Any = self.callback_handler.on_evaluate(
                self.args, self.state, self.control, metrics
            )
            return metrics

    kind = _towards(objective, ValidatedTrainer) if objective else ValidatedTrainer
    trainer = kind(
        model=trainable.model,
        args=_arguments(
            recipe,
            out,
            decides if validate else None,
            precision or computed_in(recipe.training.precision),
        ),
        train_dataset=list(rows),
        eval_dataset=[] if validate else None,
        data_collator=objective.collate if objective else collator(trainable),
        compute_loss_func=None if objective else answer_loss(trainable.encoder_decoder),
        callbacks=[*callbacks, *_callbacks(recipe, judged=validate is not None)],
    )
    # Our loss counts the tokens of the whole step; the models do not have to.
    trainer.model_accepts_loss_kwargs = False
    keep_freed_memory()
    return trainer


def _towards(objective: Objective, kind: Any) -> Any:
    """A kind of trainer with another objective than to say the answers."""

    class Objectives(kind):  # type: ignore[misc]
        def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
            return objective.loss(model, inputs)

        def log(self, logs: dict[str, float], *others: Any) -> None:
            more = objective.averages() if "loss" in logs else {}
            super().log({**logs, **more}, *others)

    return Objectives


def _callbacks(recipe: FineTuningRecipe, *, judged: bool) -> list[Any]:
    """What a recipe has done between the steps, of a training that is judged or not."""
    found = []
    if recipe.training.threads == "free":
        found.append(_free_cores())
    if judged:
        found.append(_validate_last())
    if judged and recipe.validation.patience:
        found.append(_patience(recipe.validation.patience))
    if recipe.training.stop_after_steps:
        found.append(_stop_after(recipe.training.stop_after_steps))
    return found


def _arguments(recipe: FineTuningRecipe, out: Path, decides: str | None, precision: str) -> Any:
    import torch
    from transformers import TrainingArguments

    settings = recipe.training
    every = recipe.validation.every_steps if decides else None
    return TrainingArguments(
        output_dir=str(out),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_ratio,  # below 1, it is a share of the steps
        weight_decay=settings.weight_decay,
        lr_scheduler_type="cosine",
        max_grad_norm=1.0,
        bf16=precision == "bf16",
        activation_checkpointing=settings.activation_checkpointing,
        eval_strategy="steps" if every else "no",
        eval_steps=every,
        load_best_model_at_end=bool(every),
        metric_for_best_model=decides if every else None,
        greater_is_better=True if every else None,
        save_steps=every or settings.save_steps,
        save_total_limit=settings.kept_checkpoints,
        logging_steps=min(10, settings.save_steps),
        seed=recipe.seed,
        report_to=[],
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
    )


def _sampler(rows: Sequence[Row], size: int, seed: Callable[[], int]) -> Any:
    """Batches of rows of like lengths, in an order that depends on a seed asked at each epoch.

    The sampler of transformers draws from the global generator, whose state on resuming is that of
    the checkpoint, not of the epoch's beginning.
    """
    import torch
    from transformers.trainer_pt_utils import LengthGroupedSampler

    class Sampler(LengthGroupedSampler):  # type: ignore[misc]
        def __iter__(self) -> Any:
            self.generator: Any = torch.Generator().manual_seed(seed())
            return super().__iter__()

    return Sampler(size, lengths=[len(row["input_ids"]) for row in rows])


def _patience(evaluations: int) -> Any:
    """Ends a training after so many validations without a better one, those before a stop, too."""
    from transformers import EarlyStoppingCallback

    class Patience(EarlyStoppingCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            super().on_train_begin(args, state, control, **others)
            saved = state.stateful_callbacks.get(type(self).__name__)
            if saved:
                counted = saved["attributes"]["early_stopping_patience_counter"]
                self.early_stopping_patience_counter = counted

    return Patience(evaluations)


def _validate_last() -> Any:
    """Judges the last step, too: the learning rate has fallen by then, and it is often the best."""
    from transformers import TrainerCallback

    class ValidateLast(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
            control.should_evaluate |= state.global_step >= state.max_steps
            return control

    return ValidateLast()


def _free_cores() -> Any:
    """Computes each step on the cores that other work left free during the last one.

    Two threads of which one waits for a busy core are slower than one.
    """
    import torch
    from transformers import TrainerCallback

    class FreeCores(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.cores = Cores(default_threads())

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            torch.set_num_threads(self.cores.free())

    return FreeCores()


def _stop_after(steps: int) -> Any:
    """Ends a training early while the learning rate follows the whole schedule."""
    from transformers import TrainerCallback

    class StopAfter(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
            control.should_training_stop |= state.global_step >= steps
            return control

    return StopAfter()


def train(trainer: Any, checkpoint: Path | None, stop_after: int | None) -> None:
    """Trains to the end, from a checkpoint on if there is one.

    A checkpoint of the last step is only loaded: the loop of transformers always takes a step.

    Args:
        trainer: As `build_trainer` gives it.
        checkpoint: The folder of a whole checkpoint.
        stop_after: The recipe's ``stop_after_steps``.
    """
    from transformers import TrainerState

    if checkpoint is not None:
        state = TrainerState.load_from_json(str(checkpoint / STATE_FILE))
        if state.global_step >= min(state.max_steps, stop_after or state.max_steps):
            trainer.state = state
            if trainer.args.load_best_model_at_end and state.best_model_checkpoint:
                trainer._load_best_model()
            else:
                trainer._load_from_checkpoint(str(checkpoint))
            return
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
