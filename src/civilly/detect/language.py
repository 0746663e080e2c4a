"""Which of the 15 languages a text is in.

The script decides where only one language uses it. Among the languages in Latin and in Cyrillic
letters a small learned model over hashed character n-grams decides; it knows what py3langid does
not: Hinglish, Tatar typed in Russian letters, the language of chats. Where it is not sure, a second
one does, which also reads the naive Bayes scores of py3langid (an identifier of our own, restricted
to our 14 codes; loading it takes most of a second, so it waits until it is needed).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
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
SHARED_SCRIPTS: dict[str, tuple[str, ...]] = {
    script: tuple(code for code in CODES if LANGUAGES[code].script == script)
    for script in ("Latin", "Cyrillic")
}
"""The scripts that several of our languages share, with these languages."""

BITS = 15
"""Log2 of the number of buckets per language."""

SURE = 0.9
"""Below this probability the quick model's verdict is left to the careful one."""

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
    """A learned model among the languages of one script.

    Attributes:
        codes: The languages.
        weights: float32 [2 ** BITS, languages].
        offsets: float32 [languages].
        trust: float32 [languages, languages]; what each of py3langid's scores says for each
            language. None: without py3langid.
    """

    codes: tuple[str, ...]
    weights: NDArray[np.float32]
    offsets: NDArray[np.float32]
    trust: NDArray[np.float32] | None

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probability of each language for each text, [texts, languages]."""
        owner, bucket = bucket_counts(texts)
        roots = np.sqrt(np.maximum(np.bincount(owner, minlength=len(texts)), 1))
        logits = np.empty((len(texts), len(self.codes)))
        for column in range(len(self.codes)):
            gathered = self.weights[bucket, column]
            logits[:, column] = np.bincount(owner, gathered, minlength=len(texts)) / roots
        logits += self.offsets
        if self.trust is not None and texts:
            identifier = base_identifier()
            base = np.array([base_scores(identifier, text, self.codes) for text in texts])
            logits += base @ self.trust
        odds = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))


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
        cascades: By script: a quick model, and a careful one for where the quick one is not sure.
    """

    def __init__(self, cascades: Mapping[str, tuple[Refinement, Refinement]]) -> None:
        self._cascades = cascades

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
            cascades = {
                script: (
                    _refinement(tensors, f"{script}.quick", codes),
                    _refinement(tensors, f"{script}.careful", codes),
                )
                for script, codes in SHARED_SCRIPTS.items()
            }
        except (OSError, KeyError, SafetensorError) as error:
            raise ModelError(
                f"The language model {path.name} cannot be read ({error}).",
                mend="reinstall civilly, or train the model again: civilly train language",
            ) from error
        return cls(cascades)

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
                if script not in SHARED_SCRIPTS and script in share:
                    row[code] = share[script] / total
        for script, codes in SHARED_SCRIPTS.items():
            chosen = [i for i, share in enumerate(shares) if script in share]
            refined = self._refined([texts[i] for i in chosen], script)
            for index, among in zip(chosen, refined, strict=True):
                part = shares[index][script] / sum(shares[index].values())
                for code, probability in zip(codes, among.tolist(), strict=True):
                    rows[index][code] = part * probability
        return rows

    def identify(self, texts: Sequence[str]) -> list[str]:
        """The most probable language of each text, in order; English where there are no letters."""
        return [max(row, key=row.__getitem__) for row in self.probabilities(texts)]

    def quick(self, texts: Sequence[str], script: str) -> list[dict[str, float]]:
        """Probability of each language of a script of several, from the quick model alone.

        Args:
            texts: Texts in that script.
            script: One of `SHARED_SCRIPTS`.

        Returns:
            One dictionary per text, in order; each sums to 1.
        """
        found = self._cascades[script][0].probabilities(texts).tolist()
        return [dict(zip(SHARED_SCRIPTS[script], row, strict=True)) for row in found]

    def _refined(self, texts: Sequence[str], script: str) -> NDArray[np.float64]:
        quick, careful = self._cascades[script]
        found = quick.probabilities(texts)
        unsure = np.flatnonzero(found.max(axis=1, initial=0.0) < SURE).tolist()
        found[unsure] = careful.probabilities([texts[i] for i in unsure])
        return found


def _refinement(
    tensors: Mapping[str, NDArray[Any]], name: str, codes: tuple[str, ...]
) -> Refinement:
    weights = tensors[f"{name}.weights"].astype(np.float32) * tensors[f"{name}.scale"]
    return Refinement(codes, weights, tensors[f"{name}.offsets"], tensors.get(f"{name}.trust"))


@cache
def base_identifier() -> Any:
    """An identifier of py3langid of our own; the module's shared one stays as it is."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([code for code in CODES if code != "hin"])
    return identifier


def base_scores(identifier: Any, text: str, codes: Sequence[str]) -> list[float]:
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


def quick_probabilities(texts: Sequence[str], script: str) -> list[dict[str, float]]:
    """See `Identifier.quick`, with the model of the package: no py3langid, a tenth of its time."""
    return _shipped().quick(texts, script)
