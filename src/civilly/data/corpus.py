"""Builds the training pairs of a recipe: sources, splits, harmonised references, a leak check."""

from __future__ import annotations

import difflib
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from civilly.data.harmonise import detokenise, harmonise
from civilly.data.io import read_table
from civilly.data.leaks import find_leaks
from civilly.data.pair_leaks import refuse_leaks
from civilly.data.pairs import Pair, read_authored, read_inputs, read_labelled, read_pairs
from civilly.data.split import dev_part
from civilly.errors import DataError
from civilly.languages import CODES, language


def _closest(toxic: str, references: Sequence[str]) -> str:
    """The reference that edits least: people reward rewrites that keep the text."""
    return max(references, key=lambda ref: difflib.SequenceMatcher(None, toxic, ref).ratio())


def _pairs(source: Mapping[str, Any], data: Path, rng: random.Random) -> list[Pair]:
    """Human pairs, harmonised; pairs whose sides share too little are left out as noise."""
    pairs: list[Pair] = []
    for row in read_pairs(data / source["path"]):
        if row.split.startswith("overlap"):
            continue
        if source.get("dev_split") and dev_part(row.id) != "train":
            continue
        toxic, references = row.toxic, list(row.neutral)
        if source.get("detokenise"):
            toxic, references = detokenise(toxic), [detokenise(r) for r in references]
            if rng.random() < 0.5:
                toxic = toxic[:1].upper() + toxic[1:]
        neutral = harmonise(toxic, _closest(toxic, references))
        overlap = difflib.SequenceMatcher(None, toxic, neutral).ratio()
        if neutral and neutral != toxic and overlap >= source.get("least_overlap", 0.3):
            pairs.append(Pair(row.id, row.lang, toxic, (neutral,), source["name"]))
    return pairs


def _authored(source: Mapping[str, Any], data: Path, rng: random.Random) -> list[Pair]:
    """Pairs written for this project; the ``eval`` part by hash is held out."""
    pairs = read_authored(Path(source["path"]))
    return [replace(p, source=source["name"]) for p in pairs if dev_part(p.id) != "eval"]


def _distilled(source: Mapping[str, Any], data: Path, rng: random.Random) -> list[Pair]:
    """Pairs that a large language model wrote for training; nothing of them is held out."""
    return read_authored(Path(source["path"]), source["name"])


def _clean_by_language(source: Mapping[str, Any], data: Path) -> dict[str, list[str]]:
    """Clean sentences whose licence allows shipping what is trained on them."""
    allowed = set(source["clean_sources"])
    clean: dict[str, list[str]] = {}
    for lang in source.get("languages", CODES):
        path = data / "clean" / f"{lang}.jsonl.gz"
        if path.exists():
            clean[lang] = [r["text"] for r in read_table(path).rows if r["source"] in allowed]
    for entry in source.get("clean_labelled", []):
        labelled = read_labelled(data / entry["path"])
        clean.setdefault(entry["lang"], []).extend(r.text for r in labelled if r.label == 0)
    return clean


def _terms_by_language(source: Mapping[str, Any], data: Path) -> dict[str, list[str]]:
    """Insults from the licensed word lists; words of one list alone only where told."""
    licensed, alone = set(source["term_sources"]), set(source["single_source_languages"])
    terms: dict[str, list[str]] = {}
    for row in read_table(data / "lexicons" / "terms.jsonl.gz").rows:
        listed = licensed.intersection(row["sources"])
        enough = len(row["sources"]) > 1 or row["lang"] in alone
        if listed and enough and len(row["term"].encode()) >= 3 and len(row["term"].split()) <= 2:
            terms.setdefault(row["lang"], []).append(row["term"])
    return terms


def _disguise(term: str, rng: random.Random) -> str:
    """Now and then an obfuscated or shouted spelling, as people write it."""
    roll = rng.random()
    if roll < 0.06 and len(term) > 3:
        cut = rng.randrange(1, len(term) - 1)
        return term[:cut] + "*" + term[cut + 1 :]
    if roll < 0.12:
        return term.upper()
    if roll < 0.16 and len(term) > 3:
        cut = rng.randrange(1, len(term) - 1)
        return term[:cut] + term[cut] * 3 + term[cut:]
    return term


def _insert(text: str, term: str, lang: str, rng: random.Random) -> str:
    """Puts an insult where people put one: before, after, or inside a sentence."""
    comma = {"zh": "，", "ja": "、", "ar": "، "}.get(lang, ", ")
    where = rng.random()
    if where < 0.3:
        return term + comma + text
    if where < 0.55:
        body = text.rstrip(".!?。！？")
        return body + comma + term + text[len(body) :]
    if not language(lang).spaces:
        cut = rng.randrange(1, max(2, len(text) - 1))
        return text[:cut] + term + text[cut:]
    words = text.split(" ")
    words.insert(rng.randrange(1, max(2, len(words))), term)
    return " ".join(words)


