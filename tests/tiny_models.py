"""Makes and saves tiny random models with real tokenizers, for tests without a network.

Run as a script, it writes one model: ``python tests/tiny_models.py gemma folder``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SENTENCES = (
    "You people never read the article before you comment.",
    "Que gente tan maleducada hay en este foro, de verdad.",
    "Этот человек опять ничего не понял, почитай сначала статью.",
    "Rude: this is a stupid idea\nPolite: this is not a good idea\n\n",
    "把粗鲁的句子改写成文明的句子，保留原意。",
    "أعد صياغة النص المسيء بأدب مع الحفاظ على المعنى.",
    "The quick brown fox jumps over the lazy dog, 0123456789 times!",
)
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>"]
SENTINELS = ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"]
DECODER = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip
ENCODER_DECODER = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<turn>{{ m['role'] }}\n{{ m['content'] }}</turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<turn>model\n{% endif %}"
)


def byte_level_tokenizer(folder: Path) -> None:
    """A byte-level BPE as code models have it: control tokens outside the merges.

    The FIM sentinels are added as *plain* tokens, as some code models have them.
    """
    from tokenizers import (
        AddedToken,
        Tokenizer,
        decoders,
        models,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        SENTENCES * 3,
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
        ),
    )
    tokenizer.add_tokens([AddedToken(each, special=False, normalized=False) for each in SENTINELS])
    tokenizer.add_special_tokens(["<turn>", "</turn>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
    ).save_pretrained(folder)


def in_order(tokenizer: Any, special: int) -> Any:
    """A trained unigram whose pieces have the same scores and order at every training.

    The trainer works in the order of a hash table: the last digits of scores are chance, and so is
    which single characters, that it must have, get the lower ones.

    Args:
        tokenizer: The tokenizer.
        special: How many pieces at the beginning stay where they are.
    """
    from tokenizers import Tokenizer

    data = json.loads(tokenizer.to_str())
    fixed, pieces = data["model"]["vocab"][:special], data["model"]["vocab"][special:]
    longer = [[piece, round(score, 6)] for piece, score in pieces if len(piece) > 1]
    least = min(score for _, score in longer) - 1
    pieces = [*longer, *([piece, least] for piece, _ in pieces if len(piece) == 1)]
    data["model"]["vocab"] = [*fixed, *sorted(pieces, key=lambda row: (-row[1], row[0]))]
    return Tokenizer.from_str(json.dumps(data))


def unigram_tokenizer(folder: Path) -> None:
    """A SentencePiece-like unigram with T5's layout: ``</s>`` is a piece that text can match."""
    from tokenizers import (
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(
        SENTENCES * 3,
        trainers.UnigramTrainer(
            vocab_size=220, special_tokens=special, unk_token="<unk>", show_progress=False
        ),
    )
    tokenizer = in_order(tokenizer, len(special))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)


def _vocabulary_size(folder: Path) -> int:
    from transformers import AutoTokenizer

    return len(AutoTokenizer.from_pretrained(folder))


def _causal(folder: Path, architecture: str, seed: int, **settings: Any) -> Path:
    """A random model ``{architecture}ForCausalLM`` beside its byte-level tokenizer."""
    byte_level_tokenizer(folder)
    settings = {**DECODER, "max_position_embeddings": 512, "bos_token_id": 2, **settings}
    config = "Gemma3TextConfig" if architecture == "Gemma3" else f"{architecture}Config"
    return _random(folder, f"{architecture}ForCausalLM", config, seed, settings)


def _encoder_decoder(folder: Path, architecture: str, seed: int, **settings: Any) -> Path:
    """A random model ``{architecture}ForConditionalGeneration`` beside its tokenizer."""
    unigram_tokenizer(folder)
    settings = {**ENCODER_DECODER, "decoder_start_token_id": 0, **settings}
    name = f"{architecture}ForConditionalGeneration"
    return _random(folder, name, f"{architecture}Config", seed, settings)


def _random(folder: Path, model: str, config: str, seed: int, settings: dict[str, Any]) -> Path:
    import torch
    import transformers

    torch.manual_seed(seed)
    made = getattr(transformers, config)(
        vocab_size=_vocabulary_size(folder), pad_token_id=0, eos_token_id=1, **settings
    )
    getattr(transformers, model)(made).save_pretrained(folder)
    return folder


def gemma(folder: Path) -> Path:
    """A tiny random Gemma 3."""
    return _causal(folder, "Gemma3", 1, head_dim=8, sliding_window=64, initializer_range=0.3)


def gemma2(folder: Path, layers: int = 2) -> Path:
    """A tiny random Gemma 2."""
    shape = {"head_dim": 8, "sliding_window": 64, "num_hidden_layers": layers}
    return _causal(folder, "Gemma2", 8, **shape, initializer_range=0.3)


def gemma_chat(folder: Path) -> Path:
    """The same, with a chat template."""
    from transformers import AutoTokenizer

    gemma(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


def llama(folder: Path) -> Path:
    """A tiny random Llama whose own generation defaults are unhelpful on purpose."""
    from transformers import GenerationConfig

    _causal(folder, "Llama", 2, initializer_range=0.3)
    GenerationConfig(
        do_sample=True,
        temperature=0.6,
        top_p=0.5,
        repetition_penalty=3.0,
        max_length=20,
        eos_token_id=1,
        bos_token_id=2,
        pad_token_id=0,
    ).save_pretrained(folder)
    return folder


def t5(folder: Path) -> Path:
    """A tiny random T5."""
    return _encoder_decoder(folder, "T5", 3, initializer_factor=2.0)


def mt5(folder: Path) -> Path:
    """A tiny random mT5, the architecture of mT0: gated GELU, output not tied to the input."""
    return _encoder_decoder(folder, "MT5", 5)


def qwen3(folder: Path) -> Path:
    """A tiny random Qwen3."""
    return _causal(folder, "Qwen3", 6, head_dim=8)


def gemma3_with_vision(folder: Path) -> Path:
    """A tiny random Gemma 3 of the large sizes: a text model beside a vision tower."""
    import torch
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    byte_level_tokenizer(folder)
    torch.manual_seed(7)
    config = Gemma3Config(
        text_config={
            **DECODER, "vocab_size": _vocabulary_size(folder),
            "head_dim": 8, "sliding_window": 64, "max_position_embeddings": 512,
        },
        vision_config={
            "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
            "num_attention_heads": 2, "image_size": 28, "patch_size": 14,
        },
        mm_tokens_per_image=4,
        pad_token_id=0, eos_token_id=1, bos_token_id=2,
    )  # fmt: skip
    Gemma3ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def adapter(base: Path, folder: Path, seed: int = 4) -> Path:
    """A LoRA adapter of a tiny causal model, with weights strong enough to change its text."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"]),
    )
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.3)
    model.save_pretrained(folder)
    return folder


MODELS = {
    "gemma": gemma, "gemma2": gemma2, "gemma_chat": gemma_chat,
    "gemma3_with_vision": gemma3_with_vision, "llama": llama, "mt5": mt5, "qwen3": qwen3, "t5": t5,
}  # fmt: skip

if __name__ == "__main__":
    kind, target = sys.argv[1:]
    MODELS[kind](Path(target))
