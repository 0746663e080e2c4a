"""Compares engines and precisions on real inputs, each in a process of its own.

Usage: python benchmarks/engines.py --data ../shared/data [--n 1000] [--only NAME …]

Every contestant gets the same prompts (the tuned adapter's), greedy, and writes its sentences per
second alone and in batches, start-up, peak memory and outputs. The report gives ratios within this
one run, and how often outputs agree with float32.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from civilly.data.pairs import read_inputs
from civilly.model.adapter import Adapter, shipped_adapter
from civilly.model.build import embedded_folder, load_text_tokenizer, write_hugging_face
from civilly.model.ctranslate2_format import write_ctranslate2
from civilly.model.source import SourceModel, assemble_packaged
from civilly.model.tokenizer import TextTokenizer, build_tokenizer, merges_of
from civilly.model.vocabulary import shipped_kept_ids
from civilly.rewrite.tuned_prompt import MAX_GROWTH, tuned_prompt
from civilly.types import Text

Decode = Callable[[Sequence[list[int]], Sequence[int]], list[list[int]]]
RESULTS = Path(__file__).parent / "results"


def inputs(data: Path, n: int) -> list[Text]:
    """``n`` official inputs, drawn with seed 0."""
    rows = read_inputs(data / "inputs/textdetox2025_test.tsv")
    random.Random(0).shuffle(rows)
    return rows[:n]


def prepare(folder: Path) -> None:
    """Writes every model form that is compared, with the shipped adapter merged."""
    joined = folder / "packaged.gguf"
    assemble_packaged(joined)
    source, lora = SourceModel(joined), Adapter(shipped_adapter("tuned"))
    for name, kept in (("trimmed", shipped_kept_ids()), ("full", None)):
        ids = range(len(source.vocabulary.pieces)) if kept is None else kept
        vocabulary = source.vocabulary.restricted_to(list(ids))
        weights = {k: lora.merged(k, w) for k, w in source.weights(kept)}
        shape, pieces = source.architecture, vocabulary.pieces
        for precision in ("int8", "float32") if kept else ("int8",):
            write_ctranslate2(weights, shape, pieces, folder / f"ct2-{precision}-{name}", precision)
        (folder / f"hf-{name}").mkdir()
        write_hugging_face(weights, shape, pieces, folder / f"hf-{name}")
        merges = merges_of(pieces, vocabulary.scores, vocabulary.atomic)
        build_tokenizer(pieces, merges).save(str(folder / f"hf-{name}/tokenizer.json"))
    _write_trimmed_gguf(joined, folder / "trimmed.gguf")


def _write_trimmed_gguf(path: Path, target: Path) -> None:
    """The packaged GGUF with only the kept rows; the quantised blocks stay as they are."""
    import gguf
    import numpy as np

    reader, kept = gguf.GGUFReader(str(path)), shipped_kept_ids()
    writer = gguf.GGUFWriter(str(target), "gemma3")
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = field.contents()
        if name.startswith("tokenizer.ggml.") and isinstance(value, list):
            writer.add_array(name, [value[i] for i in kept])
        elif isinstance(value, list):
            writer.add_array(name, value)
        else:
            writer.add_key_value(name, value, field.types[0])
    for tensor in reader.tensors:
        rows = tensor.data[kept] if tensor.name == "token_embd.weight" else tensor.data
        writer.add_tensor(tensor.name, np.ascontiguousarray(rows), raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def open_ctranslate2(folder: Path, threads: int) -> Decode:
    """CTranslate2, batched as the embedded engine does."""
    import ctranslate2

    from civilly.engines.embedded import like_lengths

    generator = ctranslate2.Generator(
        str(folder), device="cpu", inter_threads=threads, intra_threads=1
    )
    pieces = json.loads((folder / "vocabulary.json").read_text("utf-8"))

    def decode(prompts: Sequence[list[int]], limits: Sequence[int]) -> list[list[int]]:
        answers: list[list[int]] = [[] for _ in prompts]
        batches = list(like_lengths([len(p) for p in prompts]))
        running = [
            generator.generate_batch(
                [[pieces[t] for t in prompts[i]] for i in group],
                max_length=max(limits[i] for i in group),
                include_prompt_in_result=False,
                asynchronous=True,
            )
            for group in batches
        ]
        for group, outputs in zip(batches, running, strict=True):
            for i, output in zip(group, outputs, strict=True):
                answers[i] = list(output.result().sequences_ids[0])
        return answers

    return decode


def open_llama_cpp(path: Path, slots: int, threads: int) -> Decode:
    """llama.cpp through xllamacpp: a thread per slot, continuous batching, no adapter."""
    from concurrent.futures import ThreadPoolExecutor

    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_parallel, parameters.n_ctx = slots, slots * 768
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    parameters.warmup = False
    server = xllamacpp.Server(parameters)

    def one(job: tuple[list[int], int]) -> list[int]:
        prompt, limit = job
        reply = server.handle_completions(
            {"prompt": prompt, "max_tokens": limit, "n_predict": limit, "temperature": 0.0,
             "return_tokens": True, "cache_prompt": False}
        )  # fmt: skip
        return list(reply.get("tokens") or reply["choices"][0].get("tokens") or [])

    def decode(prompts: Sequence[list[int]], limits: Sequence[int]) -> list[list[int]]:
        with ThreadPoolExecutor(slots) as pool:
            return list(pool.map(one, zip(prompts, limits, strict=True)))

    return decode


def open_transformers(folder: Path, batch: int, dtype: str, threads: int) -> Decode:
    """Hugging Face ``generate``, sorted by length, left padding."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()

    def decode(prompts: Sequence[list[int]], limits: Sequence[int]) -> list[list[int]]:
        answers: list[list[int]] = [[] for _ in prompts]
        order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
        for start in range(0, len(order), batch):
            group = order[start : start + batch]
            width = max(len(prompts[i]) for i in group)
            ids = torch.tensor([[0] * (width - len(prompts[i])) + prompts[i] for i in group])
            with torch.inference_mode():
                output = model.generate(
                    input_ids=ids,
                    attention_mask=(torch.arange(width) >= torch.tensor(
                        [[width - len(prompts[i])] for i in group])).long(),
                    max_new_tokens=max(limits[i] for i in group),
                    do_sample=False,
                )  # fmt: skip
            for i, row in zip(group, output[:, width:].tolist(), strict=True):
                answers[i] = row[: row.index(1)] if 1 in row else row
        return answers

    return decode


