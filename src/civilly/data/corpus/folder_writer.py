"""Writes a corpus into a folder: pairs to train on, pairs kept apart, a report and a card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from civilly.data.corpus.build import Corpus
from civilly.data.corpus.card import card
from civilly.data.corpus.folder_reader import CARD_FILE, DEV_FILE, REPORT_FILE, TRAIN_FILE
from civilly.data.files import encode, write_bytes
from civilly.data.jsonl import format_jsonl
from civilly.data.pairs import Pair, count_by_source
from civilly.data.table import Table

COLUMNS = ("id", "lang", "source", "toxic", "neutral", "prompt", "completion")


def write_corpus(corpus: Corpus, folder: Path, prompt: Callable[[str, str], str]) -> dict[str, Any]:
    """Writes a corpus; the same corpus gives the same bytes.

    ``train.jsonl`` and ``dev.jsonl`` hold one object per line: ``id``, ``lang``, ``source``,
    ``toxic``, ``neutral`` (a list: one reference to train on, all references in ``dev``), which
    `civilly.data.pairs.read_pairs` reads; and ``prompt`` and ``completion`` (the first reference),
    the columns of TRL's prompt-completion format. A pair that counts twice stands there twice.
    ``corpus.json`` is the report, ``README.md`` the card, which also tells the library ``datasets``
    which file is which split.

    Args:
        corpus: What to write.
        folder: Where; made if it is missing.
        prompt: What a model is given for a text and its language.

    Returns:
        The report.

    Raises:
        DataError: If a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {TRAIN_FILE: _rows(corpus.train, prompt), DEV_FILE: _rows(corpus.dev, prompt)}
    made = report(corpus) | {
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    }
    files[REPORT_FILE] = (json.dumps(made, indent=1, ensure_ascii=False) + "\n").encode()
    files[CARD_FILE] = card(made).encode()
    for name, data in files.items():
        write_bytes(folder / name, data)
    return made


def _rows(pairs: Sequence[Pair], prompt: Callable[[str, str], str]) -> bytes:
    rows: list[dict[str, Any]] = [
        {
            "id": pair.id,
            "lang": pair.lang,
            "source": pair.source,
            "toxic": pair.toxic,
            "neutral": list(pair.neutral),
            "prompt": prompt(pair.toxic, pair.lang),
            "completion": pair.neutral[0],
        }
        for pair in pairs
    ]
    return encode(format_jsonl(Table(list(COLUMNS), rows, "jsonl")))


def report(corpus: Corpus) -> dict[str, Any]:
    """What a corpus consists of, as JSON can hold it.

    Returns:
        ``recipe`` with defaults filled in and its ``fingerprint`` (SHA-256 of the recipe as sorted
        JSON), ``train`` and ``dev`` (numbers of pairs), ``languages`` (both numbers by language),
        ``sources`` (name, kind, licence, pairs by language, texts left out by reason), and
        ``left_out`` (sources by the licence that kept them out).
    """
    recipe = corpus.recipe.model_dump(mode="json")
    train, dev = count_by_source(corpus.train), count_by_source(corpus.dev)
    kinds = {source.name: source.kind for source in corpus.recipe.sources}
    names = [name for name in kinds if name not in corpus.left_out]
    names += sorted({*train, *dev, *corpus.dropped} - set(kinds))
    langs = sorted({pair.lang for pair in [*corpus.train, *corpus.dev]})
    return {
        "fingerprint": hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest(),
        "train": len(corpus.train),
        "dev": len(corpus.dev),
        "languages": {
            lang: {
                "train": sum(counts.get(lang, 0) for counts in train.values()),
                "dev": sum(counts.get(lang, 0) for counts in dev.values()),
            }
            for lang in langs
        },
        "sources": [
            {
                "name": name,
                "kind": kinds.get(name),
                "licence": corpus.licences.get(name),
                "train": train.get(name, {}),
                "dev": dev.get(name, {}),
                "dropped": dict(sorted(corpus.dropped.get(name, {}).items())),
            }
            for name in names
        ],
        "left_out": corpus.left_out,
        "recipe": recipe,
    }
