"""A tiny random Qwen2 as the large model comes: a GGUF file, cut into 22 installed packages."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from civilly.model import cache, large, large_source
from civilly.model.large_source import PACKAGE, PART_FILE, PARTS
from civilly.model.qwen_format import rounded
from civilly.model.qwen_source import QwenArchitecture
from civilly.types import Prompt

SHAPE = QwenArchitecture(
    layers=3, width=32, feed_forward=64, heads=4, key_value_heads=2,
    context=256, norm_epsilon=2**-20, rope=1_000_000.0,
)  # fmt: skip
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>",
           "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")  # fmt: skip
USER_DEFINED = ("<tool_call>",)
UNUSED = ("[PAD1]", "[PAD2]")
TEXT_KIND, CONTROL_KIND, USER_DEFINED_KIND, UNUSED_KIND = 1, 3, 4, 5
WORDS = ("You", " are", " wrong", ".", " idiot", " stupid", "English", "Polite", "Rude", " the",
         " и", "ич", "文明", "!!", "!\n", "\n\n", "\n ", "  ", "12")  # fmt: skip
"""What the vocabulary has as one piece, also where Qwen's cuts never let it come about."""


def _letters() -> dict[int, str]:
    """The letter that stands for each byte in a byte-level BPE (Radford et al. 2019)."""
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in printed}
    others = [byte for byte in range(256) if byte not in letters]
    return letters | {byte: chr(256 + place) for place, byte in enumerate(others)}


LETTERS = _letters()


def merges() -> list[tuple[str, str]]:
    """The merges that make `WORDS`, byte by byte from the left."""
    made: dict[tuple[str, str], None] = {}
    for word in WORDS:
        spelt = "".join(LETTERS[byte] for byte in word.encode())
        for end in range(1, len(spelt)):
            made.setdefault((spelt[:end], spelt[end]))
    return list(made)


def vocabulary() -> tuple[list[str], list[int]]:
    """Spelling and GGUF kind of each id."""
    text = list(dict.fromkeys([*LETTERS.values(), *(left + right for left, right in merges())]))
    pieces = [*text, *CONTROL, *USER_DEFINED, *UNUSED]
    kinds = [TEXT_KIND] * len(text) + [CONTROL_KIND] * len(CONTROL)
    kinds += [USER_DEFINED_KIND] * len(USER_DEFINED) + [UNUSED_KIND] * len(UNUSED)
    return pieces, kinds


def _mean(name: str) -> float:
    """What weights of a name are about; the last norm makes the model sure of what it says."""
    return 3.0 if name == "model.norm.weight" else float("norm" in name)


OUTPUT = "lm_head.weight"
"""The output matrix of a model where it is not the input embedding."""


def weights(seed: int = 0, *, own_output: bool = False) -> dict[str, np.ndarray]:
    """Random weights of `SHAPE`, under Hugging Face names."""
    rng, s = np.random.default_rng(seed), SHAPE
    inner = s.width // s.heads * s.key_value_heads
    sizes: dict[str, tuple[int, ...]] = {
        "self_attn.q_proj.weight": (s.width, s.width),
        "self_attn.q_proj.bias": (s.width,),
        "self_attn.k_proj.weight": (inner, s.width),
        "self_attn.k_proj.bias": (inner,),
        "self_attn.v_proj.weight": (inner, s.width),
        "self_attn.v_proj.bias": (inner,),
        "self_attn.o_proj.weight": (s.width, s.width),
        "mlp.gate_proj.weight": (s.feed_forward, s.width),
        "mlp.up_proj.weight": (s.feed_forward, s.width),
        "mlp.down_proj.weight": (s.width, s.feed_forward),
        "input_layernorm.weight": (s.width,),
        "post_attention_layernorm.weight": (s.width,),
    }
    made: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (len(vocabulary()[0]), s.width),
        "model.norm.weight": (s.width,),
    }
    for layer in range(s.layers):
        made |= {f"model.layers.{layer}.{name}": size for name, size in sizes.items()}
    if own_output:
        made[OUTPUT] = made["model.embed_tokens.weight"]
    return {
        # bfloat16, which the training form has, holds them exactly.
        name: _bfloat16(rng.standard_normal(size) * 0.2 + _mean(name))
        for name, size in made.items()
    }


