"""The tokenizer of Qwen2 models: byte-level BPE, on the `tokenizers` library."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE

from civilly.model.qwen_source import BEGIN, END, TEXT, QwenSource
from civilly.model.tokenizer import TextTokenizer, without_surrogates

TOKENIZER_FILE = "tokenizer.json"
SPECIAL_FILE = "special_tokens.json"
CONFIG_FILE = "config.json"
"""CTranslate2's own, which says what stands before a text and after an answer."""
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen2 cuts a text before it merges bytes."""


def qwen_tokenizer(
    pieces: Sequence[str], kinds: Sequence[int], merges: Sequence[tuple[str, str]]
) -> Tokenizer:
    """The tokenizer of a Qwen2 vocabulary; no spelling in a text is a token that steers the model.

    Args:
        pieces: The vocabulary, by id.
        kinds: GGUF kind of each id.
        merges: In the order they are applied.
    """
    vocabulary = {piece: i for i, piece in enumerate(pieces) if kinds[i] == TEXT}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=list(merges)))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def write_for_training(source: QwenSource, folder: Path) -> None:
    """Writes ``tokenizer.json`` and its configuration for transformers."""
    tokenizer = qwen_tokenizer(source.pieces, source.kinds, source.merges)
    tokenizer.add_special_tokens([AddedToken(p, normalized=False) for p in source.steering])
    tokenizer.save(str(folder / TOKENIZER_FILE), pretty=False)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": source.end,
        "pad_token": source.begin,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1), "utf-8")


def write_for_use(source: QwenSource, folder: Path) -> None:
    """Writes what `load_qwen_tokenizer` reads."""
    tokenizer = qwen_tokenizer(source.pieces, source.kinds, source.merges)
    tokenizer.save(str(folder / TOKENIZER_FILE), pretty=False)
    (folder / SPECIAL_FILE).write_text(json.dumps(source.steering, indent=1), "utf-8")


def load_qwen_tokenizer(folder: Path) -> QwenTokenizer:
    """The tokenizer of a built folder."""
    special = json.loads((folder / SPECIAL_FILE).read_text("utf-8"))
    config = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    return QwenTokenizer(tokenizer, special, config["bos_token"], config["eos_token"])


class QwenTokenizer(TextTokenizer):
    """Encodes any Unicode text in its composed form (NFC) to ids and back.

    Args:
        tokenizer: A tokenizer made by `qwen_tokenizer`.
        special: Ids of special tokens by their spelling.
        begin: The one that can stand before a text; no prompt begins with it by itself.
        end: The one after an answer.
    """

    begins = False

    def __init__(
        self, tokenizer: Tokenizer, special: Mapping[str, int], begin: str = BEGIN, end: str = END
    ) -> None:
        super().__init__(tokenizer, special)
        self.begin_piece, self.end_piece = begin, end
        self._spelt = {index: piece for piece, index in self.special.items()}

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """See `TextTokenizer.encode_batch`."""
        sound = [without_surrogates(text) for text in texts]
        encoded = self._tokenizer.encode_batch_fast(sound, add_special_tokens=False)
        return [list(each.ids) for each in encoded]

    def piece(self, index: int) -> str:
        """See `TextTokenizer.piece`."""
        return self._spelt.get(index) or super().piece(index)

    def texts(self) -> list[str]:
        """See `TextTokenizer.texts`; a part of a character is U+FFFD."""
        # The tokens that steer the model are no pieces of text, and may lie beyond these.
        count = max(self.size, 1 + max(self._spelt, default=0))
        return [self._spelt.get(i) or self._tokenizer.decode([i]) for i in range(count)]
