"""What the toxicity model learns from, per language, with weights and held-out rows.

Only sets whose licence allows shipping the result are read; `SETS` and the lexicon's source list
say which. Held-out rows are chosen by hash and are never returned here.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from civilly.data.io import read_utf8
from civilly.data.pairs import read_authored, read_labelled, read_pairs
from civilly.data.split import dev_part
from civilly.detect.normalise import normalise
from civilly.languages import CODES, language
from civilly.train.obfuscation import DISGUISES

T = TypeVar("T")
_PUNCTUATION = ".,!?;:\"'()«»“”…،؟।።፣"


@dataclass(frozen=True, slots=True)
class Example:
    """One training text.

    Attributes:
        text: The text.
        toxic: Its label.
        weight: How much it counts.
        twin: The same text made civil (or before an insult was put in); None without a pair.
        core: Whether it is of the kind that the model is for; such texts calibrate it.
    """

    text: str
    toxic: bool
    weight: float = 1.0
    twin: str | None = None
    core: bool = False


def held_out(text: str, percent: int) -> bool:
    """Whether a text belongs to the held-out ``percent`` of its set, by its SHA-1."""
    return int(hashlib.sha1(text.encode("utf-8", "replace")).hexdigest(), 16) % 100 < percent


def _aside(text: str) -> bool:
    return held_out("aside:" + text, 10)


class TrainingData:
    """Reads the training examples of each language as a recipe says.

    Args:
        recipe: The recipe's tables ``pairs``, ``labelled``, ``clean``, ``lexicon``, ``seed``.
        data_dir: Folder of parallel/, toxicity/, clean/ and lexicons/.
        authored_dir: Folder of what was written for this project; ``recipes`` of the repository.
    """

    def __init__(
        self, recipe: dict[str, Any], data_dir: Path, authored_dir: Path = Path("recipes")
    ) -> None:
        self._recipe = recipe
        self._data = data_dir
        self._authored = authored_dir
        self._terms = self._read_terms()

    def examples(self, lang: str) -> list[Example]:
        """All training examples of a language, in a fixed order."""
        rng = random.Random(f"{self._recipe['seed']}-{lang}")
        pairs = self._pairs(lang, rng)
        labelled = self._labelled(lang, rng)
        clean = self._clean(lang, rng)
        benign = self._benign(lang)
        civil = [p.twin for p in pairs if p.twin] + [e.text for e in clean + benign]
        toxic = [p.text for p in pairs] + [e.text for e in labelled if e.toxic]
        terms = self._reliable_terms(lang, toxic, civil, rng)
        inserted = self._inserted(lang, terms, civil, rng)
        lexicon = self._recipe["lexicon"]
        alone = [
            Example(term, True, lexicon["alone_weight"])
            for term in _at_most(terms, lexicon["alone_limit"], rng)
        ]
        # AdaGrad's steps shrink, so a rare exception ("Dick Cheney") must come often to be learnt.
        benign *= self._recipe["authored"]["benign_copies"]
        found = pairs + labelled + clean + benign + inserted + alone
        return found + self._disguised(found, lang, rng)

    def texts(self, lang: str) -> list[str]:
        """What `examples` are made of: real texts, toxic and civil, none of them held out."""
        rng = random.Random(f"{self._recipe['seed']}-{lang}")
        pairs = self._pairs(lang, rng)
        others = [*self._labelled(lang, rng), *self._clean(lang, rng), *self._benign(lang)]
        sides = [side for pair in pairs for side in (pair.text, pair.twin) if side]
        return sides + [example.text for example in others]

    def _disguised(
        self, examples: Sequence[Example], lang: str, rng: random.Random
    ) -> list[Example]:
        """Copies of pairs whose insult is masked or misspelt; what is left civil stays civil."""
        if not language(lang).spaces:
            return []
        found: list[Example] = []
        for example in examples:
            if example.twin is None or rng.random() >= self._recipe["disguised"]["share"]:
                continue
            kept = set(example.twin.lower().split())
            words = example.text.split(" ")
            places = [i for i, w in enumerate(words) if len(w) > 3 and w.lower() not in kept]
            if places:
                disguise = DISGUISES[rng.choice(self._recipe["disguised"]["kinds"])]
                place = rng.choice(places)
                words[place] = disguise(words[place], rng)
                weight = example.weight * self._recipe["disguised"]["weight"]
                found.append(Example(" ".join(words), True, weight, example.twin))
        return found

    def _pairs(self, lang: str, rng: random.Random) -> list[Example]:
        found: list[Example] = []
        for name, entry in self._recipe["pairs"].items():
            if lang not in entry["langs"]:
                continue
            pairs = [
                pair
                for pair in read_pairs(self._data / "parallel" / f"{name}.jsonl.gz")
                if pair.lang == lang
                and not pair.split.startswith("overlap")
                and (name != "multiparadetox_dev" or dev_part(pair.id) == "train")
            ]
            found += [
                Example(pair.toxic, True, entry["weight"], pair.neutral[0], entry["core"])
                for pair in _at_most(pairs, entry.get("limit"), rng)
                if pair.neutral
            ]
        authored = self._recipe["authored"]
        return found + [
            Example(pair.toxic, True, authored["weight"], pair.neutral[0], core=True)
            for pair in read_authored(self._authored / "authored_pairs")
            if pair.lang == lang and not held_out(pair.toxic, authored["held_out_percent"])
        ]

    def _labelled(self, lang: str, rng: random.Random) -> list[Example]:
        percent = self._recipe["held_out_percent"]
        found: list[Example] = []
        for name, entry in self._recipe["labelled"].items():
            if lang not in entry["langs"]:
                continue
            rows = [
                row
                for row in read_labelled(self._data / "toxicity" / f"{name}.jsonl.gz")
                if row.lang == lang and not held_out(row.text, percent)
            ]
            rows = _at_most(rows, entry.get("limit"), rng)
            found += [Example(row.text, row.label == 1, entry["weight"]) for row in rows]
        return found

    def _clean(self, lang: str, rng: random.Random) -> list[Example]:
        entry = self._recipe["clean"]
        texts = [text for text in self._clean_texts(lang) if not _aside(text)]
        chosen = _at_most(texts, entry["limit"], rng)
        return [Example(text, False, entry["weight"]) for text in chosen]

    def _benign(self, lang: str) -> list[Example]:
        """Harmless sentences with words that look rude or name groups of people."""
        weight = self._recipe["authored"]["benign_weight"]
        return [
            Example(row["text"], False, weight, core=True)
            for row in read_utf8(self._authored / "benign_sentences.jsonl").rows
            if row["lang"] == lang
        ]

    def clean_aside(self, lang: str) -> list[str]:
        """Clean sentences that `examples` leaves out, for the calibration."""
        return [text for text in self._clean_texts(lang) if _aside(text)]

    def held_clean(self, lang: str) -> list[str]:
        """Clean sentences that are held out, for measuring."""
        return self._clean_texts(lang, held=True)

    def _clean_texts(self, lang: str, *, held: bool = False) -> list[str]:
        entry = self._recipe["clean"]
        if lang not in entry["langs"]:
            return []
        return [
            row["text"]
            for row in read_utf8(self._data / "clean" / f"{lang}.jsonl.gz").rows
            if row["source"] in entry["sources"]
            and held_out(row["text"], self._recipe["held_out_percent"]) is held
        ]

    def span_rows(self, lang: str) -> list[tuple[str, list[tuple[int, int]]]]:
        """Texts of the dev part "tune" with the stretches that their civil side replaces."""
        table = read_utf8(self._data / "spans" / "multiparadetox_dev_autodiff.jsonl.gz")
        return [
            (row["text"], [(start, end) for start, end in row["spans"]])
            for row in table.rows
            if row["lang"] == lang and dev_part(row["id"]) == "tune"
        ]

    def _read_terms(self) -> dict[str, list[str]]:
        allowed = set(self._recipe["lexicon"]["sources"])
        terms: dict[str, list[str]] = {code: [] for code in CODES}
        for row in read_utf8(self._data / "lexicons" / "terms.jsonl.gz").rows:
            if allowed & set(row["sources"]) and row["lang"] in terms:
                terms[row["lang"]].append(row["term"])
        return terms

    def _reliable_terms(
        self, lang: str, toxic: Sequence[str], civil: Sequence[str], rng: random.Random
    ) -> list[str]:
        """Terms that real sentences do not contradict: rarer in civil than in toxic ones."""
        terms = _at_most(self._terms[lang], self._recipe["lexicon"]["limit"], rng)
        keys = dict.fromkeys(normalise(term, lang).text.strip() for term in terms)
        keys.pop("", None)
        in_toxic = _text_counts(keys, toxic, lang)
        in_civil = _text_counts(keys, civil, lang)
        return [
            key
            for key in keys
            if in_civil[key] == 0
            or (in_toxic[key] + 0.5) / (len(toxic) + 1) > 4 * in_civil[key] / len(civil)
        ]

    def _inserted(
        self, lang: str, terms: Sequence[str], civil: Sequence[str], rng: random.Random
    ) -> list[Example]:
        """Civil sentences into which a listed insult was put, each with its origin as twin."""
        entry = self._recipe["lexicon"]
        chosen = list(terms) * (entry["inserted"] // max(len(terms), 1) + 1)
        rng.shuffle(chosen)
        if not civil:
            return []
        found: list[Example] = []
        for term in chosen[: entry["inserted"]]:
            host = rng.choice(civil)
            found.append(Example(_insert(term, host, lang, rng), True, entry["weight"], host))
        return found


def _insert(term: str, host: str, lang: str, rng: random.Random) -> str:
    if not language(lang).spaces:
        cut = rng.randrange(len(host) + 1)
        return host[:cut] + term + host[cut:]
    words = host.split(" ")
    cut = rng.randrange(len(words) + 1)
    return " ".join([*words[:cut], term, *words[cut:]])


def _at_most(rows: Sequence[T], limit: int | None, rng: random.Random) -> list[T]:
    if limit is None or len(rows) <= limit:
        return list(rows)
    chosen = sorted(rng.sample(range(len(rows)), limit))
    return [rows[index] for index in chosen]


def _text_counts(keys: Container[str], texts: Sequence[str], lang: str) -> Counter[str]:
    """In how many texts each key occurs, as up to four words (or eight characters) in a row."""
    counts: Counter[str] = Counter()
    longest, glue = (4, " ") if language(lang).spaces else (8, "")
    for text in texts:
        line = normalise(text, lang).text
        parts: Sequence[str] = [w.strip(_PUNCTUATION) for w in line.split()] if glue else line
        stretches = {
            glue.join(parts[start : start + size])
            for size in range(1, longest + 1)
            for start in range(len(parts) - size + 1)
        }
        counts.update(stretch for stretch in stretches if stretch in keys)
    return counts
