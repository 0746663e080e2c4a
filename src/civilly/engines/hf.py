"""Any causal or encoder-decoder model of the transformers library, by hub id or folder.

A target is ``org/name``, ``org/name@revision`` or a folder, with options after a question mark:
``hf:org/name@main?dtype=fp32&batch=4``. A folder may also hold a LoRA adapter, which brings the
name of its base model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from civilly.data.hub_access import found_where, hub_access, require_hub
from civilly.engines.decoding import Ending, TokenScores, Until, mean_of
from civilly.engines.diverse import DiverseSearch
from civilly.engines.encoding import PromptEncoder
from civilly.engines.hardware import device_of, dtype_of
from civilly.engines.hf_target import ADAPTER_FILE, OPTIONS, Target, lora_folder
from civilly.engines.requests import check, limit_of, width_of
from civilly.errors import EngineError, MissingExtraError, ModelError
from civilly.types import Generation, GenerationOptions, Prompt

_LOADING_ERRORS = (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError)
_TOKENS_PER_BATCH = 16_384
_SCORES_PER_BATCH = 2**27  # floats: half a gigabyte


TOKENS_PER_SEQUENCE = 64
"""Tokens of texts that are worked on at a time, by the sequences that are generated together."""


__all__ = ["OPTIONS", "HfEngine", "check_target", "create"]


class HfEngine:
    """Generates with a model of the transformers library.

    Args:
        target: What to open. A hub id is downloaded on first use, unless ``HF_HUB_OFFLINE`` is
            set; a folder never touches the network. Code that comes with a model is never run.

    Raises:
        MissingExtraError: If torch or transformers is not installed.
        ModelError: If the model cannot be loaded, or neither is here nor can be downloaded.
        EngineError: If the device is unknown.
    """

    def __init__(self, target: Target) -> None:
        require_hub(target.model)
        try:
            import torch
            import transformers
        except ImportError as error:
            raise MissingExtraError("The engine 'hf'", "hf", error.name or "torch") from error
        self._torch: Any = torch
        self._transformers: Any = transformers
        self._target = target
        self._device = device_of(torch, target.device)
        self._adapters: dict[str, str] = {}
        self._attempts = 0
        self._peft: Any = None
        self._load(dtype_of(torch, target.dtype, self._device))

    @property
    def tokens_at_once(self) -> int:
        """See `civilly.engines.pacing.Paced`: a few batches of short texts."""
        return TOKENS_PER_SEQUENCE * self._target.batch

    def _load(self, dtype: Any) -> None:
        transformers, target = self._transformers, self._target
        where = found_where(target.model, target.revision)
        with hub_access(target.model) as hub:
            try:
                config = transformers.AutoConfig.from_pretrained(target.model, **where)
                self._closing = bool(config.is_encoder_decoder)
                family = (
                    transformers.AutoModelForSeq2SeqLM
                    if self._closing
                    else transformers.AutoModelForCausalLM
                )
                tokenizer = transformers.AutoTokenizer.from_pretrained(target.model, **where)
                model = family.from_pretrained(target.model, dtype=dtype, **where)
            except _LOADING_ERRORS as error:
                raise ModelError(
                    f"The model {target.model!r} cannot be loaded: "
                    f"{hub.problem(_first_line(error))}",
                    allowed="a hub id (org/name@revision), or a folder with config, weights, "
                    "tokenizer",
                    mend=hub.mend("check the name, the revision and the network"),
                ) from error
        self._encoder = PromptEncoder(
            tokenizer, chat=target.chat, closing=self._closing, bos=target.bos
        )
        self._model: Any = model.eval().to(self._device)
        self._room = getattr(config.get_text_config(), "max_position_embeddings", None)
        self._width = len(self._encoder.vocabulary)
        self._adopt_generation_config(tokenizer)

    def _adopt_generation_config(self, tokenizer: Any) -> None:
        """Keeps the model's special ids and drops its habits: only our options decide."""
        own = self._model.generation_config
        names = ("bos", "eos", "pad", "decoder_start", "forced_bos", "forced_eos")
        ids = {f"{name}_token_id": getattr(own, f"{name}_token_id", None) for name in names}
        if ids["eos_token_id"] is None:
            ids["eos_token_id"] = tokenizer.eos_token_id
        eos = ids["eos_token_id"]
        self._ends: frozenset[int] = frozenset(
            eos if isinstance(eos, list) else [] if eos is None else [eos]
        )
        candidates = (ids["pad_token_id"], tokenizer.pad_token_id, *sorted(self._ends), 0)
        ids["pad_token_id"] = self._pad = next(each for each in candidates if each is not None)
        self._model.generation_config = self._transformers.GenerationConfig(**ids)

    def generate(
        self, prompts: Sequence[Prompt], options: GenerationOptions
    ) -> list[list[Generation]]:
        """``options.n`` generations per prompt, in order, best first.

        With temperature 0 it is greedy for a width of 1, else a beam search (its scores are mean
        log probabilities), diverse where there are groups (`civilly.engines.diverse`); above 0 it
        samples. The same request gives the same text on one machine; sampling also depends on
        which prompts share a batch.

        Raises:
            EngineError: If an option or prompt is out of the model's range, or memory is short.
            ModelError: If the adapter cannot be loaded.
            MissingExtraError: If an adapter is asked for and peft is not installed.
        """
        check(prompts, options)
        encoded = [self._encode(number, prompt, options) for number, prompt in enumerate(prompts)]
        limits = [limit_of(prompt, options) for prompt in prompts]
        answers: list[list[Generation]] = [[] for _ in prompts]
        with self._adapted(options.adapter or self._target.adapter), self._seeded(options.seed):
            for batch in self._batches(encoded, limits, options):
                rows = self._generate(
                    [encoded[index] for index in batch], [limits[index] for index in batch], options
                )
                for index, row in zip(batch, rows, strict=True):
                    answers[index] = row
        return answers

    def _encode(self, number: int, prompt: Prompt, options: GenerationOptions) -> list[int]:
        ids = self._encoder.encode(prompt) or sorted(self._ends)[:1] or [self._pad]
        wanted = len(ids) + (0 if self._closing else limit_of(prompt, options))
        if self._room is not None and wanted > self._room:
            raise EngineError(
                f"Prompt {number} has {len(ids)} tokens and asks for up to "
                f"{limit_of(prompt, options)} more.",
                allowed=f"{self._room} tokens",
                mend="shorten the text, or lower max_new_tokens",
            )
        return ids

    def _batches(
        self, encoded: Sequence[list[int]], limits: Sequence[int], options: GenerationOptions
    ) -> Iterator[list[int]]:
        """Indices of prompts of like length, longest first, so that memory fails early or never."""
        batch: list[int] = []
        for index in sorted(range(len(encoded)), key=lambda i: (-len(encoded[i]), -limits[i], i)):
            grown = [*batch, index]
            rows = len(grown) * width_of(options)
            steps = max(limits[i] for i in grown)
            length = len(encoded[grown[0]]) + steps
            keeps_scores = width_of(options) > 1 and options.temperature == 0
            too_big = (
                rows > self._target.batch
                or rows * length > _TOKENS_PER_BATCH
                or (keeps_scores and rows * steps * self._width > _SCORES_PER_BATCH)
            )
            if batch and too_big:
                yield batch
                grown = [index]
            batch = grown
        if batch:
            yield batch

    def _generate(
        self, rows: list[list[int]], limits: list[int], options: GenerationOptions
    ) -> list[list[Generation]]:
        torch = self._torch
        width = max(map(len, rows))
        gaps = [[self._pad] * (width - len(row)) for row in rows]
        # A causal model goes on from its last position, so that one must be real.
        ids = [
            row + gap if self._closing else gap + row for row, gap in zip(rows, gaps, strict=True)
        ]
        mask = [
            [1] * len(row) + [0] * len(gap) if self._closing else [0] * len(gap) + [1] * len(row)
            for row, gap in zip(rows, gaps, strict=True)
        ]
        until = Until(
            torch=torch,
            encoder=self._encoder,
            contexts=[[] if self._closing else row for row in rows],
            limits=limits,
            stop=options.stop,
            ends=self._ends
            | {
                self._encoder.control[word]
                for word in options.stop
                if word in self._encoder.control
            },
            start=1 if self._closing else width,
        )
        try:
            with torch.inference_mode():
                endings, means = self._continue(
                    torch.tensor(ids, device=self._device),
                    torch.tensor(mask, device=self._device),
                    until,
                    options,
                )
        except torch.OutOfMemoryError as error:
            raise EngineError(
                f"Not enough memory for {len(rows) * width_of(options)} sequences at once.",
                mend="a smaller batch: hf:MODEL?batch=1",
                retryable=True,
            ) from error
        made = [
            Generation(ending.text, mean, ending.finished)
            for ending, mean in zip(endings, means, strict=True)
        ]
        groups = [made[first : first + options.n] for first in range(0, len(made), options.n)]
        return [sorted(group, key=_likelihood, reverse=True) for group in groups]

    def _continue(
        self, ids: Any, mask: Any, until: Until, options: GenerationOptions
    ) -> tuple[list[Ending], list[float]]:
        """``options.n`` continuations of each row of ``ids``, with their mean log probabilities.

        Args:
            ids: int64 [prompts, tokens], padded.
            mask: int64 [prompts, tokens]; 0 is padding.
            until: Says where rows end.
            options: How to continue.
        """
        if options.groups > 1:
            search = DiverseSearch(self._torch, self._model, self._pad, until, options)
            return search.run(ids, mask)
        scores = TokenScores(self._torch)
        beams = width_of(options) > 1 and options.temperature == 0
        output = self._model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=self._configuration(options, until),
            logits_processor=[] if beams else [scores],
            stopping_criteria=[until],
        )
        endings = [
            until.read(row // options.n, tokens)
            for row, tokens in enumerate(output.sequences.tolist())
        ]
        if beams:
            return endings, output.sequences_scores.tolist()
        columns = scores.of(output.sequences).tolist()
        return endings, [mean_of(row, ending) for row, ending in zip(columns, endings, strict=True)]

    def _configuration(self, options: GenerationOptions, until: Until) -> Any:
        """Every choice spelled out, so that no default of the model slips in."""
        sampling = options.temperature > 0
        config = self._transformers.GenerationConfig(
            max_new_tokens=max(until.limits),
            do_sample=sampling,
            num_beams=1 if sampling else width_of(options),
            num_return_sequences=options.n,
            eos_token_id=sorted(until.ends) or None,
            pad_token_id=self._pad,
            return_dict_in_generate=True,
            output_scores=width_of(options) > 1 and not sampling,
            length_penalty=1.0,
            early_stopping=False,
        )
        if sampling:
            config.update(temperature=options.temperature, top_k=options.top_k, top_p=options.top_p)
        return config

    @contextmanager
    def _adapted(self, folder: str | None) -> Iterator[None]:
        """Switches a LoRA adapter on, or all of them off; the base weights are never changed."""
        if folder is not None:
            name = self._adapter_name(folder)
            self._peft.base_model.enable_adapter_layers()
            self._peft.set_adapter(name)
        elif self._peft is not None:
            self._peft.base_model.disable_adapter_layers()
        yield

    def _adapter_name(self, folder: str) -> str:
        """The name of an adapter, which is loaded when it is first used."""
        folder = lora_folder(folder)
        key = str(Path(folder).resolve())
        if key not in self._adapters:
            self._adapters[key] = self._load_adapter(folder)
        return self._adapters[key]

    def _load_adapter(self, folder: str) -> str:
        """Puts an adapter's layers into the model, switched off, and gives them a name.

        This is peft's own loading. That of transformers (5.23) counts every weight that is not in
        the adapter's file as missing and initialises it anew, also those of the base model.
        """
        try:
            import peft
        except ImportError as error:
            raise MissingExtraError("A LoRA adapter", "hf", "peft") from error
        name = f"adapter{self._attempts}"
        self._attempts += 1  # a failed one may stay in the model, switched off
        try:
            config = peft.PeftConfig.from_pretrained(folder)
            if config.peft_type != peft.PeftType.LORA:
                raise ValueError(f"it is of the kind {config.peft_type}, not LoRA")
            config.inference_mode = True
            if self._peft is None:
                self._peft = peft.PeftModel(self._model, config, adapter_name=name)
                self._peft.base_model.disable_adapter_layers()
            loaded = self._peft.load_adapter(folder, name, torch_device=str(self._device))
            if any(f".{name}." in key for key in loaded.missing_keys):
                raise ValueError("some of its weights are missing")
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"The adapter in {folder!r} does not fit {self._target.model!r}: "
                f"{_first_line(error)}",
                mend=f"name the model that {ADAPTER_FILE} calls base_model_name_or_path",
            ) from error
        return name

    @contextmanager
    def _seeded(self, seed: int) -> Iterator[None]:
        """Sets the seed of sampling, and leaves the program's own random state alone."""
        devices = [self._device] if self._device.type == "cuda" else []
        with self._torch.random.fork_rng(devices=devices):
            self._torch.manual_seed(seed)
            yield


def _likelihood(generation: Generation) -> float:
    return float("-inf") if generation.logprob is None else generation.logprob


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0]


def check_target(target: str) -> None:
    """Makes sure that a target is understood, without opening it; raises as `create` does."""
    Target.parse(target)


def create(target: str) -> HfEngine:
    """Opens a model of the transformers library.

    Args:
        target: ``org/name@revision`` or a folder; options after a question mark (see `Target`).

    Raises:
        EngineError: If the target or an option is wrong.
        ModelError: If the model cannot be loaded.
        MissingExtraError: If torch or transformers is not installed.
    """
    return HfEngine(Target.parse(target))
