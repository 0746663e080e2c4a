"""Refuses what no rewrite of a text can be: another language, script or length, odd characters."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from civilly.detect.language import (
    SHARED_SCRIPTS,
    quick_probabilities,
    script_shares,
    words_of,
)
from civilly.detect.scripts import script_of, scripts_of_language
from civilly.languages import language, says_something
from civilly.methods.blanks import fills_blanks
from civilly.types import Text

# The bounds were measured on pairs that people wrote (docs/decisions.md).
SHORTEST = 0.15
"""A candidate of fewer characters than this part of its text has lost it."""
LONGEST, LONGEST_MORE = 1.2, 20
"""A candidate of more characters than ``LONGEST · text + LONGEST_MORE`` says something else."""
LEAST_OF_SCRIPT = 0.5
"""What a candidate must keep of the share of letters that are in the text's main script."""
PRESENT = 0.2
"""A text with this share of letters in its language's script may become one in that alone."""
SURELY_OTHER, HARDLY_OWN = 0.95, 0.03
"""From this probability of another language, and up to this one of its own, it is in another."""
SURELY_OWN = 0.5
"""Only a text that is this probably in its language says what language a candidate should have."""
WITHOUT_KANA = 12
"""A Japanese candidate may have this many Han characters and no kana; more of them are Chinese."""
LEAST_WORDS = 3
"""Fewer words than this, of which some are names, say nothing about a language."""

JOINERS = "\u200c\u200d"
"""Invisible, but letters and emoji need them."""

EMPTIED = "without a word"
SHORT = "far shorter than civil rewrites are"
LONG = "far longer than civil rewrites are"
LINES = "of more lines than the text"
SCRIPT = "in another script than the text"
RUBBLE = "with characters that are no text"
FOREIGN = "with letters of a script that the text has not"
SYMBOL = "with a symbol that the text has not"
FILLED = "with words where the text has only blanks"


def refusals(texts: Sequence[Text], candidates: Sequence[str]) -> list[str | None]:
    """Why each candidate is no rewrite of its text, or None, in order.

    Code-mixed texts are safe: the language is judged only where the text itself is surely in its
    language, and a candidate that only leaves words out is never in another.

    Args:
        texts: The inputs.
        candidates: One proposal per input.
    """
    found = [
        refused_length(text.text, candidate)
        or refused_script(text, candidate)
        or refused_characters(text, candidate)
        or (FILLED if fills_blanks(text.text, candidate) else None)
        for text, candidate in zip(texts, candidates, strict=True)
    ]
    open_ones = [i for i, reason in enumerate(found) if reason is None]
    for i, reason in _refused_languages(texts, candidates, open_ones):
        found[i] = reason
    return found


def refused_length(source: str, candidate: str) -> str | None:
    """`EMPTIED`, `SHORT`, `LONG`, `LINES` or None; lengths in characters without blanks around."""
    if any(map(str.isalpha, source)) and not says_something(candidate):
        return EMPTIED
    length, made = len(source.strip()), len(candidate.strip())
    if len(candidate.splitlines()) > max(1, len(source.splitlines())):
        return LINES  # a model that goes on with its prompt's frame
    if made < SHORTEST * length:
        return SHORT
    return LONG if made > LONGEST * length + LONGEST_MORE else None


def refused_script(source: Text, candidate: str) -> str | None:
    """`SCRIPT` if the candidate left the main script of its text; None also without letters."""
    before, after = script_shares(source.text), script_shares(candidate)
    if language(source.lang).script == "Japanese":
        before["Japanese"] = before.pop("Han", 0.0) + before.get("Japanese", 0.0)
        # `script_shares` counts a Han character twice.
        if after.get("Han", 0.0) <= 2 * WITHOUT_KANA:
            after["Japanese"] = after.pop("Han", 0.0) + after.get("Japanese", 0.0)
    before, after = _parts(before), _parts(after)
    if not before or not after:
        return None
    own = language(source.lang).script
    if before.get(own, 0.0) >= PRESENT and after.get(own, 0.0) >= LEAST_OF_SCRIPT:
        return None  # names and hashtags in other letters may go
    main = max(before, key=before.__getitem__)
    return SCRIPT if after.get(main, 0.0) < LEAST_OF_SCRIPT * before[main] else None


def refused_characters(source: Text, candidate: str) -> str | None:
    """`RUBBLE`, `FOREIGN`, `SYMBOL` or None, by the characters that are new or more than before.

    Latin letters may be new, since people write names in them in every script (PUBG, RSS); so may
    symbols of ASCII, and punctuation marks other than brackets beyond ASCII.
    """
    new = Counter(candidate) - Counter(source.text)
    if any(map(_is_rubble, new)):
        return RUBBLE
    known = {script_of(character) for character in source.text}
    known |= {None, "Latin", *scripts_of_language(source.lang)}
    if any(script_of(character) not in known for character in new):
        return FOREIGN
    return SYMBOL if any(map(_is_symbol, new)) else None


def _is_rubble(character: str) -> bool:
    """Whether it stands for a lost character, or is invisible, unassigned or of private use."""
    if character == "\ufffd":
        return True
    kind = unicodedata.category(character)
    return kind[0] == "C" and not character.isspace() and character not in JOINERS


def _is_symbol(character: str) -> bool:
    """Whether it is a symbol, an emoji, a bracket or a shaped number (①, ½) beyond ASCII."""
    kind = unicodedata.category(character)
    return not character.isascii() and (kind[0] == "S" or kind in ("No", "Ps", "Pe"))


def _parts(amounts: Mapping[str, float]) -> dict[str, float]:
    """Amounts as parts of their sum; nothing where there is none."""
    total = sum(amounts.values())
    return {name: amount / total for name, amount in amounts.items() if amount}


def _refused_languages(
    texts: Sequence[Text], candidates: Sequence[str], rows: Sequence[int]
) -> Iterator[tuple[int, str]]:
    """Rows whose candidate is surely in another language of the text's script, with the reason."""
    for script, codes in SHARED_SCRIPTS.items():
        chosen = [
            i for i in rows if texts[i].lang in codes and _speaks(texts[i].text, candidates[i])
        ]
        before = quick_probabilities([texts[i].text for i in chosen], script)
        after = quick_probabilities([candidates[i] for i in chosen], script)
        for i, was, now in zip(chosen, before, after, strict=True):
            own, other = texts[i].lang, max(now, key=now.__getitem__)
            drifted = now[other] >= SURELY_OTHER and now[own] <= HARDLY_OWN
            if other != own and drifted and was[own] >= SURELY_OWN:
                yield i, f"in another language ({language(other).name}) than the text"


def _speaks(source: str, candidate: str) -> bool:
    """Whether a candidate has enough words to tell its language, and some that are new."""
    words = words_of(candidate)
    return len(words) >= LEAST_WORDS and not set(words) <= set(words_of(source))