def _bfloat16(values: np.ndarray) -> np.ndarray:
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return (bits & np.uint32(0xFFFF0000)).view(np.float32)


GGUF_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
"""As llama.cpp names what transformers calls otherwise."""


def gguf_name(name: str) -> str:
    """The GGUF name of a weight."""
    if not name.startswith("model.layers."):
        return {"model.embed_tokens.weight": "token_embd.weight", OUTPUT: "output.weight",
                "model.norm.weight": "output_norm.weight"}[name]  # fmt: skip
    _, _, layer, rest = name.split(".", 3)
    kind, _, suffix = rest.rpartition(".")
    return f"blk.{layer}.{GGUF_NAMES[kind]}.{suffix}"


def write_gguf(
    path: Path,
    architecture: str = "qwen2",
    without: str = "",
    extra: Sequence[str] = (),
    output: str = "twice",
    made: Mapping[str, np.ndarray] | None = None,
    fields: Mapping[str, str | int] | None = None,
    rounding: str = "F32",
) -> Path:
    """Writes the model.

    Args:
        path: The file.
        architecture: What it calls itself.
        without: A field, or a tensor, to leave out.
        extra: Names of further tensors.
        output: ``twice``: the input embedding once more, finer than as input, as the publisher has
            it; ``own``: a matrix that is not the input embedding; ``none``: none.
        made: Weights by their Hugging Face names; default: `weights`.
        fields: Further fields.
        rounding: How GGUF calls what its matrices are rounded to.
    """
    import gguf

    writer, s = gguf.GGUFWriter(str(path), architecture), SHAPE
    pieces, kinds = vocabulary()
    usual: dict[str, tuple[Callable[[Any], None], Any]] = {
        "block_count": (writer.add_block_count, s.layers),
        "context_length": (writer.add_context_length, s.context),
        "embedding_length": (writer.add_embedding_length, s.width),
        "feed_forward_length": (writer.add_feed_forward_length, s.feed_forward),
        "head_count": (writer.add_head_count, s.heads),
        "head_count_kv": (writer.add_head_count_kv, s.key_value_heads),
        "rms_epsilon": (writer.add_layer_norm_rms_eps, s.norm_epsilon),
        "freq_base": (writer.add_rope_freq_base, s.rope),
        "model": (writer.add_tokenizer_model, "gpt2"),
        "tokens": (writer.add_token_list, pieces),
        "token_type": (writer.add_token_types, kinds),
        "merges": (writer.add_token_merges, [" ".join(pair) for pair in merges()]),
    }
    for name, value in (fields or {}).items():
        (writer.add_string if isinstance(value, str) else writer.add_uint32)(name, value)
    for name, (add, value) in usual.items():
        if name != without:
            add(value)
    made = weights(own_output=output == "own") if made is None else made
    tensors = {gguf_name(name): weight for name, weight in made.items()}
    coarse = np.round(tensors["token_embd.weight"] * 20) / 20  # correlation .997
    if output == "twice":
        tensors |= {"token_embd.weight": coarse, "output.weight": tensors["token_embd.weight"]}
    tensors |= dict.fromkeys(extra, coarse)
    kind = gguf.GGMLQuantizationType[rounding]
    for name, weight in tensors.items():
        if name != without and weight.ndim == 2:
            writer.add_tensor(name, gguf.quants.quantize(weight, kind), raw_dtype=kind)
        elif name != without:
            writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@dataclass(frozen=True, slots=True)
class Packages:
    """Where the 22 packages are installed, and what they hold together.

    Attributes:
        folder: To be put on the path of modules.
        sha256: Of the whole file.
        size: Its bytes.
    """

    folder: Path
    sha256: str
    size: int

    def part(self, number: int) -> Path:
        """The file of one package."""
        return self.folder / PART_FILE.format(number)

    def use(self, setattr_: Callable[[Any, str, Any], None] = setattr) -> None:
        """Lets this process find them before any others, and take them for the real ones."""
        setattr_(sys, "path", [str(self.folder), *sys.path])
        for module in (large_source, large):
            setattr_(module, "SHA256", self.sha256)
        setattr_(large_source, "BYTES", self.size)
        for name in ("RUNTIME_BYTES", "_SPACE_FOR_TRAINING"):
            setattr_(large, name, 1 << 20)


