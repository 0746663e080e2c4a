"""Makes and saves tiny random T5, mT5, BERT and XLM-RoBERTa models with tokenizers of their kind.

Run as a script it writes one: ``python tests/tiny_infill_models.py mt5 folder``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import UnigramTrainer, WordPieceTrainer

from tiny_fim_models import SENTENCES
from tiny_models import in_order

SENTINELS = [f"<extra_id_{number}>" for number in range(5)]


def _write(folder: Path, tokenizer: Tokenizer, tokenizer_class: str, **names) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": tokenizer_class, **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return tokenizer.get_vocab_size()


def _unigram(special: list[str], unknown: str, frame: str, last: list[str] = ()) -> Tokenizer:
    """SentencePiece's unigram as it is converted for T5 and XLM-RoBERTa."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    trainer = UnigramTrainer(
        vocab_size=420, special_tokens=special, unk_token=unknown, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    tokenizer = in_order(tokenizer, len(special))
    if last:  # pieces of the vocabulary, as mT5 has its sentinels
        data = json.loads(tokenizer.to_str())
        data["model"]["vocab"] += [[piece, 0.0] for piece in last]
        tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = TemplateProcessing(
        single=frame,
        special_tokens=[
            (each, tokenizer.token_to_id(each)) for each in frame.split() if each != "$A"
        ],
    )
    return tokenizer


def _t5_config(size: int, kind: str):
    import transformers

    return getattr(transformers, f"{kind}Config")(
        vocab_size=size, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
    )  # fmt: skip


def _save(folder: Path, model_class: str, config) -> Path:
    import torch
    import transformers

    torch.manual_seed(21)
    getattr(transformers, model_class)(config).save_pretrained(folder)
    return folder


def t5(folder: Path) -> Path:
    """Its sentinels are added special tokens."""
    tokenizer = _unigram(["<pad>", "</s>", "<unk>"], "<unk>", "$A </s>")
    tokenizer.add_special_tokens([AddedToken(each, special=True) for each in SENTINELS])
    size = _write(
        folder, tokenizer, "T5Tokenizer", pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        extra_ids=len(SENTINELS), additional_special_tokens=SENTINELS,
    )  # fmt: skip
    return _save(folder, "T5ForConditionalGeneration", _t5_config(size, "T5"))


def mt5(folder: Path) -> Path:
    """Its sentinels are pieces of the vocabulary that no list of special tokens names."""
    pieces = [f"▁{each}" for each in reversed(SENTINELS)]
    tokenizer = _unigram(["<pad>", "</s>", "<unk>"], "<unk>", "$A </s>", pieces)
    size = _write(
        folder, tokenizer, "T5Tokenizer", pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        extra_ids=0,
    )  # fmt: skip
    return _save(folder, "MT5ForConditionalGeneration", _t5_config(size, "MT5"))


def bert(folder: Path) -> Path:
    """A WordPiece with letters of its own case."""
    from transformers import BertConfig

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    trainer = WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    size = _write(
        folder, tokenizer, "BertTokenizer", do_lower_case=False, mask_token="[MASK]",
        pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
    )  # fmt: skip
    config = BertConfig(
        vocab_size=size, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=96,
    )  # fmt: skip
    return _save(folder, "BertForMaskedLM", config)


def xlm_roberta(folder: Path) -> Path:
    from transformers import XLMRobertaConfig

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = _unigram(special, "<unk>", "<s> $A </s>")
    size = _write(
        folder, tokenizer, "XLMRobertaTokenizer", mask_token="<mask>", pad_token="<pad>",
        unk_token="<unk>", bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>",
    )  # fmt: skip
    config = XLMRobertaConfig(
        vocab_size=size, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=98, type_vocab_size=1, pad_token_id=1,
        bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    return _save(folder, "XLMRobertaForMaskedLM", config)


MODELS = {"t5": t5, "mt5": mt5, "bert": bert, "xlm_roberta": xlm_roberta}

if __name__ == "__main__":
    kind, target = sys.argv[1:]
    MODELS[kind](Path(target))
