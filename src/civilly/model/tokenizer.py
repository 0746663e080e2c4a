"""The tokenizer of a (trimmed) SentencePiece BPE vocabulary, on the `tokenizers` library.

Special tokens are deliberately *not* known to the tokenizer: no spelling inside a user's text can
become one. Whoever builds a prompt adds them by id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE

from civilly.errors import ModelError
from civilly.types import Prompt, Segment

SPACE = "\u2581"
"""SentencePiece's visible space; its literal occurrence in a text must go through bytes."""

BLANKS = f"{SPACE}\n\t"
"""The blanks of which the vocabulary has pieces for whole runs."""

_SURROGATES = re.compile("[\ud800-\udfff]")


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which is no valid Unicode."""
    return _SURROGATES.sub("\ufffd", text)


def byte_piece(value: int) -> str:
    """The spelling of a byte-fallback piece, for example ``<0x0A>``."""
    return f"<0x{value:02X}>"


def is_blank_run(piece: str) -> bool:
    """Whether a piece is a run of at least two of the same of `BLANKS`."""
    return len(piece) > 1 and piece[0] in BLANKS and piece == piece[0] * len(piece)


def merges_of(
    pieces: Sequence[str], scores: Sequence[float], atomic: set[int]
) -> list[tuple[str, str]]:
    """All BPE merges that a SentencePiece vocabulary implies, in the order they are applied.

    Args:
        pieces: The vocabulary, by id.
        scores: SentencePiece scores, by id; a higher score merges earlier.
        atomic: Ids that no merge may produce or consume (special and byte pieces).

    Returns:
        Pairs ``(left, right)``, best first. Follows the conversion that `transformers` uses for
        Gemma: every split of a piece into two pieces is a merge, ranked by the score of the whole.
        Runs of blanks are "user defined" to SentencePiece, which cuts them out of the text first,
        each as long as it can be: here they grow blank by blank, the longest first of all.
    """
    ids = {piece: index for index, piece in enumerate(pieces) if index not in atomic}
    ranked: list[tuple[float, int, int, int, str, str]] = []
    runs = sorted(filter(is_blank_run, ids), key=lambda run: (-len(run), run))
    for piece, index in ids.items():
        if is_blank_run(piece):
            continue
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in ids and right in ids:
                ranked.append((-scores[index], len(left), len(right), index, left, right))
    ranked.sort()
    grown = [(run[:-1], run[-1]) for run in runs if run[:-1] in ids and run[-1] in ids]
    return grown + [(left, right) for *_, left, right in ranked]


def build_tokenizer(pieces: Sequence[str], merges: Sequence[tuple[str, str]]) -> Tokenizer:
    """A byte-fallback BPE tokenizer over ``pieces``; ids are positions in ``pieces``."""
    tokenizer = Tokenizer(
        BPE(
            vocab={piece: index for index, piece in enumerate(pieces)},
            merges=list(merges),
            unk_token=None,
            fuse_unk=False,
            byte_fallback=True,
            ignore_merges=False,
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    # Without a pre-tokenizer the merge queue would run over the whole text; a cut before each run
    # of spaces is where SentencePiece cuts too ("split_by_whitespace").
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(f"{SPACE}+[^{SPACE}]*"), "isolated")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


class TextTokenizer:
    """Encodes any Unicode text to ids and back without loss.

    Args:
        tokenizer: A tokenizer made by `build_tokenizer`.
        special: Ids of special tokens by their spelling, for example ``{"<bos>": 2}``.
    """

    begin_piece, end_piece = "<bos>", "<eos>"
    """What stands before a text, and after an answer."""
    begins = True
    """Whether every prompt begins with it."""

    def __init__(self, tokenizer: Tokenizer, special: Mapping[str, int]) -> None:
        self._tokenizer = tokenizer
        self.special = dict(special)
        self._special_ids = frozenset(self.special.values())
        self._literal_space: list[int] = [
            tokenizer.token_to_id(byte_piece(b)) or 0 for b in SPACE.encode()
        ]

    @classmethod
    def load(cls, path: Path, special: Mapping[str, int]) -> TextTokenizer:
        """Reads a ``tokenizer.json``."""
        return cls(Tokenizer.from_file(str(path)), special)

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``; special tokens are never produced."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, in order; a lone surrogate, no valid Unicode, becomes U+FFFD."""
        texts = [without_surrogates(text) for text in texts]
        encoded = self._tokenizer.encode_batch_fast(
            [part for text in texts for part in text.split(SPACE)], add_special_tokens=False
        )
        rows: list[list[int]] = []
        position = 0
        for text in texts:
            row: list[int] = []
            for part in range(text.count(SPACE) + 1):
                if part:
                    row += self._literal_space
                row += encoded[position].ids
                position += 1
            rows.append(row)
        return rows

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids as `encode` gives them, and the characters ``[start, end)`` that each stands for.

        The bytes of one character share its place.
        """
        ids: list[int] = []
        places: list[tuple[int, int]] = []
        start = 0
        for part in without_surrogates(text).split(SPACE):
            if start:
                ids += self._literal_space
                places += [(start - 1, start)] * len(self._literal_space)
            encoded = self._tokenizer.encode(part, add_special_tokens=False)
            ids += encoded.ids
            places += [(start + first, start + last) for first, last in encoded.offsets]
            start += len(part) + 1
        return ids, places

    def encode_prompts(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Token ids of each prompt; after ``<bos>``, without which Gemma never saw a text.

        Special segments become their ids, plain ones are encoded as `encode` does.

        Raises:
            ModelError: If a special segment names a token that the vocabulary lacks.
        """
        plain = self.encode_batch([s.text for p in prompts for s in p.segments if not s.special])
        encoded = iter(plain)
        begin = [self._special_id(self.begin_piece)] if self.begins else []
        begun = (Segment(self.begin_piece, special=True),)
        rows: list[list[int]] = []
        for prompt in prompts:
            row = [] if prompt.segments[:1] == begun else list(begin)
            for segment in prompt.segments:
                row += [self._special_id(segment.text)] if segment.special else next(encoded)
            rows.append(row)
        return rows

    def _special_id(self, spelling: str) -> int:
        try:
            return self.special[spelling]
        except KeyError:
            raise ModelError(
                f"The model has no special token {spelling!r}.", allowed=", ".join(self.special)
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ``ids``; special tokens are left out."""
        kept = [index for index in ids if index not in self._special_ids]
        return str(self._tokenizer.decode(kept, skip_special_tokens=False))

    @property
    def end(self) -> int:
        """Id of the token after an answer."""
        return self._special_id(self.end_piece)

    def texts(self) -> list[str]:
        """What each id stands for, as far as one token alone says it."""
        return [self.piece(index).replace(SPACE, " ") for index in range(self.size)]

    @property
    def size(self) -> int:
        """Number of ids."""
        return int(self._tokenizer.get_vocab_size())

    def piece(self, index: int) -> str:
        """The spelling of one id."""
        return str(self._tokenizer.id_to_token(index))