def install(folder: Path) -> Packages:
    """Lays the model out as installed packages; part 10 is not the one after part 1."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = write_gguf(folder / "whole.gguf")
    data = whole.read_bytes()
    whole.unlink()
    size = -(-len(data) // PARTS)
    for number in range(1, PARTS + 1):
        name = PACKAGE.format(number)
        described = folder / f"{name.replace('-', '_')}-0.2.0.dist-info"
        described.mkdir()
        (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.2.0")
        path = folder / PART_FILE.format(number)
        path.parent.mkdir(parents=True)
        path.write_bytes(data[(number - 1) * size : number * size])
    return Packages(folder, hashlib.sha256(data).hexdigest(), len(data))


def reference(folder: Path | None = None, made: Mapping[str, np.ndarray] | None = None) -> Any:
    """The same model in transformers: read from a folder, or made of weights, usually `weights`."""
    import torch
    from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

    if folder is not None:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    s, made = SHAPE, weights() if made is None else made
    config = Qwen2Config(
        vocab_size=len(vocabulary()[0]), hidden_size=s.width, intermediate_size=s.feed_forward,
        num_hidden_layers=s.layers, num_attention_heads=s.heads,
        num_key_value_heads=s.key_value_heads, max_position_embeddings=s.context,
        rms_norm_eps=s.norm_epsilon, tie_word_embeddings=OUTPUT not in made,
        rope_parameters={"rope_type": "default", "rope_theta": s.rope},
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).eval()
    found = model.load_state_dict(
        {name: torch.from_numpy(weight) for name, weight in made.items()}, strict=False
    )
    assert found.missing_keys in ([], [OUTPUT])
    assert not found.unexpected_keys
    model.tie_weights()
    return model


def eight_bits(model: Any) -> Any:
    """A model of transformers with its matrices rounded row by row, as the built form has them."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():  # an output matrix that is the input one comes once
            if weight.ndim == 2:
                eight, scale = rounded(weight.numpy())
                weight.copy_(torch.from_numpy(eight / scale[:, None]))
    return model


def by_hand(model: Any, tokenizer: Any, prompt: Prompt, text: str) -> float:
    """Mean log probability per token of a text after a prompt, by a model of transformers."""
    import torch

    (head,), tail = tokenizer.encode_prompts([prompt]), tokenizer.encode(text)
    with torch.inference_mode():
        logits = model(torch.tensor([head + tail])).logits[0]
    found = torch.log_softmax(logits, -1)
    return float(np.mean([float(found[len(head) + k - 1, t]) for k, t in enumerate(tail)]))


def teach(model: Any, lessons: Sequence[tuple[Sequence[int], Sequence[int]]]) -> None:
    """Trains what of a model is to be trained until it answers each prompt as wished, by ids."""
    import torch

    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-2)
    for _ in range(300):
        losses = [
            model(
                input_ids=torch.tensor([[*prompt, *answer]]),
                labels=torch.tensor([[-100] * len(prompt) + [*answer]]),
            ).loss
            for prompt, answer in lessons
        ]
        sum(losses).backward()
        optimiser.step()
        optimiser.zero_grad()
        if max(loss.item() for loss in losses) < 0.05:
            return
    raise AssertionError(f"not learnt: {losses}")


def linked_cache(folder: Path) -> Path:
    """A cache that holds what is built of other models; what is built of these, it gets itself."""
    folder.mkdir()
    for build in cache.builds():
        if "large" not in build.name and "gguf" not in build.name:
            (folder / build.name).symlink_to(build)
    return folder


def as_gguf_reads(rounding: str, **kinds: Any) -> dict[str, Any]:
    """The weights (`weights`) as gguf reads them from a file with matrices of that rounding."""
    import gguf

    kind = gguf.GGMLQuantizationType[rounding]
    return {
        name: gguf.quants.dequantize(gguf.quants.quantize(weight, kind), kind)
        if weight.ndim == 2
        else weight
        for name, weight in weights(**kinds).items()
    }
