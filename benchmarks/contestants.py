"""The engines that engines.py compares, and the model files that they run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from civilly.model.adapter import Change, load_change, shipped_adapter
from civilly.model.build import load_text_tokenizer, write_hugging_face
from civilly.model.ctranslate2_format import write_ctranslate2
from civilly.model.smoothquant import shipped_peaks, smooth
from civilly.model.source import (
    Architecture,
    SourceModel,
    Vocabulary,
    Weights,
    assemble_packaged,
    hugging_face_name,
)
from civilly.model.tokenizer import build_tokenizer, merges_of
from civilly.model.vocabulary import shipped_kept_ids
from civilly.types import GenerationOptions, Prompt

Answer = Callable[[Sequence[Prompt], int], list[str]]
"""From prompts and a batch size (which some engines choose themselves) to answers."""
Encoded = tuple[list[list[int]], list[int], Any]
"""Token ids of prompts, the most new tokens of each, and the tokenizer."""
Encode = Callable[[Sequence[Prompt]], Encoded]
CONTEXT = 768
"""Tokens that llama.cpp has room for in each slot: a prompt and its answer."""


@dataclass(frozen=True)
class Contestant:
    """One engine with one form of the model.

    Attributes:
        form: Its folder or file among the prepared ones.
        open: Opens it with a number of threads.
        sizes: Batch sizes to try, ascending; the best one counts.
        slow: Whether it only answers the sentences that all contestants answer.
        exact: The contestant that computes the same model in float32 with transformers.
    """

    form: str
    open: Callable[[Path, int], Answer]
    sizes: tuple[int, ...] = (0,)
    slow: bool = False
    exact: str = "transformers float32, trimmed"


@dataclass(frozen=True)
class LineUp:
    """Contestants that are compared with one another.

    Attributes:
        contestants: By their names, in the order of the tables.
        default: The one that ships.
        exact: What tables call those that outputs are compared with.
        quality: The one whose scores the others' are subtracted from.
        model: What they all are given, in words.
        output: File of the results.
        n: Sentences for the quick ones, unless the command line says otherwise.
        common: Sentences for all of them, likewise.
        goals: How many times as fast as these the default one is meant to be.
        languages: Codes of the languages of the sentences; none: all.
    """

    contestants: Mapping[str, Contestant]
    default: str
    exact: str
    quality: str
    model: str
    output: str
    n: int
    common: int
    goals: Mapping[str, float]
    languages: tuple[str, ...] = ()


def open_ctranslate2(folder: Path, threads: int) -> Answer:
    """The embedded engine itself; it makes its own batches."""
    from civilly.engines.embedded import read_folder

    model = read_folder(folder, threads)

    def answer(prompts: Sequence[Prompt], size: int) -> list[str]:
        return [made.text for (made,) in model.generate(prompts, GenerationOptions())]

    return answer


def encoded(tokenizer: Any, prompts: Sequence[Prompt]) -> Encoded:
    """Prompts in tokens, and how many the answers may have, as the engines of the package count."""
    from civilly.engines.limits import limit_of

    rows = tokenizer.encode_prompts(prompts)
    pairs = zip(prompts, rows, strict=True)
    limits = [limit_of(prompt, len(row), GenerationOptions()) for prompt, row in pairs]
    return rows, limits, tokenizer


def _encode(folder: Path) -> Encode:
    return lambda prompts: encoded(load_text_tokenizer(folder), prompts)


def open_llama_cpp(folder: Path, threads: int) -> Answer:
    """llama.cpp through xllamacpp: ``size`` requests at a time, continuous batching."""
    slots = max(CONTESTANTS["llama.cpp Q8_0, trimmed"].sizes)
    return served(llama_cpp_parameters(folder / "model.gguf", slots, threads), _encode(folder))


def llama_cpp_parameters(model: Path, slots: int, threads: int) -> Any:
    """What llama.cpp is started with.

    Args:
        model: A GGUF file.
        slots: The most requests at a time.
        threads: CPU threads.
    """
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    parameters.n_parallel, parameters.n_ctx = slots, slots * CONTEXT
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.warmup, parameters.verbosity = False, -1
    return parameters


def served(parameters: Any, encode: Encode) -> Answer:
    """Starts llama.cpp; its answers."""
    from concurrent.futures import ThreadPoolExecutor

    import xllamacpp

    server = xllamacpp.Server(parameters)

    def one(job: tuple[list[int], int]) -> str:
        prompt, limit = job
        reply = server.handle_completions(
            {"prompt": prompt, "max_tokens": limit, "n_predict": limit, "temperature": 0.0,
             "cache_prompt": False}
        )  # fmt: skip
        return str(reply["choices"][0]["text"])

    def answer(prompts: Sequence[Prompt], size: int) -> list[str]:
        rows, limits, _ = encode(prompts)
        with ThreadPoolExecutor(size) as pool:
            return list(pool.map(one, zip(rows, limits, strict=True)))

    return answer


def open_transformers(dtype: str) -> Callable[[Path, int], Answer]:
    """``generate`` of transformers in a precision."""

    def opened(folder: Path, threads: int) -> Answer:
        import torch
        from transformers import AutoModelForCausalLM

        torch.set_num_threads(threads)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
        return generated(model, _encode(folder), pad=0, end=1)

    return opened


def generated(model: Any, encode: Encode, pad: int, end: int) -> Answer:
    """Answers of a model of transformers: sorted by length, left padding.

    Args:
        model: The model, whose configuration says where it ends.
        encode: How it reads prompts.
        pad: The id to fill up with.
        end: The id after an answer.
    """
    import torch

    def answer(prompts: Sequence[Prompt], size: int) -> list[str]:
        rows, limits, tokenizer = encode(prompts)
        answers = [""] * len(rows)
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
        for start in range(0, len(order), size):
            group = order[start : start + size]
            width = len(rows[group[0]])
            pads = torch.tensor([[width - len(rows[i])] for i in group])
            with torch.inference_mode():
                output = model.generate(
                    input_ids=torch.tensor([[pad] * (width - len(rows[i])) + rows[i]
                                            for i in group]),
                    attention_mask=(torch.arange(width) >= pads).long(),
                    max_new_tokens=max(limits[i] for i in group),
                    do_sample=False,
                )  # fmt: skip
            for i, ids in zip(group, output[:, width:].tolist(), strict=True):
                length = ids.index(end) if end in ids else len(ids)
                answers[i] = tokenizer.decode(ids[: min(length, limits[i])])
        return answers

    return answer


_SIZES = (8, 16, 32, 64)
FULL_EXACT = "transformers float32, whole vocabulary"
DEFAULT = "ctranslate2 int8, trimmed"
FLOAT = "ctranslate2 float32, trimmed"
ROUNDED = "rounded"
"""int8 without smoothing, for comparison."""
CONTESTANTS: dict[str, Contestant] = {
    DEFAULT: Contestant("ct2-int8-trimmed", open_ctranslate2),
    FLOAT: Contestant("ct2-float32-trimmed", open_ctranslate2),
    "ctranslate2 int8, whole vocabulary": Contestant(
        "ct2-int8-full", open_ctranslate2, exact=FULL_EXACT
    ),
    "llama.cpp Q8_0, trimmed": Contestant("gguf-trimmed", open_llama_cpp, (4, 16), slow=True),
    "transformers float32, trimmed": Contestant(
        "hf-trimmed", open_transformers("float32"), _SIZES, slow=True
    ),
    FULL_EXACT: Contestant(
        "hf-full", open_transformers("float32"), _SIZES, slow=True, exact=FULL_EXACT
    ),
    "transformers bfloat16, trimmed": Contestant(
        "hf-trimmed", open_transformers("bfloat16"), _SIZES, slow=True
    ),
}
LIGHT = LineUp(
    CONTESTANTS,
    default=DEFAULT,
    exact="transformers float32",
    quality=FLOAT,
    model="prompts and adapter of `tuned` (merged)",
    output="engines.md",
    n=192,
    common=48,
    goals={FULL_EXACT: 10.0, "ctranslate2 int8, whole vocabulary": 1.5},
)
"""The embedded model."""


def prepare(work: Path, forms: set[str]) -> None:
    """Writes the model forms that are not there yet, with the shipped adapter merged."""
    missing = {form for form in forms if not (work / form).exists()}
    if not missing:
        return
    joined = work / "packaged.gguf"
    assemble_packaged(joined)
    source, lora = SourceModel(joined), load_change(shipped_adapter("tuned"))
    for size, kept in (("trimmed", shipped_kept_ids()), ("full", None)):
        # Writing int8 overwrites the weights, so it comes last.
        here = sorted((f for f in missing if f.endswith(size)), key=lambda f: ("int8" in f, f))
        if not here:
            continue
        ids = range(len(source.vocabulary.pieces)) if kept is None else kept
        vocabulary = source.vocabulary.restricted_to(list(ids))
        weights = {name: lora.merged(name, w) for name, w in source.weights(kept)}
        merges = merges_of(vocabulary.pieces, vocabulary.scores, vocabulary.atomic)
        tokenizer = build_tokenizer(vocabulary.pieces, merges)
        for form in here:
            sys.stderr.write(f"preparing {form}\n")
            shutil.rmtree(work / f"{form}.partial", ignore_errors=True)
            folder = work / f"{form}.partial"
            folder.mkdir()
            if form.startswith("ct2"):
                _write_ctranslate2(
                    form.split("-")[1], weights, source.architecture, vocabulary, folder
                )
            elif form.startswith("hf"):
                write_hugging_face(weights, source.architecture, vocabulary.pieces, folder)
            else:
                kept_ids = shipped_kept_ids()
                write_gguf(joined, lora, folder / "model.gguf", hugging_face_name, kept_ids)
            tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
            folder.rename(work / form)
    joined.unlink()


def _write_ctranslate2(
    precision: Any, weights: Weights, shape: Architecture, vocabulary: Vocabulary, folder: Path
) -> None:
    if precision == ROUNDED:
        kept = {name: each.copy() for name, each in weights.items()}
        write_ctranslate2(kept, shape, vocabulary.pieces, folder, "int8")
        return
    weights = dict(weights)
    if precision == "int8":
        smooth(weights, shape, shipped_peaks())
    write_ctranslate2(weights, shape, vocabulary.pieces, folder, precision)


def write_gguf(
    path: Path,
    change: Change,
    target: Path,
    named: Callable[[str], str],
    kept: Sequence[int] | None = None,
) -> None:
    """Merges what a training changed into a GGUF file: what it changes becomes Q8_0.

    All other quantised blocks stay as they are.

    Args:
        path: The file.
        change: What a training changed.
        target: The file to write.
        named: From a tensor's GGUF name to its Hugging Face name.
        kept: Ids of the vocabulary to keep; default: all.
    """
    import gguf
    import numpy as np

    reader = gguf.GGUFReader(str(path))
    new_id = {old: new for new, old in enumerate(kept or ())}
    writer = gguf.GGUFWriter(str(target), reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = field.contents()
        if kept is not None and name.endswith("_token_id"):
            if value in new_id:
                writer.add_uint32(name, new_id[value])
        elif kept is not None and name.startswith("tokenizer.ggml.") and isinstance(value, list):
            writer.add_array(name, [value[i] for i in kept])
        elif isinstance(value, list):
            writer.add_array(name, value)
        else:
            writer.add_key_value(name, value, field.types[0])
    for tensor in reader.tensors:
        name, data, kind = named(tensor.name), tensor.data, tensor.tensor_type
        if name in change.targets():
            kind = gguf.GGMLQuantizationType.Q8_0
            merged = change.merged(name, gguf.quants.dequantize(data, tensor.tensor_type))
            data = gguf.quants.quantize(merged, kind)
        elif kept is not None and tensor.name == "token_embd.weight":
            data = data[np.asarray(kept)]
        writer.add_tensor(tensor.name, np.ascontiguousarray(data), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