def _hf(name: str, batch: int, dtype: str) -> tuple[str, Callable[[Path, int], Decode]]:
    return name, lambda folder, threads: open_transformers(
        folder / f"hf-{name}", batch, dtype, threads
    )


def _ct2(name: str, precision: str) -> tuple[str, Callable[[Path, int], Decode]]:
    return name, lambda folder, threads: open_ctranslate2(
        folder / f"ct2-{precision}-{name}", threads
    )


def _llama(slots: int) -> tuple[str, Callable[[Path, int], Decode]]:
    return "trimmed", lambda folder, threads: open_llama_cpp(
        folder / "trimmed.gguf", slots, threads
    )


CONTESTANTS: dict[str, tuple[str, Callable[[Path, int], Decode]]] = {
    "ctranslate2 int8 trimmed": _ct2("trimmed", "int8"),
    "ctranslate2 float32 trimmed": _ct2("trimmed", "float32"),
    "ctranslate2 int8 full": _ct2("full", "int8"),
    "llama.cpp trimmed, 16 slots": _llama(16),
    "transformers float32 full, batch 16": _hf("full", 16, "float32"),
    "transformers float32 full, batch 64": _hf("full", 64, "float32"),
    "transformers float32 trimmed, batch 64": _hf("trimmed", 64, "float32"),
    "transformers bfloat16 trimmed, batch 64": _hf("trimmed", 64, "bfloat16"),
}


def work(name: str, folder: Path, rows: Sequence[Text], threads: int) -> dict[str, Any]:
    """Runs one contestant in this process."""
    kind, opener = CONTESTANTS[name]
    tokenizer: TextTokenizer = load_text_tokenizer(folder / f"hf-{kind}")
    prompts = tokenizer.encode_prompts([tuned_prompt(row.text, row.lang) for row in rows])
    limits = [int(MAX_GROWTH * len(ids)) for ids in prompts]
    began = time.perf_counter()
    decode = opener(folder, threads)
    decode(prompts[:1], limits[:1])
    started = time.perf_counter() - began
    alone = min(20, len(rows))
    began = time.perf_counter()
    for i in range(alone):
        decode([prompts[i]], [limits[i]])
    alone_rate = alone / (time.perf_counter() - began)
    began = time.perf_counter()
    answers = decode(prompts, limits)
    rate = len(rows) / (time.perf_counter() - began)
    return {
        "name": name, "start_s": started, "alone": alone_rate, "batch": rate,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "outputs": [tokenizer.decode(ids) for ids in answers],
    }  # fmt: skip


def report(runs: Sequence[dict[str, Any]], n: int) -> str:
    """The Markdown table; agreement is with CTranslate2 float32."""
    exact = next((r["outputs"] for r in runs if r["name"] == "ctranslate2 float32 trimmed"), None)
    base = next((r["batch"] for r in runs if r["name"].startswith("transformers float32 full")), 0)
    base = max([r["batch"] for r in runs if r["name"].startswith("transformers float32 full")],
               default=base)  # fmt: skip
    lines = [
        f"n = {n} official inputs over 15 languages (seed 0), greedy, the `tuned` adapter merged "
        "(llama.cpp: plain model), all in one run on the same machine.",
        "",
        "| engine | sentences/s, batch | ratio | sentences/s, alone | start (s) | peak memory (MB) "
        "| same output as float32 |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in runs:
        same = sum(a == b for a, b in zip(r["outputs"], exact, strict=True)) / n if exact else None
        ratio = f"{r['batch'] / base:.2f}" if base else "–"
        agreement = "–" if same is None else f"{same:.1%}"
        lines.append(
            f"| {r['name']} | {r['batch']:.2f} | {ratio} | {r['alone']:.2f} | {r['start_s']:.2f} "
            f"| {r['peak_mb']:.0f} | {agreement} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=list(CONTESTANTS))
    parser.add_argument("--worker")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    rows = inputs(arguments.data, arguments.n)
    if arguments.worker:
        run = work(arguments.worker, arguments.folder, rows, arguments.threads)
        sys.stdout.write("\n" + json.dumps(run) + "\n")
        return
    embedded_folder(shipped_adapter("tuned"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        if not (folder / "trimmed.gguf").exists():
            prepare(folder)
        runs = []
        for name in arguments.only:
            command = [sys.executable, __file__, "--worker", name, "--folder", str(folder),
                       "--data", str(arguments.data), "--n", str(arguments.n),
                       "--threads", str(arguments.threads)]  # fmt: skip
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            runs.append(json.loads(output.strip().splitlines()[-1]))
            sys.stderr.write(f"{name}: {runs[-1]['batch']:.2f} sentences/s\n")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "engines.md").write_text(report(runs, len(rows)), "utf-8")


if __name__ == "__main__":
    main()
