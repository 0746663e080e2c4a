"""Finds seams where a cut has left a hole: two frequent words side by side that never meet.

"You are a idiot." without its insult is "You are a." In civil text "a" stands before the end of a
clause far more rarely than its frequency lets expect. For the frequent words of each language, and
the edge of a clause as one of them, the table keeps the pairs that are as rare as that. Only pairs
that the rewrite has and the input has not are looked at, so what the user wrote is never a fault.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from functools import cached_property, lru_cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

from civilly.languages import UNSPACED_LETTER

EDGE = "|"
"""Stands for the beginning and end of a text and for punctuation."""
WEIGHTS = Path(str(files("civilly").joinpath("weights/seams/seams.json")))
_INSIDE_WORDS = "'’-"


class Seams:
    """The pairs of words that do not meet, by language.

    Args:
        path: What `civilly.train.seams` wrote; default: the shipped table.
    """

    def __init__(self, path: Path = WEIGHTS) -> None:
        self._path = path

    @cached_property
    def _strangers(self) -> Mapping[str, Mapping[str, frozenset[str]]]:
        table = json.loads(self._path.read_text("utf-8"))["strangers"]
        return {
            lang: {left: frozenset(rights.split()) for left, rights in rows.items()}
            for lang, rows in table.items()
        }

    def broken(self, source: str, output: str, lang: str) -> int:
        """How many pairs of the output, that the source has not, never meet in civil text.

        Args:
            source: The text before the rewrite.
            output: The rewrite.
            lang: Language code; a language without a table has no broken seams.
        """
        return strangers_of(self._strangers.get(lang, {}), source, output)


def strangers_of(
    strangers: Mapping[str, frozenset[str] | set[str]], source: str, output: str
) -> int:
    """How many neighbours in ``output``, that ``source`` has not, are strangers.

    Args:
        strangers: For a word those that never follow it.
        source: The text before.
        output: The text after.
    """
    known = set(pairwise(words(source)))
    return sum(
        right in strangers.get(left, ())
        for left, right in pairwise(words(output))
        if (left, right) not in known
    )


def words(text: str) -> list[str]:
    """The case-folded words of a text with `EDGE` at both ends and for each run of punctuation.

    In scripts without spaces every character is a word.
    """
    found, word = [EDGE], ""
    for character in text.casefold() + EDGE:
        kind = _kind(character)
        if kind == "word" or (word and character in _INSIDE_WORDS):
            word += character
            continue
        if word:
            found.append(word)
            word = ""
        if kind == "character":
            found.append(character)
        elif kind == "edge" and found[-1] != EDGE:
            found.append(EDGE)
    return found


@lru_cache(maxsize=20_000)
def _kind(character: str) -> str:
    if UNSPACED_LETTER.match(character):
        return "character"
    category = unicodedata.category(character)[0]
    return {"L": "word", "M": "word", "N": "word", "Z": "space", "C": "space"}.get(category, "edge")
