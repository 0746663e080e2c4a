"""Real persons in invented threads: public ones by name, handles, and names of two words."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from civilly.languages import UNSPACED
from civilly.synth.filters import FilterTools, Measure, Sample

ORDER = 6
THRESHOLD = 1.0

_HANDLE = re.compile(r"(?<![\w.])@\w{2,}")
_WORD = r"[^\W\d_](?:[^\W\d_]|['’-])+"
_FULL_NAME = re.compile(rf"(?<=[\w,;:] )({_WORD})(?= ({_WORD})(?!\w))")
"""Two words inside a sentence; both have to be written as names are."""
NOUNS_ARE_CAPITALISED = frozenset({"de"})


def person(samples: Sequence[Sample]) -> list[float | None]:
    """1 if nobody is named whom readers could know, else 0; of rewrites of real texts None.

    A given name alone tells of nobody. In languages without capitals, and in German, only handles
    and the names of `public_persons` are found.
    """
    return [
        float(not any(names(text, each.lang) for text in each.written))
        if each.direction.invents
        else None
        for each in samples
    ]


def names(text: str, lang: str) -> bool:
    """Whether a text names a person."""
    if _HANDLE.search(text) or public_persons().search(text):
        return True
    return lang not in NOUNS_ARE_CAPITALISED and any(
        all(word[:1].isupper() and not word.isupper() for word in found.groups())
        for found in _FULL_NAME.finditer(text)
    )


@cache
def public_persons() -> re.Pattern[str]:
    """Surnames of public persons whom comments are about most, in ``public_persons.toml``."""
    source = files("civilly.synth").joinpath("public_persons.toml").read_text(encoding="utf-8")
    found = [name for listed in tomllib.loads(source).values() for name in listed]
    unspaced = [each for each in found if re.search(f"[{UNSPACED}]", each)]
    spaced = [each for each in found if each not in unspaced]
    return re.compile(rf"(?<!\w)(?:{'|'.join(spaced)})(?:'?s|[а-яё]{{1,3}})?(?!\w)"
                      rf"|{'|'.join(unspaced)}")  # fmt: skip


def create(tools: FilterTools) -> Measure:
    """The filter."""
    return person
