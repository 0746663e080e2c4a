"""The model that is trained: the embedded one, or any causal or encoder-decoder model."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from civilly.data.hub_access import found_where, hub_access
from civilly.engines.encoding import PromptEncoder
from civilly.errors import ModelError
from civilly.model.adapter import (
    ADAPTER_FOLDER,
    CONFIG_FILE,
    FULL_FOLDER,
    WEIGHTS_FILE,
    say_onto,
    shipped_adapter,
)
from civilly.model.tokenizer import TextTokenizer
from civilly.train.answer_positions import AnswerPositions
from civilly.train.examples import Example
from civilly.train.hardware import computed_in
from civilly.train.recipe import EMBEDDED, LARGE, AdapterSettings, BaseSettings
from civilly.types import Prompt

EMBEDDED_NAME = "civilly: trimmed gemma-3-270m"
"""What an adapter of the embedded model calls its base, instead of a path."""
LARGE_NAME = "civilly: qwen2.5-coder-1.5b-instruct"
"""What an adapter of the large model calls its base."""


class Encoding(Protocol):
    """Prompts and answers as token ids."""

    def prompts(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Ids of each prompt, ready for the model."""
        ...

    def answers(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text with the end that the model is to say after it."""
        ...

    def decode(self, ids: Sequence[int], context: Sequence[int]) -> str:
        """The text of an answer, without special tokens, after the prompt ``context``."""
        ...


class EmbeddedEncoding:
    """The encoding of the embedded model: its own tokenizer, which knows no special spelling."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self._end = tokenizer.special["<eos>"]

    def prompts(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """See `Encoding`."""
        return self._tokenizer.encode_prompts(prompts)

    def answers(self, texts: Sequence[str]) -> list[list[int]]:
        """See `Encoding`."""
        return [[*ids, self._end] for ids in self._tokenizer.encode_batch(texts)]

    def decode(self, ids: Sequence[int], context: Sequence[int]) -> str:
        """See `Encoding`."""
        return self._tokenizer.decode(ids)


class HubEncoding:
    """The encoding of a tokenizer of transformers, as the engine ``hf`` uses it."""

    def __init__(self, tokenizer: Any, *, encoder_decoder: bool) -> None:
        self._encoder = PromptEncoder(tokenizer, chat="auto", closing=encoder_decoder)
        self._goes_on = not encoder_decoder
        self._end = tokenizer.eos_token_id

    def prompts(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """See `Encoding`."""
        return [self._encoder.encode(prompt) for prompt in prompts]

    def answers(self, texts: Sequence[str]) -> list[list[int]]:
        """See `Encoding`."""
        answers = (self._encoder.encode_text(text, goes_on=self._goes_on) for text in texts)
        return [[*answer, self._end] for answer in answers]

    def decode(self, ids: Sequence[int], context: Sequence[int]) -> str:
        """See `Encoding`."""
        return self._encoder.decode(ids, context)


@dataclass
class TrainableModel:
    """A model about to be trained, with all that depends on its kind.

    Attributes:
        model: The model of transformers or peft.
        encoding: Its tokens.
        encoder_decoder: Whether the prompt goes into an encoder.
        pad: Id that fills up a batch.
        end: Id after which an answer ends.
        name: What a saved adapter calls its base.
        tokenizer: To be saved beside a model that was trained as a whole, or None.
        answers: Spares a causal model the positions without a label; or None.
        onto: Name of the shipped adapter that is merged in below the one that is trained, or None.
    """

    model: Any
    encoding: Encoding
    encoder_decoder: bool
    pad: int
    end: int
    name: str
    tokenizer: Any = None
    answers: AnswerPositions | None = None
    onto: str | None = None

    def save(self, folder: Path, model: Any, *, first: bool = True) -> Path:
        """Writes what was trained, small: an adapter in float16, or a whole model.

        Args:
            folder: The run folder.
            model: ``self.model`` after training.
            first: Whether this is the first of several processes; the others write nothing.

        Returns:
            The folder that the engines take.
        """
        adapted = hasattr(model, "peft_config")
        target = folder / (ADAPTER_FOLDER if adapted else FULL_FOLDER)
        if not first:
            return target
        model.save_pretrained(str(target))
        if adapted:
            compact_adapter(target, self.name)
            if self.onto is not None:
                say_onto(target, self.onto)
        elif self.tokenizer is not None:
            self.tokenizer.save_pretrained(str(target))
        return target


def load_trainable(
    base: BaseSettings, adapter: AdapterSettings, precision: str, embedded: Path | None = None
) -> TrainableModel:
    """Loads the base model and puts a fresh adapter, or the one to go on from, into it.

    Args:
        base: Which model.
        adapter: What of it is trained.
        precision: ``fp32``, ``bf16`` or ``auto``; a model that is trained as a whole stays in
            float32.
        embedded: Folder of the embedded model in Hugging Face form; default: the shipped one.

    Raises:
        ModelError: If the model or the adapter cannot be loaded.
    """
    import torch

    rounded = computed_in(precision) == "bf16" and adapter.kind != "full"
    dtype = torch.bfloat16 if rounded else torch.float32
    if adapter.onto is not None:
        trainable = _onto(base, adapter.onto, embedded)
        trainable.model = trainable.model.to(dtype)
    elif base.name == EMBEDDED:
        trainable = _embedded(dtype, embedded)
    elif base.name == LARGE:
        trainable = replace(_from_hub(_large(), dtype), name=LARGE_NAME)
    else:
        trainable = _from_hub(base, dtype)
    if adapter.kind != "full":
        trainable.model = _adapted(trainable, adapter)
    if not trainable.encoder_decoder:  # last: the output layer may be adapted, too
        trainable.answers = AnswerPositions(trainable.model)
    return trainable


def _embedded(dtype: Any, folder: Path | None) -> TrainableModel:
    from transformers import AutoModelForCausalLM

    from civilly.model.build import embedded_training_folder, load_text_tokenizer
    from civilly.model.cache import loaded

    def obtain() -> Path:
        return folder or embedded_training_folder()

    tokenizer = loaded(obtain, load_text_tokenizer)
    return TrainableModel(
        model=loaded(obtain, lambda at: AutoModelForCausalLM.from_pretrained(at, dtype=dtype)),
        encoding=EmbeddedEncoding(tokenizer),
        encoder_decoder=False,
        pad=tokenizer.special["<pad>"],
        end=tokenizer.special["<eos>"],
        name=EMBEDDED_NAME,
    )


def _onto(base: BaseSettings, name: str, folder: Path | None) -> TrainableModel:
    """The embedded model with a shipped adapter merged in, in float32: nothing is rounded twice.

    Raises:
        ModelError: If the base is another one, or there is no such adapter.
    """
    import torch
    from peft import PeftModel

    if base.name != EMBEDDED:
        raise ModelError(
            f"[adapter] onto = {name!r} is for the embedded base, not for {base.name!r}.",
            mend='leave it out, or [base] name = "embedded"',
        )
    trainable = _embedded(torch.float32, folder)
    adapted = PeftModel.from_pretrained(trainable.model, str(shipped_adapter(name)))
    return replace(trainable, model=adapted.merge_and_unload(), onto=name)


def _large() -> BaseSettings:
    from civilly.model.large import large_training_folder

    return BaseSettings(name=str(large_training_folder()))


def _from_hub(base: BaseSettings, dtype: Any) -> TrainableModel:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    where = found_where(base.name, base.revision)
    with hub_access(base.name) as hub:
        try:
            config = AutoConfig.from_pretrained(base.name, **where)
            tokenizer = AutoTokenizer.from_pretrained(base.name, **where)
            family = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
            model = family.from_pretrained(base.name, dtype=dtype, **where)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ModelError(
                f"The model {base.name!r} cannot be loaded: "
                f"{hub.problem(str(error).splitlines()[0])}",
                allowed="a hub id, or a folder with config, weights and tokenizer",
                mend=hub.mend("check [base] name and revision, and the network"),
            ) from error
    if tokenizer.eos_token_id is None:
        raise ModelError(f"The tokenizer of {base.name!r} has no token for the end of a text.")
    pad = tokenizer.pad_token_id
    return TrainableModel(
        model=model,
        encoding=HubEncoding(tokenizer, encoder_decoder=config.is_encoder_decoder),
        encoder_decoder=bool(config.is_encoder_decoder),
        pad=tokenizer.eos_token_id if pad is None else pad,
        end=tokenizer.eos_token_id,
        name=base.name,
        tokenizer=tokenizer,
    )


def _adapted(trainable: TrainableModel, settings: AdapterSettings) -> Any:
    from peft import LoraConfig, PeftModel, get_peft_model

    if settings.start is not None:
        start = start_folder(settings.start)
        return PeftModel.from_pretrained(trainable.model, str(start), is_trainable=True)
    return get_peft_model(
        trainable.model,
        LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules=_targets(trainable.model, settings),
            use_dora=settings.kind == "dora",
            task_type="SEQ_2_SEQ_LM" if trainable.encoder_decoder else "CAUSAL_LM",
        ),
    )


def start_folder(start: str) -> Path:
    """The folder of the adapter that a recipe goes on from: as it says, or one that ships.

    Raises:
        ModelError: If there is none.
    """
    for folder in (Path(start), Path(start) / ADAPTER_FOLDER):
        if (folder / CONFIG_FILE).is_file():
            return folder
    if re.fullmatch(r"\w+", start):
        with contextlib.suppress(ModelError):
            return shipped_adapter(start)
    raise ModelError(
        f"There is no adapter in {start!r}.",
        allowed=f"a folder with {CONFIG_FILE}, or the name of an adapter that ships",
    )


def _targets(model: Any, settings: AdapterSettings) -> str | list[str]:
    """The matrices to adapt: as the recipe names them, or of the upper layers one by one."""
    kind, _, count = settings.layers.partition(":")
    if kind == "all":
        return settings.targets
    import torch

    layers = model.config.get_text_config().num_hidden_layers
    if int(count) > layers:
        raise ModelError(
            f"The recipe adapts the upper {count} layers of a model that has {layers}.",
            allowed=f'[adapter] layers = "upper:1" to "upper:{layers}", or "all"',
        )
    found = []
    for name, module in model.named_modules():
        layer = re.search(r"\.(?:layers|block|h)\.(\d+)\.", name)
        upper = layer is not None and int(layer[1]) >= layers - int(count)
        if upper and isinstance(module, torch.nn.Linear) and _is_target(name, settings.targets):
            found.append(name)
    if not found:
        raise ModelError(
            f"No matrix of the upper {count} layers is called {settings.targets!r}.",
            allowed="[adapter] targets: names of matrices, a pattern of whole names, all-linear",
        )
    return found


def _is_target(name: str, targets: str | list[str]) -> bool:
    """Whether a recipe means a matrix: as peft reads it, a string is a pattern, a list has ends."""
    if isinstance(targets, str):
        return targets == "all-linear" or re.fullmatch(targets, name) is not None
    return any(f".{name}".endswith(f".{each}") for each in targets)


def encode(examples: Sequence[Example], trainable: TrainableModel) -> list[dict[str, list[int]]]:
    """``prompt`` and ``answer`` ids of each example, and ``input_ids``, whose length groups them.

    An encoder reads the prompt alone; a causal model reads the answer after it.
    """
    prompts = trainable.encoding.prompts([example.prompt for example in examples])
    answers = trainable.encoding.answers([example.answer for example in examples])
    return [
        {
            "prompt": prompt,
            "answer": answer,
            "input_ids": prompt if trainable.encoder_decoder else prompt + answer,
        }
        for prompt, answer in zip(prompts, answers, strict=True)
    ]


def compact_adapter(folder: Path, base_name: str) -> None:
    """Halves an adapter to float16 and names its base in place of the training machine's path."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    weights = {k: v.astype(np.float16) for k, v in load_file(folder / WEIGHTS_FILE).items()}
    save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    config = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
    config["base_model_name_or_path"] = base_name
    if isinstance(config.get("target_modules"), list):  # a set to peft, in an order of its own
        config["target_modules"].sort()
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", "utf-8")
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty card; ours is card.md