def _insertions(source: Mapping[str, Any], data: Path, rng: random.Random) -> list[Pair]:
    """Clean sentences with an insult put in; the answer is the clean sentence.

    Teaches which words to cut, and to leave the rest alone, where no human pairs exist.
    """
    clean, terms = _clean_by_language(source, data), _terms_by_language(source, data)
    pairs = []
    for lang in source["languages"]:
        known = set(terms.get(lang, ()))
        texts = [t for t in clean.get(lang, []) if not known.intersection(t.lower().split())]
        if not texts or not known:
            continue
        vocabulary = sorted(known)
        for number in range(source["per_language"]):
            text = rng.choice(texts)
            if rng.random() < 0.3:  # chat is rarely punctuated like read-aloud prose
                text = text.rstrip(".。").lower()
            toxic = _insert(text, _disguise(rng.choice(vocabulary), rng), lang, rng)
            pairs.append(Pair(f"insert-{lang}-{number}", lang, toxic, (text,), source["name"]))
    return pairs


def _copies(source: Mapping[str, Any], data: Path, rng: random.Random) -> list[Pair]:
    """Civil sentences, to be given back unchanged."""
    pairs = []
    for lang, texts in _clean_by_language(source, data).items():
        for number, text in enumerate(rng.sample(texts, min(source["per_language"], len(texts)))):
            pairs.append(Pair(f"copy-{lang}-{number}", lang, text, (text,), source["name"]))
    return pairs


_KINDS = {
    "pairs": _pairs, "authored": _authored, "distilled": _distilled, "insertions": _insertions,
    "copies": _copies,
}  # fmt: skip


def build_corpus(recipe: Mapping[str, Any], data: Path) -> list[Pair]:
    """All training pairs of a recipe, shuffled by its seed.

    Args:
        recipe: The parsed recipe; ``corpus.sources`` lists the sources in order.
        data: The data folder.

    Raises:
        DataError: If a source is missing or of an unknown kind.
    """
    rng = random.Random(recipe["seed"])
    corpus: list[Pair] = []
    for source in recipe["corpus"]["sources"]:
        if source["kind"] not in _KINDS:
            raise DataError(
                f"Source {source['name']!r} has the kind {source['kind']!r}.",
                allowed=", ".join(_KINDS),
            )
        pairs = _KINDS[source["kind"]](source, data, rng)
        limit = source.get("limit")
        if limit and len(pairs) > limit:
            pairs = rng.sample(pairs, limit)
        corpus += pairs * source.get("repeat", 1)
    longest = recipe["corpus"]["longest_characters"]
    corpus = [pair for pair in corpus if len(pair.toxic) <= longest]
    rng.shuffle(corpus)
    return corpus


def evaluation_texts(data: Path, authored: Path | None) -> list[str]:
    """Toxic sides that no training may see: all held-out pairs and the official inputs."""
    dev = read_pairs(data / "parallel" / "multiparadetox_dev.jsonl.gz")
    texts = [pair.toxic for pair in dev if dev_part(pair.id) != "train"]
    if authored:
        texts += [p.toxic for p in read_authored(authored) if dev_part(p.id) == "eval"]
    for name in ("textdetox2025_dev.tsv", "textdetox2025_test.tsv"):
        path = data / "inputs" / name
        if path.exists():
            texts += [given.text for given in read_inputs(path)]
    return texts


def without_leaks(
    corpus: Sequence[Pair], evaluation: Sequence[str], *, take_out: bool
) -> tuple[list[Pair], int]:
    """The corpus without pairs that repeat an evaluation text, and how many were taken out.

    Raises:
        LeakError: If there are such pairs and they are not to be taken out.
    """
    toxic = sorted({pair.toxic for pair in corpus})
    leaking = {toxic[leak.training]: leak.kind for leak in find_leaks(toxic, evaluation)}
    if not take_out:
        refuse_leaks(
            {f"{p.source} {p.id}": leaking[p.toxic] for p in corpus if p.toxic in leaking},
            mend='--take-out-leaks, or leaks = "take_out" under [corpus] in the recipe',
        )
    kept = [pair for pair in corpus if pair.toxic not in leaking]
    return kept, len(corpus) - len(kept)


def count_by_source(corpus: Sequence[Pair]) -> dict[str, dict[str, int]]:
    """Examples per source and language, for the card."""
    table: dict[str, Counter[str]] = {}
    for pair in corpus:
        table.setdefault(pair.source, Counter())[pair.lang] += 1
    return {source: dict(sorted(counts.items())) for source, counts in sorted(table.items())}
