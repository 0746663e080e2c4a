"""Chooses which tokens of the packaged vocabulary the trimmed model keeps."""

from __future__ import annotations

import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from civilly.data.io import read_utf8
from civilly.data.pairs import read_pairs
from civilly.detect.scripts import script_of, scripts_of_language
from civilly.languages import CODES
from civilly.model.source import SourceModel, Vocabulary, assemble_packaged
from civilly.model.tokenizer import BLANKS, SPACE, build_tokenizer, is_blank_run, merges_of
from civilly.model.vocabulary import close_over_merges, pack

KEPT = 46_000
"""Tokens chosen by frequency; closing them over merges and bytes adds about 3,600."""
LEXICON_LINES = 6_000
SCRIPTS = frozenset().union(*map(scripts_of_language, CODES)) | {"Greek"}
"""The scripts of our languages, and Greek, whose letters are symbols everywhere (μ, π, Ω)."""


def texts_by_language(data: Path) -> Iterator[tuple[str, str]]:
    """(language, text) of everything in the data folder but the official inputs.

    The official inputs are left out so that what trimming costs can be measured on them.
    """
    for path in sorted((data / "parallel").glob("*.jsonl.gz")):
        for pair in read_pairs(path):
            yield from ((pair.lang, text) for text in [pair.toxic, *pair.neutral])
    for folder in ("toxicity", "clean"):
        for path in sorted((data / folder).glob("*.jsonl.gz")):
            yield from ((row["lang"], row["text"]) for row in read_utf8(path).rows)
    for path in sorted((data / "lexicons" / "textdetox").glob("*.txt")):
        for line in path.read_text("utf-8").split("\n")[:LEXICON_LINES]:
            yield path.stem, line


def always_kept(piece: str) -> bool:
    """Whether a piece stays however rare it is: what nobody may lose from a text.

    That is every character that is no letter, and every letter and mark of our scripts or of none,
    with or without a space before it; runs of blanks; symbols with what joins or varies them.
    """
    if is_blank_run(piece):
        return True
    characters = piece.removeprefix(SPACE)
    if len(characters) < 2:
        return characters in BLANKS or _is_ours(characters)
    return all(_is_ours(each) and _is_symbol(each) for each in characters)


def _is_ours(character: str) -> bool:
    """Whether it is an assigned character of public use, and no letter or mark of other scripts."""
    if unicodedata.category(character) in ("Cn", "Co", "Cs"):
        return False
    return script_of(character) in (SCRIPTS | {None})


def _is_symbol(character: str) -> bool:
    """Whether it is a symbol that is no operator or currency, or a mark or joiner."""
    return unicodedata.category(character) in ("So", "Sk", "Mn", "Me", "Cf")


def choose_vocabulary(vocabulary: Vocabulary, data: Path, kept: int = KEPT) -> list[int]:
    """The ``kept`` tokens that the languages use most, each language weighing the same.

    To these come the pieces of `always_kept`, and the list is closed over merges.

    Args:
        vocabulary: The whole vocabulary.
        data: The data folder.
        kept: How many tokens to choose before closing.

    Returns:
        Ascending ids.
    """
    merges = merges_of(vocabulary.pieces, vocabulary.scores, vocabulary.atomic)
    tokenizer = build_tokenizer(vocabulary.pieces, merges)
    texts: dict[str, list[str]] = {}
    for lang, text in texts_by_language(data):
        texts.setdefault(lang, []).append(text)
    share: dict[int, float] = {}
    for lang in sorted(texts):
        counts: Counter[int] = Counter()
        for encoding in tokenizer.encode_batch_fast(texts[lang]):
            counts.update(encoding.ids)
        total = sum(counts.values())
        for index, count in counts.items():
            share[index] = share.get(index, 0.0) + count / total
    ranked = sorted(share, key=lambda index: (-share[index], index))
    atomic = vocabulary.atomic
    safe = (i for i, p in enumerate(vocabulary.pieces) if i not in atomic and always_kept(p))
    return close_over_merges([*ranked[:kept], *safe], vocabulary)


def write_vocabulary(data: Path, target: Path) -> int:
    """Writes the list that the package ships; returns how many tokens it keeps.

    Args:
        data: The data folder.
        target: The file, `civilly.model.vocabulary.KEPT_FILE` of a source tree.
    """
    from safetensors.numpy import save_file

    with tempfile.TemporaryDirectory() as folder:
        joined = Path(folder) / "packaged.gguf"
        assemble_packaged(joined)
        kept = choose_vocabulary(SourceModel(joined).vocabulary, data)
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file({"differences": pack(kept)}, target)
    return len(kept)
