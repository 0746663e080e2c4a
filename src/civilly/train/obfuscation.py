"""Writes words the way people do who want to slip past a filter."""

from __future__ import annotations

import random
from collections.abc import Callable

_LEET = str.maketrans("oieastоичз", "013457014" + "3")
_HOMOGLYPHS = str.maketrans("aceopxyаеоху" + "ср", "асеорхуaeoxy" + "cp")
_ZERO_WIDTH = "\u200b"


def leet(word: str, rng: random.Random) -> str:
    """Digits for letters: ``shit`` → ``5h17``."""
    return word.lower().translate(_LEET)


def homoglyphs(word: str, rng: random.Random) -> str:
    """One letter from another script that looks the same."""
    places = [i for i, c in enumerate(word) if c.translate(_HOMOGLYPHS) != c]
    if not places:
        return word
    place = rng.choice(places)
    return word[:place] + word[place].translate(_HOMOGLYPHS) + word[place + 1 :]


def spaced(word: str, rng: random.Random) -> str:
    """A space between all letters."""
    return " ".join(word)


def dotted(word: str, rng: random.Random) -> str:
    """A dot between all letters."""
    return ".".join(word)


def stretched(word: str, rng: random.Random) -> str:
    """One inner letter three to five times."""
    place = rng.randrange(len(word))
    return word[:place] + word[place] * rng.randint(3, 5) + word[place + 1 :]


def zero_width(word: str, rng: random.Random) -> str:
    """Invisible spaces between all letters."""
    return _ZERO_WIDTH.join(word)


def masked(word: str, rng: random.Random) -> str:
    """One or two inner letters hidden by asterisks."""
    if len(word) < 3:
        return word
    place = rng.randrange(1, len(word) - 1)
    width = min(rng.randint(1, 2), len(word) - 1 - place)
    return word[:place] + "*" * width + word[place + width :]


def swapped(word: str, rng: random.Random) -> str:
    """Two neighbouring inner letters exchanged."""
    if len(word) < 4:
        return word
    place = rng.randrange(1, len(word) - 2)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


DISGUISES: dict[str, Callable[[str, random.Random], str]] = {
    "leet": leet,
    "homoglyphs": homoglyphs,
    "spaced": spaced,
    "dotted": dotted,
    "stretched": stretched,
    "zero_width": zero_width,
    "masked": masked,
    "swapped": swapped,
}
"""Every disguise by name; each takes a word and a source of chance."""
