"""Chooses which tokens of the packaged vocabulary the trimmed model keeps."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from civilly.data.io import read_utf8
from civilly.data.pairs import read_pairs
from civilly.model.source import SourceModel, Vocabulary, assemble_packaged
from civilly.model.tokenizer import build_tokenizer, merges_of
from civilly.model.vocabulary import close_over_merges, pack

KEPT = 46_000
"""Tokens chosen by frequency; closing them over merges and bytes adds about 3,600."""
LEXICON_LINES = 6_000
NEWLINE_RUNS = 107
"""First of the five shortest newline runs, which stay whatever their frequency."""


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


def choose_vocabulary(vocabulary: Vocabulary, data: Path, kept: int = KEPT) -> list[int]:
    """The ``kept`` tokens that the languages use most, each language weighing the same, closed.

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
    newlines = range(NEWLINE_RUNS, NEWLINE_RUNS + 5)
    return close_over_merges([*ranked[:kept], *newlines], vocabulary)


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
