"""Refusals and disclaimers: what an assistant says instead of, or about, a rewrite."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from civilly.languages import UNSPACED
from civilly.synth.filters import FilterTools, Measure, Sample

ORDER = 25
THRESHOLD = 0.5

WEIGHTS: Mapping[str, float] = {
    "assistant": 0.8,
    "unable": 0.7,
    "preamble": 0.8,
    "lesson": 0.6,
    "changed": 0.4,
    "about": 0.4,
    "policy": 0.4,
    "insults": 0.3,
    "sorry": 0.3,
}
"""How probable each kind of evidence alone makes it: the speaker is a machine; cannot do what it
was asked; announces its answer; teaches manners; tells what it changed; speaks of the text as a
text; of rules; of insults; is sorry."""


def refusal(samples: Sequence[Sample]) -> list[float | None]:
    """1 - the probability that the answer is a refusal or a disclaimer, by `score`."""
    return [
        1.0 - max(score(text, each.lang, each.real) for text in each.written) for each in samples
    ]


def score(answer: str, lang: str, text: str = "") -> float:
    """How probably an answer is a refusal or disclaimer, in [0, 1].

    The kinds of evidence that it shows are put together as if they were independent (noisy or).
    What the text that was to be rewritten shows as well is no evidence. English phrases count in
    every language: models fall back on them.

    Args:
        answer: What a model said.
        lang: Language code of the text.
        text: What was to be rewritten.
    """
    answer, text = _plain(answer), _plain(text)
    unlikely = 1.0
    for kind, weight in WEIGHTS.items():
        found = [patterns()[code].get(kind) for code in dict.fromkeys((lang, "en"))]
        shown = [each for each in found if each and each.search(answer)]
        if shown and not any(each.search(text) for each in shown):
            unlikely *= 1.0 - weight
    return 1.0 - unlikely


@cache
def patterns() -> Mapping[str, Mapping[str, re.Pattern[str]]]:
    """By language and kind of evidence; the phrases are in ``refusal_phrases.toml``.

    A phrase is a regular expression. It begins where a word does, except in scripts without
    spaces; in it a space is any few blanks, and ``…`` up to 40 characters of the same sentence.
    """
    source = files("civilly.synth").joinpath("refusal_phrases.toml").read_text(encoding="utf-8")
    return {
        lang: {kind: _compiled(phrases) for kind, phrases in kinds.items()}
        for lang, kinds in tomllib.loads(source).items()
    }


def _compiled(phrases: Sequence[str]) -> re.Pattern[str]:
    written = [
        (phrase if re.search(f"[{UNSPACED}]", phrase) else rf"(?<!\w){phrase}")
        .replace("…", r"[^.!?。！？።؟।]{0,40}?")
        .replace(" ", r"\s+")
        for phrase in phrases
    ]
    return re.compile("|".join(written))


def _plain(text: str) -> str:
    """In one case, with straight apostrophes."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub("[’‘ʼ`´]", "'", folded).strip()


def create(tools: FilterTools) -> Measure:
    """The filter."""
    return refusal
