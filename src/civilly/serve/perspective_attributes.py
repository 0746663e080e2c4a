"""Which of Perspective's attributes are served, from what, and in which languages.

The detector gives one probability, that a text is toxic, and says of threats whether it found one.
So `TOXICITY` is that probability and `THREAT` is 1 or 0. Of the other attributes it knows nothing
apart. With the policy ``strict`` they are refused, as Perspective refused attributes that it did
not have. With ``proxy``, for clients that ask for six at once and fail if one is refused, the four
others of production stand for how toxic the text is, whatever makes it so: insults, profanity and
attacks on a group are not told apart. Attributes of other things (spam, flirtation, …) are always
refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from civilly.detect import THREAT
from civilly.languages import language_code
from civilly.types import Detection

Policy = Literal["strict", "proxy"]
"""Whether attributes that the detector does not tell apart are served; see the module."""
POLICIES: tuple[str, ...] = get_args(Policy)

NATIVE = ("TOXICITY", "THREAT")
PROXIES = ("SEVERE_TOXICITY", "IDENTITY_ATTACK", "INSULT", "PROFANITY")
_NAME = re.compile(r"(?P<base>[A-Z_]+?)(?:_EXPERIMENTAL)?(?:@[0-9A-Za-z]+)?")
"""Perspective had versions (``TOXICITY@5``) and previews (``TOXICITY_EXPERIMENTAL``)."""

CODES = {"hin": "hi-Latn", "he": "iw"}
"""Our languages that Perspective, or its language detector, spells otherwise."""


def served(policy: Policy) -> tuple[str, ...]:
    """The attributes of a policy."""
    return NATIVE if policy == "strict" else NATIVE + PROXIES


def attribute(name: str, policy: Policy) -> str | None:
    """The attribute of `served` that a name asks for, also by version; None if there is none."""
    match = _NAME.fullmatch(name)
    return match["base"] if match and match["base"] in served(policy) else None


def value(base: str, detection: Detection) -> float:
    """The summary score of an attribute, in [0, 1].

    `SEVERE_TOXICITY` was made to care less about mild forms, so its proxy is the square of
    p(toxic): .25 at .5, .81 at .9. It ranks texts as p(toxic) does and never exceeds it.
    """
    if base == "THREAT":
        return 1.0 if THREAT in detection.flags else 0.0
    return detection.p_toxic**2 if base == "SEVERE_TOXICITY" else detection.p_toxic


def written(code: str) -> str:
    """One of our language codes as Perspective spells it."""
    return CODES.get(code, code)


def ours(tags: Iterable[str]) -> list[str | None]:
    """Our codes for language tags (`civilly.languages.language_code`); None for other languages."""
    return [language_code(tag) for tag in tags]


def utf16(text: str, places: Sequence[int]) -> list[int]:
    """Places in a text, in code points and ascending, as places in UTF-16 code units."""
    found, last, units = [], 0, 0
    for place in places:
        units += len(text[last:place].encode("utf-16-le", "surrogatepass")) // 2
        found.append(units)
        last = place
    return found
