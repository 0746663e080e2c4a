"""Makes and saves a tiny random model of each fill-in-the-middle family, as its hub folder is.

The architecture, the kind of tokenizer, its control tokens (and whether they count as special) and
the classes that the folder names are the family's; sizes and vocabularies are tiny. Run as a script
it writes one: ``python tests/tiny_fim_models.py starcoder2 folder``.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

SENTENCES = (
    "You people never read the article before you comment.",
    "Que gente tan maleducada hay en este foro, de verdad.",
    "Ihr seid wirklich alle unfreundlich zu diesem Menschen hier.",
    "Этот человек опять ничего не понял, почитай сначала статью.",
    "Ця людина знову нічого не зрозуміла, почитай спочатку статтю.",
    "把粗鲁的句子改写成文明的句子，保留原意。",
    "أعد صياغة النص المسيء بأدب مع الحفاظ على المعنى.",
    "यह आदमी फिर से कुछ नहीं समझा, पहले लेख पढ़ो।",
    "The quick brown fox jumps over the lazy dog, 0123456789 times!",
)
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
LLAMA_SIZES = {
    **SIZES, "intermediate_size": 64, "num_key_value_heads": 2, "max_position_embeddings": 1024,
}  # fmt: skip
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_level(splits: list, controls: list[AddedToken], normalizer=None, begin=None) -> Tokenizer:
    """A byte-level BPE: StarCoder's, DeepSeek-Coder's and Qwen's kind."""
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=len(splits) < 2)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*splits, level])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    tokenizer.add_tokens(controls)
    if begin:
        opening = [(begin, tokenizer.token_to_id(begin))]
        tokenizer.post_processor = TemplateProcessing(single=f"{begin} $A", special_tokens=opening)
    return tokenizer


