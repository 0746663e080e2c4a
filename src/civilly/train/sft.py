"""Supervised fine-tuning of a LoRA adapter on pairs (loss on the answer only)."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from civilly.data.pairs import Pair
from civilly.errors import CivillyError, MissingExtraError
from civilly.model.adapter import CONFIG_FILE, WEIGHTS_FILE
from civilly.model.tokenizer import TextTokenizer
from civilly.rewrite.tuned_prompt import tuned_prompt
from civilly.train.corpus import build_corpus, count_by_source, evaluation_texts, without_leaks

BASE_NAME = "civilly: trimmed gemma-3-270m"
IGNORED = -100
"""Label of positions that carry no loss (the convention of transformers)."""


def encode_pairs(corpus: Sequence[Pair], tokenizer: TextTokenizer) -> list[dict[str, list[int]]]:
    """``input_ids`` and ``labels`` of each pair; only the answer and its end carry loss."""
    end = tokenizer.special["<eos>"]
    prompts = tokenizer.encode_prompts([tuned_prompt(pair.toxic, pair.lang) for pair in corpus])
    answers = tokenizer.encode_batch([pair.neutral[0] for pair in corpus])
    rows = []
    for prompt, neutral in zip(prompts, answers, strict=True):
        answer = [*neutral, end]
        rows.append({"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer})
    return rows


def length_grouped(
    rows: Sequence[Mapping[str, list[int]]], batch_size: int, seed: int
) -> list[list[int]]:
    """Batches of rows of similar length, in random order: little padding, still shuffled."""
    import random

    rng = random.Random(seed)
    order = list(range(len(rows)))
    rng.shuffle(order)
    window = batch_size * 40
    batches: list[list[int]] = []
    for start in range(0, len(order), window):
        chunk = sorted(order[start : start + window], key=lambda i: len(rows[i]["input_ids"]))
        batches += [chunk[i : i + batch_size] for i in range(0, len(chunk), batch_size)]
    rng.shuffle(batches)
    return batches


def _collate(pad: int) -> Callable[[list[Mapping[str, list[int]]]], dict[str, Any]]:
    import torch

    def collate(rows: list[Mapping[str, list[int]]]) -> dict[str, Any]:
        width = max(len(row["input_ids"]) for row in rows)
        ids = [row["input_ids"] + [pad] * (width - len(row["input_ids"])) for row in rows]
        labels = [row["labels"] + [IGNORED] * (width - len(row["labels"])) for row in rows]
        mask = [[1] * len(r["input_ids"]) + [0] * (width - len(r["input_ids"])) for r in rows]
        return {
            "input_ids": torch.tensor(ids),
            "labels": torch.tensor(labels),
            "attention_mask": torch.tensor(mask),
        }

    return collate


def _trainer_class() -> type:
    import torch
    from transformers import Trainer

    class AnswerTrainer(Trainer):  # type: ignore[misc]
        """Computes logits only where a label is: the vocabulary is a quarter of the work."""

        batches: list[list[int]]

        def get_train_dataloader(self) -> Any:
            return self.accelerator.prepare(
                torch.utils.data.DataLoader(
                    self.train_dataset,
                    batch_sampler=self.batches,
                    collate_fn=self.data_collator,
                )
            )

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any
        ) -> Any:
            causal = model.get_base_model()
            hidden = causal.model(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
            ).last_hidden_state
            targets = inputs["labels"][:, 1:]
            scored = targets != IGNORED
            logits = causal.lm_head(hidden[:, :-1][scored]).float()
            loss = torch.nn.functional.cross_entropy(logits, targets[scored])
            return (loss, {}) if return_outputs else loss

    return AnswerTrainer


def train_sft(
    recipe: Path,
    data: Path,
    out: Path,
    *,
    resume: bool = False,
    take_out_leaks: bool = False,
    model: Path | None = None,
) -> Path:
    """Trains a LoRA adapter by a recipe, without pairs that repeat held-out or official texts.

    Args:
        recipe: TOML file: ``seed``, ``corpus``, ``adapter``, ``training``.
        data: The data folder that the recipe's sources lie in.
        out: Run folder: ``config.json``, checkpoints, ``adapter/``.
        resume: Go on from the newest checkpoint in ``out``.
        take_out_leaks: Leave pairs that repeat held-out or official texts out, as a recipe with
            ``leaks = "take_out"`` under ``[corpus]`` does; otherwise they are refused.
        model: Folder of the base model in Hugging Face form; default: the embedded model.

    Returns:
        The folder of the trained adapter.

    Raises:
        MissingExtraError: If torch, transformers or peft are not installed.
        LeakError: If pairs leak and are not to be taken out; nothing was trained then.
    """
    try:
        import torch
        from transformers.trainer_utils import get_last_checkpoint
    except ImportError as error:
        raise MissingExtraError("Training", "train", str(error.name)) from error
    from civilly.model.build import embedded_training_folder, load_text_tokenizer

    config = tomllib.loads(recipe.read_text(encoding="utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = get_last_checkpoint(str(out))
    if checkpoint and not resume:
        raise CivillyError(
            f"{out} already holds checkpoints of another run.",
            mend="--resume to go on with it, or another --out",
        )
    folder = model or embedded_training_folder()
    tokenizer = load_text_tokenizer(folder)
    evaluation = evaluation_texts(data, _authored_folder(config))
    take_out = take_out_leaks or _takes_out_leaks(config)
    corpus, leaks = without_leaks(build_corpus(config, data), evaluation, take_out=take_out)
    notes = {"recipe": config, "examples": count_by_source(corpus), "leaks_taken_out": leaks}
    (out / "config.json").write_text(json.dumps(notes, indent=1), "utf-8")

    torch.manual_seed(config["seed"])
    rows = encode_pairs(corpus, tokenizer)
    batches = length_grouped(rows, config["training"]["batch_size"], config["seed"])
    trainer = _trainer_class()(
        model=_lora_model(folder, config["adapter"]),
        args=_arguments(config, len(batches), out),
        train_dataset=rows,
        data_collator=_collate(tokenizer.special["<pad>"]),
    )
    trainer.batches = batches
    if "stop_after_steps" in config["training"]:
        trainer.add_callback(_stop_after(config["training"]["stop_after_steps"]))
    trainer.train(resume_from_checkpoint=checkpoint)
    target = out / "adapter"
    trainer.model.save_pretrained(str(target))
    compact_adapter(target)
    (out / "log.json").write_text(json.dumps(trainer.state.log_history, indent=1), "utf-8")
    return target


def _lora_model(folder: Path, adapter: Mapping[str, Any]) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    return get_peft_model(
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        LoraConfig(
            r=adapter["rank"],
            lora_alpha=adapter["alpha"],
            lora_dropout=adapter["dropout"],
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )


def _arguments(config: Mapping[str, Any], batches: int, out: Path) -> Any:
    import torch
    from transformers import TrainingArguments

    settings = config["training"]
    steps = batches * settings["epochs"]
    return TrainingArguments(
        output_dir=str(out),
        num_train_epochs=settings["epochs"],
        per_device_train_batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        warmup_steps=int(steps * settings["warmup_ratio"]),
        weight_decay=settings["weight_decay"],
        lr_scheduler_type="cosine",
        max_grad_norm=1.0,
        logging_steps=10,
        save_steps=settings["save_steps"],
        save_total_limit=2,
        seed=config["seed"],
        report_to=[],
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        gradient_checkpointing=False,
    )


def _stop_after(steps: int) -> Any:
    """Ends a training early while the learning rate follows the whole schedule."""
    from transformers import TrainerCallback

    class StopAfter(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
            control.should_training_stop = state.global_step >= steps
            return control

    return StopAfter()


def _takes_out_leaks(config: Mapping[str, Any]) -> bool:
    """Whether the recipe wants leaking pairs left out rather than refused, which is the default."""
    wanted = config["corpus"].get("leaks", "refuse")
    if wanted not in ("refuse", "take_out"):
        raise CivillyError(
            f"The recipe says leaks = {wanted!r} under [corpus].", allowed='"refuse", "take_out"'
        )
    return bool(wanted == "take_out")


def _authored_folder(config: Mapping[str, Any]) -> Path | None:
    """Where the recipe's authored pairs lie, a part of which is held out."""
    for source in config["corpus"]["sources"]:
        if source["kind"] == "authored":
            return Path(source["path"])
    return None


def compact_adapter(folder: Path) -> None:
    """Halves an adapter to float16 and takes the training machine's paths out of its config."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    weights = {k: v.astype(np.float16) for k, v in load_file(folder / WEIGHTS_FILE).items()}
    save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    config = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
    config["base_model_name_or_path"] = BASE_NAME
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", "utf-8")
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty card; ours is card.md
