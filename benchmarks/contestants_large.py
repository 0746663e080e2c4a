"""The engines of the large model that engines.py compares, and the files that they run."""

from __future__ import annotations

import json
import re
import shutil
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from civilly.errors import ModelError
from civilly.model.adapter import CONFIG_FILE, WEIGHTS_FILE, load_change, weights_folder
from civilly.model.large import large_folder, large_training_folder
from civilly.model.large_source import REINSTALL, assemble_large
from civilly.model.qwen_source import QwenSource, qwen_name
from contestants import (
    Answer,
    Contestant,
    Encode,
    LineUp,
    encoded,
    generated,
    llama_cpp_parameters,
    served,
    write_gguf,
)

INT8_FORM, BESIDE_FORM, MERGED_FORM, FLOAT_FORM = "int8", "gguf", "gguf-merged", "bfloat16"
MODEL_FILE, LORA_FILE = "model.gguf", "adapter.gguf"
MODEL_LINK, ADAPTER_LINK = "model", "adapter"
SLOTS = (4, 8, 16)
"""Requests at a time that llama.cpp is tried with."""
SETS = {
    "avx2": "AVX2",
    "avx_vnni": "AVX-VNNI",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_int8": "AMX",
}
"""What Linux calls sets of instructions that these engines can use, and others do."""
PACKAGES = ("ctranslate2", "xllamacpp", "transformers", "torch", "peft")


def open_int8(folder: Path, threads: int) -> Answer:
    """What the engine ``large`` runs; it makes its own batches."""
    from civilly.engines.qwen import read_qwen
    from civilly.types import GenerationOptions

    model = read_qwen(folder, threads, "large")
    return lambda prompts, _: [
        made.text for (made,) in model.generate(prompts, GenerationOptions())
    ]


def open_llama_cpp(folder: Path, threads: int) -> Answer:
    """llama.cpp, with the adapter beside the model where the folder has it so."""
    import xllamacpp

    parameters = llama_cpp_parameters(folder / MODEL_FILE, max(SLOTS), threads)
    parameters.cache_ram_mib = 0  # what was read for a request is not kept for later ones
    # Not mapped: matrices that are laid out anew for the processor would count twice.
    parameters.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    if (folder / LORA_FILE).exists():
        beside = xllamacpp.CommonAdapterLoraInfo(str(folder / LORA_FILE), 1.0)
        parameters.lora_adapters = [beside]
    return served(parameters, _encode(folder))