def sentence_piece(specials: list[str], controls: list[AddedToken], kind: str) -> Tokenizer:
    """A BPE over ``▁`` with bytes to fall back on: as Llama's, Mistral's or Gemma's is converted.

    Args:
        specials: The first pieces; the vocabulary knows them, and they are special tokens.
        controls: Added tokens.
        kind: ``llama`` puts ``▁`` before the first word, ``mistral`` before every text it is
            handed (the older conversion), ``gemma`` before none.
    """
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.Replace(" ", "▁")
    learner.pre_tokenizer = pre_tokenizers.Split(Regex("▁"), "merged_with_next")
    learner.train_from_iterator(SENTENCES * 3, BpeTrainer(vocab_size=400, show_progress=False))
    learned = json.loads(learner.to_str())["model"]
    pieces = [*specials, *(f"<0x{byte:02X}>" for byte in range(256)), *learned["vocab"]]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: number for number, piece in enumerate(dict.fromkeys(pieces))},
            merges=[tuple(pair) for pair in learned["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if kind == "llama":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
    elif kind == "mistral":
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    else:
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    strip = [] if kind == "gemma" else [decoders.Strip(content=" ", left=1)]
    tokenizer.decoder = decoders.Sequence([*steps, *strip])
    tokenizer.add_special_tokens(specials)
    tokenizer.add_tokens(controls)
    begin = "<bos>" if kind == "gemma" else "<s>"
    tokenizer.post_processor = TemplateProcessing(
        single=f"{begin} $A", special_tokens=[(begin, tokenizer.token_to_id(begin))]
    )
    return tokenizer


def control(*spellings: str, special: bool = True) -> list[AddedToken]:
    return [AddedToken(each, special=special, normalized=False) for each in spellings]


def save(folder: Path, tokenizer: Tokenizer, tokenizer_class: str, **names: str) -> dict[str, int]:
    """Writes the tokenizer's files as a hub folder has them; returns the vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": tokenizer_class, **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return tokenizer.get_vocab()


def keep(folder: Path, model_class: str, config) -> Path:
    """Writes a random model; weights so large that its texts are not all alike."""
    import torch
    import transformers

    torch.manual_seed(11)
    config.initializer_range = 0.3
    model = getattr(transformers, model_class)(config)
    model.save_pretrained(folder)
    return folder


BIGCODE = ("<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>")
FIRST = (
    *BIGCODE, "<filename>", "<gh_stars>", "<issue_start>", "<issue_comment>", "<issue_closed>",
    "<jupyter_start>", "<jupyter_text>", "<jupyter_code>", "<jupyter_output>", "<empty_output>",
    "<commit_before>", "<commit_msg>", "<commit_after>", "<reponame>",
)  # fmt: skip
SECOND = (*BIGCODE, "<repo_name>", "<file_sep>", "<issue_start>", "<jupyter_start>", "<pr>")


def _bigcode(folder: Path, controls: tuple[str, ...]) -> dict[str, int]:
    digits = pre_tokenizers.Digits(individual_digits=True)
    end = {name: "<|endoftext|>" for name in ("bos_token", "eos_token", "unk_token")}
    return save(folder, byte_level([digits], control(*controls)), "GPT2Tokenizer", **end)


def starcoder(folder: Path) -> Path:
    from transformers import GPTBigCodeConfig

    ids = _bigcode(folder, FIRST)
    end = ids["<|endoftext|>"]
    config = GPTBigCodeConfig(
        vocab_size=len(ids), n_positions=1024, n_embd=32, n_layer=2, n_head=4, n_inner=64,
        multi_query=True, bos_token_id=end, eos_token_id=end, attn_pdrop=0.0, embd_pdrop=0.0,
        resid_pdrop=0.0,
    )  # fmt: skip
    return keep(folder, "GPTBigCodeForCausalLM", config)


def starcoder2(folder: Path) -> Path:
    from transformers import Starcoder2Config

    ids = _bigcode(folder, SECOND)
    end = ids["<|endoftext|>"]
    config = Starcoder2Config(
        vocab_size=len(ids), bos_token_id=end, eos_token_id=end, sliding_window=64, **LLAMA_SIZES
    )
    return keep(folder, "Starcoder2ForCausalLM", config)


def codellama(folder: Path) -> Path:
    from transformers import LlamaConfig

    added = control("▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>", "<FILL_ME>")
    tokenizer = sentence_piece(["<unk>", "<s>", "</s>"], added, "llama")
    ids = save(
        folder, tokenizer, "CodeLlamaTokenizer",
        bos_token="<s>", eos_token="</s>", unk_token="<unk>",
    )  # fmt: skip
    config = LlamaConfig(vocab_size=len(ids), bos_token_id=1, eos_token_id=2, **LLAMA_SIZES)
    return keep(folder, "LlamaForCausalLM", config)


def deepseek_coder(folder: Path) -> Path:
    """Its control tokens for holes are added as *plain* tokens."""
    from transformers import LlamaConfig

    begin, end = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
    fim = control("<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>", special=False)
    splits = [
        pre_tokenizers.Split(Regex(r"[\r\n]"), "isolated"),
        pre_tokenizers.Split(Regex(r"\s?\p{L}+"), "isolated"),
        pre_tokenizers.Split(Regex(r"\s?\p{P}+"), "isolated"),
        pre_tokenizers.Digits(individual_digits=True),
    ]
    tokenizer = byte_level(splits, [*control(begin, end), *fim], begin=begin)
    ids = save(
        folder, tokenizer, "LlamaTokenizerFast", bos_token=begin, eos_token=end, pad_token=end
    )
    config = LlamaConfig(
        vocab_size=len(ids), bos_token_id=ids[begin], eos_token_id=ids[end], **LLAMA_SIZES
    )
    return keep(folder, "LlamaForCausalLM", config)


def codestral(folder: Path) -> Path:
    from transformers import MistralConfig

    controls = ["[INST]", "[/INST]", "[TOOL_CALLS]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]"]
    tokenizer = sentence_piece(["<unk>", "<s>", "</s>", *controls], [], "mistral")
    ids = save(
        folder, tokenizer, "LlamaTokenizer", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    config = MistralConfig(
        vocab_size=len(ids), bos_token_id=1, eos_token_id=2, sliding_window=None, **LLAMA_SIZES
    )
    return keep(folder, "MistralForCausalLM", config)


def qwen(folder: Path) -> Path:
    """Its tokenizer composes characters (NFC), and its control tokens for holes are plain."""
    from transformers import Qwen2Config

    piped = ("fim_prefix", "fim_middle", "fim_suffix", "fim_pad", "repo_name", "file_sep")
    added = [
        *control("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        *control(*(f"<|{each}|>" for each in piped), special=False),
    ]
    splits = [pre_tokenizers.Split(Regex(QWEN_SPLIT), "isolated")]
    tokenizer = byte_level(splits, added, normalizer=normalizers.NFC())
    end = "<|endoftext|>"
    ids = save(folder, tokenizer, "Qwen2Tokenizer", eos_token=end, pad_token=end)
    config = Qwen2Config(
        vocab_size=len(ids), bos_token_id=ids[end], eos_token_id=ids[end], **LLAMA_SIZES
    )
    return keep(folder, "Qwen2ForCausalLM", config)


def codegemma(folder: Path) -> Path:
    from transformers import GemmaConfig

    piped = ("fim_prefix", "fim_suffix", "fim_middle", "file_separator")
    added = control(*(f"<|{each}|>" for each in piped), special=False)
    tokenizer = sentence_piece(["<pad>", "<eos>", "<bos>", "<unk>"], added, "gemma")
    ids = save(
        folder, tokenizer, "GemmaTokenizer",
        bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>",
    )  # fmt: skip
    config = GemmaConfig(
        vocab_size=len(ids), head_dim=8, pad_token_id=0, eos_token_id=1, bos_token_id=2,
        **LLAMA_SIZES,
    )  # fmt: skip
    return keep(folder, "GemmaForCausalLM", config)


FAMILIES = {
    "starcoder": starcoder, "starcoder2": starcoder2, "codellama": codellama,
    "deepseek-coder": deepseek_coder, "codestral": codestral, "qwen2.5-coder": qwen,
    "codegemma": codegemma,
}  # fmt: skip


@cache
def folders(root: Path) -> dict[str, Path]:
    """All of them under one folder, by family."""
    return {name: make(root / name) for name, make in FAMILIES.items()}


if __name__ == "__main__":
    kind, target = sys.argv[1:]
    FAMILIES[kind](Path(target))
