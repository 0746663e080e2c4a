"""Which of the 15 languages a text is in.

The script decides where only one language uses it. Among the languages in Latin and in Cyrillic
letters, the naive Bayes scores of py3langid (an identifier of our own, restricted to our 14 codes)
are added to those of a small learned model over hashed character n-grams, which knows what
py3langid does not: Hinglish, Tatar typed in Russian letters, and the language of chats.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from civilly.detect.features import hashed_words
from civilly.errors import ModelError
from civilly.languages import CODES, LANGUAGES

WEIGHTS = Path(__file__).parent.parent / "weights" / "language" / "language.safetensors"
LATIN: tuple[str, ...] = tuple(c for c in CODES if LANGUAGES[c].script == "Latin")
CYRILLIC: tuple[str, ...] = tuple(c for c in CODES if LANGUAGES[c].script == "Cyrillic")
BITS = 15
"""Log2 of the number of buckets per language."""

_LONGEST = 1000  # characters looked at
_SCRIPTS = (
    ("Latin", re.compile("[a-zß-öø-ɏ]")),
    ("Cyrillic", re.compile("[\u0400-\u052f]")),
    ("Japanese", re.compile("[\u3040-\u30ff\uff66-\uff9f]")),
    ("Han", re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")),
    ("Arabic", re.compile("[\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff]")),
    ("Hebrew", re.compile("[\u0590-\u05ff\ufb1d-\ufb4f]")),
    ("Devanagari", re.compile("[\u0900-\u097f]")),
    ("Ethiopic", re.compile("[\u1200-\u139f\u2d80-\u2ddf]")),
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_NOISE = re.compile(r"https?://\S+|www\.\S+|[@#]\w+")


@dataclass(frozen=True, slots=True)
class Refinement:
    """The learned model among the languages of one script.

    Attributes:
        codes: The languages.
        weights: float32 [2 ** BITS, languages].
        constants: float32 [1 + languages, languages]; the offsets, and below them what each of
            py3langid's scores says for each language.
    """

    codes: tuple[str, ...]
    weights: NDArray[np.float32]
    constants: NDArray[np.float32]


def script_shares(text: str) -> dict[str, float]:
    """How many letters of a text are in each of the scripts of our languages.

    A Han character counts as Japanese where kana are about, and is worth two letters otherwise.
    """
    lowered = text[:_LONGEST].lower()
    shares = {name: float(len(pattern.findall(lowered))) for name, pattern in _SCRIPTS}
    if shares["Japanese"] and shares["Japanese"] * 10 >= shares["Han"]:
        shares["Japanese"] += shares.pop("Han")
    else:
        shares["Han"] += shares.pop("Japanese")
    for name in ("Han", "Japanese"):
        shares[name] = 2 * shares.get(name, 0.0)
    return {name: share for name, share in shares.items() if share}


def words_of(text: str) -> list[str]:
    """The words by which the learned model tells languages apart."""
    plain = _NOISE.sub(" ", unicodedata.normalize("NFKC", text[:_LONGEST]).lower())
    return _WORD.findall(plain) or _WORD.findall(text[:_LONGEST].lower())


def bucket_counts(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(text, bucket) of every hashed feature of the texts, each in ``[0, 2 ** BITS)``."""
    pieces: list[str] = []
    owner: list[int] = []
    for index, text in enumerate(texts):
        words = words_of(text)
        pieces += words
        owner += [index] * len(words)
    owners = np.array(owner, dtype=np.int64)
    token, bucket = hashed_words(pieces, owners)
    return owners[token], bucket >> (18 - BITS)


class Identifier:
    """Identifies languages in batches.

    Args:
        refinements: The learned models of the scripts that several languages share.
    """

    def __init__(self, refinements: Sequence[Refinement]) -> None:
        self._refinements = {r.codes: r for r in refinements}

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> Identifier:
        """Reads the learned models.

        Raises:
            ModelError: If the file is missing or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(path)
            refinements = [
                Refinement(
                    codes,
                    tensors[f"{name}.weights"].astype(np.float32) * tensors[f"{name}.scale"],
                    tensors[f"{name}.constants"],
                )
                for name, codes in (("latin", LATIN), ("cyrillic", CYRILLIC))
            ]
        except (OSError, KeyError, SafetensorError) as error:
            raise ModelError(
                f"The language model {path.name} cannot be read ({error}).",
                mend="reinstall civilly, or train the model again",
            ) from error
        return cls(refinements)

    def probabilities(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Probability of each of the 15 languages for each text, in order.

        A text without letters of our scripts gets the same probability everywhere.
        """
        rows = [dict.fromkeys(CODES, 0.0) for _ in texts]
        shares = [script_shares(text) for text in texts]
        for row, share in zip(rows, shares, strict=True):
            total = sum(share.values())
            if not total:
                row.update(dict.fromkeys(CODES, 1 / len(CODES)))
            for code in CODES:
                script = LANGUAGES[code].script
                if code not in LATIN and code not in CYRILLIC and script in share:
                    row[code] = share[script] / total
        for name, codes in (("Latin", LATIN), ("Cyrillic", CYRILLIC)):
            chosen = [i for i, share in enumerate(shares) if name in share]
            refined = self._refined([texts[i] for i in chosen], self._refinements[codes])
            for index, among in zip(chosen, refined, strict=True):
                part = shares[index][name] / sum(shares[index].values())
                for code, probability in zip(codes, among.tolist(), strict=True):
                    rows[index][code] = part * probability
        return rows

    def identify(self, texts: Sequence[str]) -> list[str]:
        """The most probable language of each text, in order; English where there are no letters."""
        return [max(row, key=row.__getitem__) for row in self.probabilities(texts)]

    def _refined(self, texts: Sequence[str], model: Refinement) -> NDArray[np.float64]:
        owner, bucket = bucket_counts(texts)
        counts = np.maximum(np.bincount(owner, minlength=len(texts)), 1)[:, None]
        sums = np.zeros((len(texts), len(model.codes)))
        for column in range(len(model.codes)):
            sums[:, column] = np.bincount(
                owner, model.weights[bucket, column], minlength=len(texts)
            )
        identifier = base_identifier()
        base = np.array([base_scores(identifier, text, model.codes) for text in texts])
        base = base.reshape(len(texts), len(model.codes))
        logits = model.constants[0] + sums / np.sqrt(counts) + base @ model.constants[1:]
        logits -= logits.max(axis=1, keepdims=True, initial=-np.inf)
        odds = np.exp(logits)
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))


@cache
def base_identifier() -> Any:  # noqa: ANN401 - py3langid has no types
    """An identifier of py3langid of our own, loaded when first needed; the module's shared one stays as it is."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([code for code in CODES if code != "hin"])
    return identifier


def base_scores(identifier: Any, text: str, codes: Sequence[str]) -> list[float]:  # noqa: ANN401
    """py3langid's log probabilities, at least -10; 0 for Hinglish, which it does not know."""
    ranked = dict(identifier.rank(" ".join(words_of(text))))
    return [
        0.0 if code == "hin" else max(float(np.log(ranked[code] + 1e-9)), -10.0) for code in codes
    ]


@cache
def _shipped() -> Identifier:
    return Identifier.load()


def identify(texts: Sequence[str]) -> list[str]:
    """The most probable of the 15 languages for each text, in order.

    Any string is allowed; a text without letters counts as English.
    """
    return _shipped().identify(texts)


def probabilities(texts: Sequence[str]) -> list[dict[str, float]]:
    """Probability of each of the 15 languages for each text, in order; each sums to 1."""
    return _shipped().probabilities(texts)
