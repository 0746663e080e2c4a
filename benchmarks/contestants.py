"""The engines that engines.py compares, and the model files that they run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
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


def open_ctranslate2(folder: Path, threads: int) -> Answer:
    """The embedded engine itself; it makes its own batches."""
    from civilly.engines.embedded import read_folder

    model = read_folder(folder, threads)

    def answer(prompts: Sequence[Prompt], size: int) -> list[str]:
        return [made.text for (made,) in model.generate(prompts, GenerationOptions())]

    return answer


def _encoded(folder: Path, prompts: Sequence[Prompt]) -> tuple[list[list[int]], list[int], Any]:
    """Token ids and the most new tokens, as the embedded engine counts them; the tokenizer."""
    from civilly.engines.limits import limit_of

    tokenizer = load_text_tokenizer(folder)
    rows = tokenizer.encode_prompts(prompts)
    pairs = zip(prompts, rows, strict=True)
    return (
        rows,
        [limit_of(prompt, len(row), GenerationOptions()) for prompt, row in pairs],
        tokenizer,
    )


def open_llama_cpp(folder: Path, threads: int) -> Answer:
    """llama.cpp through xllamacpp: ``size`` requests at a time, continuous batching."""
    from concurrent.futures import ThreadPoolExecutor

    import xllamacpp

    slots = max(CONTESTANTS["llama.cpp Q8_0, trimmed"].sizes)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(folder / "model.gguf")
    parameters.n_parallel, parameters.n_ctx = slots, slots * 768
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.warmup, parameters.verbosity = False, -1
    server = xllamacpp.Server(parameters)

    def one(job: tuple[list[int], int]) -> str:
        prompt, limit = job
        reply = server.handle_completions(
            {"prompt": prompt, "max_tokens": limit, "n_predict": limit, "temperature": 0.0,
             "cache_prompt": False}
        )  # fmt: skip
        return str(reply["choices"][0]["text"])

    def answer(prompts: Sequence[Prompt], size: int) -> list[str]:
        rows, limits, _ = _encoded(folder, prompts)
        with ThreadPoolExecutor(size) as pool:
            return list(pool.map(one, zip(rows, limits, strict=True)))

    return answer


def open_transformers(dtype: str) -> Callable[[Path, int], Answer]:
    """``generate`` of transformers in a precision: sorted by length, left padding."""

    def opened(folder: Path, threads: int) -> Answer:
        import torch
        from transformers import AutoModelForCausalLM

        torch.set_num_threads(threads)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()

        def answer(prompts: Sequence[Prompt], size: int) -> list[str]:
            rows, limits, tokenizer = _encoded(folder, prompts)
            answers = [""] * len(rows)
            order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
            for start in range(0, len(order), size):
                group = order[start : start + size]
                width = len(rows[group[0]])
                pads = torch.tensor([[width - len(rows[i])] for i in group])
                with torch.inference_mode():
                    output = model.generate(
                        input_ids=torch.tensor([[0] * (width - len(rows[i])) + rows[i]
                                                for i in group]),
                        attention_mask=(torch.arange(width) >= pads).long(),
                        max_new_tokens=max(limits[i] for i in group),
                        do_sample=False,
                    )  # fmt: skip
                for i, ids in zip(group, output[:, width:].tolist(), strict=True):
                    end = ids.index(1) if 1 in ids else len(ids)
                    answers[i] = tokenizer.decode(ids[: min(end, limits[i])])
            return answers

        return answer

    return opened


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
                _write_gguf(joined, lora, folder / "model.gguf")
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


def _write_gguf(path: Path, lora: Change, target: Path) -> None:
    """The packaged GGUF with only the kept rows; what the adapter changes becomes Q8_0.

    All other quantised blocks stay as they are.
    """
    import gguf
    import numpy as np

    reader, kept = gguf.GGUFReader(str(path)), shipped_kept_ids()
    new_id = {old: new for new, old in enumerate(kept)}
    writer = gguf.GGUFWriter(str(target), "gemma3")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = field.contents()
        if name.endswith("_token_id"):
            if value in new_id:
                writer.add_uint32(name, new_id[value])
        elif name.startswith("tokenizer.ggml.") and isinstance(value, list):
            writer.add_array(name, [value[i] for i in kept])
        elif isinstance(value, list):
            writer.add_array(name, value)
        else:
            writer.add_key_value(name, value, field.types[0])
    for tensor in reader.tensors:
        name, data, kind = hugging_face_name(tensor.name), tensor.data, tensor.tensor_type
        if name in lora.targets():
            kind = gguf.GGMLQuantizationType.Q8_0
            merged = lora.merged(name, gguf.quants.dequantize(data, tensor.tensor_type))
            data = gguf.quants.quantize(merged, kind)
        elif tensor.name == "token_embd.weight":
            data = data[np.asarray(kept)]
        writer.add_tensor(tensor.name, np.ascontiguousarray(data), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
