"""Pairs made from clean sentences: an insult put in, or nothing to change."""

from __future__ import annotations

import random
from pathlib import Path

from civilly.data.corpus.recipe import CopiesSource, InsertionsSource
from civilly.data.io import read_utf8
from civilly.data.pairs import Pair, read_labelled
from civilly.languages import CODES, language


def _clean_by_language(source: CopiesSource, data: Path) -> dict[str, list[str]]:
    """Clean sentences whose licence allows shipping what is trained on them."""
    allowed = set(source.clean_sources)
    clean: dict[str, list[str]] = {}
    for lang in source.languages or CODES:
        path = data / "clean" / f"{lang}.jsonl.gz"
        if path.exists():
            clean[lang] = [r["text"] for r in read_utf8(path).rows if r["source"] in allowed]
    for entry in source.clean_labelled:
        labelled = read_labelled(data / entry.path)
        clean.setdefault(entry.lang, []).extend(r.text for r in labelled if r.label == 0)
    return clean


def _terms_by_language(source: InsertionsSource, data: Path) -> dict[str, list[str]]:
    """Insults from the licensed word lists; words of one list alone only where told."""
    licensed, alone = set(source.term_sources), set(source.single_source_languages)
    terms: dict[str, list[str]] = {}
    for row in read_utf8(data / "lexicons" / "terms.jsonl.gz").rows:
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


def insertions(source: InsertionsSource, data: Path, rng: random.Random) -> list[Pair]:
    """Clean sentences with an insult put in; the answer is the clean sentence.

    Teaches which words to cut, and to leave the rest alone, where no human pairs exist.
    """
    clean, terms = _clean_by_language(source, data), _terms_by_language(source, data)
    pairs = []
    for lang in source.languages:
        known = set(terms.get(lang, ()))
        texts = [t for t in clean.get(lang, []) if not known.intersection(t.lower().split())]
        if not texts or not known:
            continue
        vocabulary = sorted(known)
        for number in range(source.per_language):
            text = rng.choice(texts)
            if rng.random() < 0.3:  # chat is rarely punctuated like read-aloud prose
                text = text.rstrip(".。").lower()
            toxic = _insert(text, _disguise(rng.choice(vocabulary), rng), lang, rng)
            pairs.append(Pair(f"insert-{lang}-{number}", lang, toxic, (text,), source.name))
    return pairs


def copies(source: CopiesSource, data: Path, rng: random.Random) -> list[Pair]:
    """Civil sentences, to be given back unchanged."""
    pairs = []
    for lang, texts in _clean_by_language(source, data).items():
        for number, text in enumerate(rng.sample(texts, min(source.per_language, len(texts)))):
            pairs.append(Pair(f"copy-{lang}-{number}", lang, text, (text,), source.name))
    return pairs