def open_bfloat16(folder: Path, threads: int) -> Answer:
    """``generate`` of transformers, the adapter beside the model, as it was trained."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads)
    base = AutoModelForCausalLM.from_pretrained(folder / MODEL_LINK, dtype=torch.bfloat16)
    model = PeftModel.from_pretrained(base, str(folder / ADAPTER_LINK)).eval()
    encode = _encode(folder)
    _, _, tokenizer = encode(())
    pad, end = tokenizer.special[tokenizer.begin_piece], tokenizer.end
    model.generation_config.pad_token_id, model.generation_config.eos_token_id = pad, end
    return generated(model, encode, pad, end)


def _encode(folder: Path) -> Encode:
    """All read prompts with the tokenizer that ships."""
    from civilly.model.qwen_tokenizer import load_qwen_tokenizer

    tokenizer = load_qwen_tokenizer(folder.parent / INT8_FORM)
    return lambda prompts: encoded(tokenizer, prompts)


DEFAULT = "ctranslate2 int8"
BESIDE = "llama.cpp Q4_K_M, adapter beside"
MERGED = "llama.cpp Q4_K_M, adapter merged as Q8_0"
FLOAT = "transformers bfloat16, adapter beside"
LARGE = LineUp(
    {
        DEFAULT: Contestant(INT8_FORM, open_int8, exact=FLOAT),
        BESIDE: Contestant(BESIDE_FORM, open_llama_cpp, SLOTS, exact=FLOAT),
        MERGED: Contestant(MERGED_FORM, open_llama_cpp, SLOTS, exact=FLOAT),
        FLOAT: Contestant(FLOAT_FORM, open_bfloat16, (4, 8), slow=True, exact=FLOAT),
    },
    default=DEFAULT,
    exact="transformers bfloat16",
    quality=FLOAT,
    model="prompts of `tuned`, one adapter",
    output="engines_large.md",
    n=24,
    common=8,
    goals={},
    languages=("en", "es", "de", "fr", "it", "ru", "zh", "ja", "ar"),
)
"""The large model, on the languages that it knows."""


def prepare(work: Path, forms: set[str], adapter: Path) -> None:
    """Lays out what is not there yet: links to what the package has built, and GGUF files.

    Args:
        work: The folder of this adapter.
        forms: Those of the contestants; the default one's is always there, for its tokenizer.
        adapter: PEFT folder of a LoRA adapter, or a run folder with one.

    Raises:
        MissingExtraError, ModelError, CacheError: As `large_folder`.
    """
    adapter = weights_folder(adapter).resolve()
    _link(work / INT8_FORM, large_folder(adapter))
    if FLOAT_FORM in forms:
        (work / FLOAT_FORM).mkdir(exist_ok=True)
        _link(work / FLOAT_FORM / MODEL_LINK, large_training_folder())
        _link(work / FLOAT_FORM / ADAPTER_LINK, adapter)
    missing = [form for form in (BESIDE_FORM, MERGED_FORM)
               if form in forms and not (work / form).exists()]  # fmt: skip
    if not missing:
        return
    partial = work / "gguf.partial"
    shutil.rmtree(partial, ignore_errors=True)
    for form in missing:
        (partial / form).mkdir(parents=True)
    packaged = partial / BESIDE_FORM / MODEL_FILE
    if BESIDE_FORM in missing:
        assemble_large(packaged)
        write_lora(adapter, packaged, packaged.with_name(LORA_FILE))
    elif (work / BESIDE_FORM).exists():
        packaged = work / BESIDE_FORM / MODEL_FILE
    else:
        packaged = partial / MODEL_FILE
        assemble_large(packaged)
    if MERGED_FORM in missing:
        sys.stderr.write(f"preparing {MERGED_FORM}\n")
        write_merged(adapter, packaged, partial / MERGED_FORM / MODEL_FILE)
    for form in missing:
        (partial / form).rename(work / form)
    shutil.rmtree(partial)


def _link(link: Path, target: Path) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def write_merged(adapter: Path, model: Path, target: Path) -> None:
    """Merges an adapter into the packaged file; what it changes becomes Q8_0.

    Nothing in Python rounds to the kinds of Q4_K_M, and four bits of what was trained in sixteen
    would cost quality; with eight it is also what the default engine has.
    """
    write_gguf(model, load_change(adapter), target, lambda name: qwen_name(name, REINSTALL))


def write_lora(adapter: Path, model: Path, target: Path) -> None:
    """Writes a LoRA adapter as llama.cpp reads it, in the precision that its own file has.

    llama.cpp adds alpha / r · B A to a weight, as PEFT does.

    Args:
        adapter: PEFT folder.
        model: The GGUF file whose weights it changes.
        target: The file to write.

    Raises:
        ModelError: If it is no plain LoRA adapter of this model.
    """
    import gguf
    from safetensors.numpy import load_file

    config = json.loads((adapter / CONFIG_FILE).read_text("utf-8"))
    source = QwenSource(model, REINSTALL)
    gguf_names = {qwen_name(each.name, REINSTALL): each.name for each in source.file.tensors}
    alpha, rank = config["lora_alpha"], config["r"]
    writer = gguf.GGUFWriter(str(target), "qwen2")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha * (rank**0.5 if config.get("use_rslora") else 1))
    for name, factor in load_file(adapter / WEIGHTS_FILE).items():
        weight, kind, suffix = name.removeprefix("base_model.model.").rpartition(".lora_")
        letter, _, _ = suffix.partition(".")
        changed = gguf_names.get(f"{weight}.weight")
        if not kind or letter not in ("A", "B") or changed is None:
            raise ModelError(f"{name} in {adapter} is no LoRA of this model.")
        writer.add_tensor(f"{changed}.lora_{letter.lower()}", factor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def machine() -> str:
    """Versions, and the sets of instructions of the processor and of llama.cpp's package."""
    found = []
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    text = f"Versions: {', '.join(found)}."
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    has = flags[1].split() if flags else []
    text += f" The processor has {', '.join(SETS[flag] for flag in SETS if flag in has)}."
    with suppress(ImportError):
        import xllamacpp

        built = re.findall(r"(\w+) = 1", xllamacpp.get_system_info())
        text += f" llama.cpp as its package was built: {', '.join(built)}."
    return text
