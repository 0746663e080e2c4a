"""Makes faults out of good pairs: holes, lost content, insults left, words that say something else.

Readings are few and come from few systems; these show the judge each fault many times over, in
sentences whose good version it sees beside them. Labels are soft, since a cut may read well. Some
are what a writer would do who wants to please the judge and not the reader: masks, polite
sentences that say something else, another language.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from civilly.data.readings import FAULTS
from civilly.languages import language

_UNIT = re.compile(r"\s*\S+")
_POOLED = 300

Opcode = tuple[str, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Made:
    """A rewrite that was made, with what a reader would probably say.

    Attributes:
        rewrite: It.
        faults: Probability of each of `FAULTS`.
        use: Expected use, in [0, 2].
    """

    rewrite: str
    faults: tuple[float, ...]
    use: float


def _label(**shares: float) -> tuple[float, ...]:
    return tuple(shares.get(fault, 0.0) for fault in FAULTS)


_GOOD = _label(good=0.94, gap=0.02, meaning=0.02, overcut=0.02)
_HOLE = _label(good=0.05, gap=0.8, insult=0.02, meaning=0.05, overcut=0.08)
_COPY = _label(kept=1.0)
_TRAILED = _label(insult=0.05, kept=0.95)
_INSULT = _label(good=0.1, gap=0.1, insult=0.6, meaning=0.05, kept=0.15)
_CUT = _label(good=0.12, gap=0.55, meaning=0.15, overcut=0.18)
_HALF = _label(gap=0.3, meaning=0.1, overcut=0.6)
_UNRELATED = _label(meaning=0.96, overcut=0.04)
_INVENTED = _label(good=0.02, gap=0.08, meaning=0.9)
_MASKED = _label(insult=0.9, kept=0.1)
_FOREIGN = _label(meaning=0.1, other=0.9)
_OTHER_WORD = _label(good=0.03, gap=0.32, insult=0.02, meaning=0.55, other=0.08)


class FaultMaker:
    """Makes faults in pairs of one language.

    Args:
        lang: Language code.
        civil: Civil texts, which are put where they do not belong, as are their words.
        foreign: Civil texts of other languages.
        rng: Chooses faults, places and words.
    """

    def __init__(
        self, lang: str, civil: Sequence[str], foreign: Sequence[str], rng: random.Random
    ) -> None:
        self._civil = civil
        self._foreign = foreign
        self._spaces = language(lang).spaces
        self._rng = rng
        words = [unit for text in civil[:_POOLED] for unit in self._units(text)]
        self._pool = [word for word in words if not self._spaces or len(word.strip()) > 2]

    def _units(self, text: str) -> list[str]:
        return _UNIT.findall(text) if self._spaces else list(text)

    def rewrites(self, toxic: str, civil: str) -> list[Made]:
        """The civil side, and what was made of it; no two of them equal.

        Args:
            toxic: A toxic text.
            civil: The same, made civil.
        """
        old, new = self._units(toxic), self._units(civil)
        matcher = SequenceMatcher(
            None, [unit.strip() for unit in old], [unit.strip() for unit in new], autojunk=False
        )
        opcodes = matcher.get_opcodes()
        kept = [j for kind, _, _, c, d in opcodes if kind == "equal" for j in range(c, d)]
        made = [
            Made(civil, _GOOD, 2.0),
            *self._hole(old, opcodes),
            *([Made(toxic, _COPY, 0.0)] if self._rng.random() < 0.6 else []),
            *self._insult_left(old, new, opcodes),
            *self._cut(new, kept),
            *self._other_word(new, kept),
            *self._masked(old, opcodes),
            *self._pleasing(toxic, civil, new),
        ]
        unique: dict[str, Made] = {}
        for each in made:
            if each.rewrite and (each.rewrite != toxic or each.faults == _COPY):
                unique.setdefault(each.rewrite, each)
        return list(unique.values())

    def _hole(self, old: list[str], opcodes: Sequence[Opcode]) -> list[Made]:
        """All that was replaced is cut instead."""
        equal = [(a, b) for kind, a, b, _, _ in opcodes if kind == "equal"]
        replaces = any(kind == "replace" for kind, *_ in opcodes)
        if not replaces or sum(b - a for a, b in equal) < 3:
            return []
        return [Made("".join("".join(old[a:b]) for a, b in equal).strip(), _HOLE, 0.1)]

    def _insult_left(self, old: list[str], new: list[str], opcodes: Sequence[Opcode]) -> list[Made]:
        """One of several changes is not made."""
        changed = [opcode for opcode in opcodes if opcode[0] != "equal"]
        if len(changed) < 2:
            return []
        left = self._rng.choice(changed)
        parts = (
            old[a:b] if kind == "equal" or (kind, a, b, c, d) == left else new[c:d]
            for kind, a, b, c, d in opcodes
        )
        return [Made("".join(map("".join, parts)).strip(), _INSULT, 0.3)]

    def _cut(self, new: list[str], kept: list[int]) -> list[Made]:
        """A word or two of what stays are missing."""
        if len(kept) <= 4 or self._rng.random() >= 0.5:
            return []
        place = self._rng.choice(kept)
        size = self._rng.choice([1, 1, 2] if self._spaces else [2, 3, 4])
        return [Made("".join(new[:place] + new[place + size :]).strip(), _CUT, 0.5)]

    def _other_word(self, new: list[str], kept: list[int]) -> list[Made]:
        """A word of another sentence stands in the place of one."""
        if len(kept) <= 3 or not self._pool or self._rng.random() >= 0.5:
            return []
        place = self._rng.choice(kept)
        blank = " " if new[place][:1].isspace() else ""
        word = blank + self._rng.choice(self._pool).strip()
        return [Made("".join([*new[:place], word, *new[place + 1 :]]).strip(), _OTHER_WORD, 0.15)]

    def _masked(self, old: list[str], opcodes: Sequence[Opcode]) -> list[Made]:
        """What had to go has lost some of its letters only."""
        changed = {j for kind, a, b, _, _ in opcodes if kind != "equal" for j in range(a, b)}
        if not changed or self._rng.random() >= 0.25:
            return []
        sign = self._rng.choice("*#.-_")
        units = [_mask(unit, sign) if j in changed else unit for j, unit in enumerate(old)]
        return [Made("".join(units).strip(), _MASKED, 0.0)]

    def _pleasing(self, toxic: str, civil: str, new: list[str]) -> list[Made]:
        """One rewrite that is civil, or has something civil in it, and of no use."""
        if not self._civil or not self._foreign:
            return []
        blank = " " if self._spaces else ""
        other = self._rng.choice(self._civil)
        made = [
            Made(other, _UNRELATED, 0.0),
            Made(toxic + blank + other, _TRAILED, 0.0),
            Made(civil + blank + other, _INVENTED, 0.3),
            Made(self._rng.choice(self._foreign), _FOREIGN, 0.0),
            Made("".join(new[: len(new) // 2]).strip(), _HALF, 0.2),
        ]
        return [self._rng.choice(made)]


def _mask(unit: str, sign: str) -> str:
    """A word with a sign for each letter inside it; a sign alone for one or two letters."""
    word = unit.strip()
    if not word:
        return unit
    masked = word[0] + sign * (len(word) - 2) + word[-1] if len(word) > 2 else sign
    return unit.replace(word, masked)
