"""What trimming the vocabulary costs, on the official inputs (which did not choose it).

Usage: python benchmarks/trimming.py [--data ../shared/data]

Writes results/trimming.md: sentences whose segmentation changes, tokens per sentence before and
after, round trips, and how far the logits of kept tokens differ from the untrimmed model's.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from civilly.data.pairs import read_inputs
from civilly.languages import CODES
from civilly.model.build import write_hugging_face
from civilly.model.source import SourceModel, Vocabulary, assemble_packaged
from civilly.model.tokenizer import TextTokenizer, build_tokenizer, merges_of
from civilly.model.vocabulary import shipped_kept_ids

RESULTS = Path(__file__).parent / "results"
COMPARED = 150
"""Sentences, ten a language, whose logits are compared."""


def tokenizer_of(vocabulary: Vocabulary) -> TextTokenizer:
    """The tokenizer of a vocabulary."""
    merges = merges_of(vocabulary.pieces, vocabulary.scores, vocabulary.atomic)
    return TextTokenizer(build_tokenizer(vocabulary.pieces, merges), {"<bos>": 2, "<eos>": 1})


def largest_logit_difference(
    source: SourceModel, kept: list[int], rows: list[tuple[list[int], list[int]]], folder: Path
) -> float:
    """Largest absolute difference of a kept token's logit, full model against trimmed, float32."""
    import torch
    from transformers import AutoModelForCausalLM

    models = []
    for name, ids in (("full", None), ("trimmed", kept)):
        where = folder / name
        where.mkdir()
        vocabulary = source.vocabulary if ids is None else source.vocabulary.restricted_to(ids)
        weights = dict(source.weights(ids))
        write_hugging_face(weights, source.architecture, vocabulary.pieces, where)
        del weights
        models.append(AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32).eval())
    full, trimmed = models
    worst = 0.0
    with torch.inference_mode():
        for long, short in rows:
            before = full(torch.tensor([[2, *long]])).logits[0][:, kept]
            after = trimmed(torch.tensor([[2, *short]])).logits[0]
            worst = max(worst, float((before - after).abs().max()))
    return worst


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    inputs = read_inputs(arguments.data / "inputs/textdetox2025_test.tsv")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        assemble_packaged(folder / "packaged.gguf")
        source, kept = SourceModel(folder / "packaged.gguf"), shipped_kept_ids()
        full = tokenizer_of(source.vocabulary)
        trimmed = tokenizer_of(source.vocabulary.restricted_to(kept))
        lines = [
            f"{len(kept):,} of {len(source.vocabulary.pieces):,} tokens kept.",
            "",
            "| lang | n | segmented otherwise | tokens per sentence, full → trimmed | round trip |",
            "|---|---|---|---|---|",
        ]
        comparable: list[tuple[list[int], list[int]]] = []
        for lang in CODES:
            texts = [given.text for given in inputs if given.lang == lang]
            long, short = full.encode_batch(texts), trimmed.encode_batch(texts)
            same = [[kept[i] for i in s] == n for n, s in zip(long, short, strict=True)]
            exact = sum(trimmed.decode(s) == t for s, t in zip(short, texts, strict=True))
            pairs = [(n, s) for n, s, equal in zip(long, short, same, strict=True) if equal]
            comparable += pairs[: COMPARED // len(CODES)]
            before, after = (sum(map(len, rows)) / len(texts) for rows in (long, short))
            lines.append(
                f"| {lang} | {len(texts)} | {1 - sum(same) / len(same):.0%} "
                f"| {before:.1f} → {after:.1f} "
                f"| {exact}/{len(texts)} |"
            )
        worst = largest_logit_difference(source, kept, comparable, folder)
        lines += [
            "",
            f"Largest difference of a kept token's logit between the full and the trimmed model "
            f"(float32, {len(comparable)} sentences segmented alike): {worst:.1e}.",
        ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "trimming.md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
