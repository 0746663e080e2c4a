"""Numbers, times, dates, prices, versions and part numbers, apart from digits that are letters.

A digit inside a word is a disguise (``5h1t``, ``пид0р``), and so is one among letters that stand
apart (``5 h 1 t``). A number is one that stands alone, has a known unit or a single letter behind
it (``45s``, ``90с``, ``3D``), or is of several groups (``10:30``, ``1.299,99``) wherever it stands.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from civilly.detect.forms import MARKS, SPACED, Bounds, Finder, matches
from civilly.languages import UNSPACED_LETTER, in_word

_LARGE = 4
"""So many digits are no letters, even next to letters on one side: ``2019да``, ``በ2019``."""
_UNITS = (
    "kg|km|cm|mm|nm|ms|ns|ml|mg|min|sec|secs|hr|hrs|hz|khz|mhz|ghz|kb|mb|gb|tb|kbps|mbps|gbps|kw|kwh"
    "|mah|px|pt|dpi|fps|mph|kmh|km/h|kph|rpm|st|nd|rd|th|am|pm|uhr|eur|usd|rs|lbs|ft|mp|db|er|ers"
    "|руб|мин|сек|час|кг|км|см|мм|мл|мг|гр|тыс|млн|млрд|грн|шт|км/ч|гб|мб|кб|тб|вт|квт"
    "|лет|год|года|ый|ий|ой|ая|ое|го|му|ти|ми|нче|нчы|dar|lar"
)
_MONEY = "$€£¥₹₽₴₪₺₩￥＄"
_PREFIXING = re.compile("[\u0590-\u06ff\u0900-\u097f\u1200-\u139f]")
"""Letters of scripts that write prepositions and articles without a blank before digits."""
_COUNTERS = "年月日号號時时點点分秒元円块歳岁期回次人個个本枚台階楼番度杯倍割歩"
"""Chinese and Japanese count with these, right behind the number."""
_NUMERAL = re.compile(
    r"\d{1,3}(?: \d{3})++(?![\w.,:])|\d+(?:[.,:/'’٫٬\u00a0\u202f\-–×x](?=\d)\d+)*+"
)
_PHONE = re.compile(r"(?<![\w+])\+\d{1,3}(?:[ \-.]?(?:\d{1,10}|\(\d{1,5}\))(?!\w)){1,6}")
_NOT_ON = rf"(?!{SPACED}|[{MARKS}])"
"""No letter of a script with blanks between words comes next."""
_TAIL = re.compile(
    rf"\s?[%‰°{_MONEY}](?!\d)(?:[CFС]{_NOT_ON})?|(?:{_UNITS}){_NOT_ON}|{SPACED}{_NOT_ON}|[{_COUNTERS}]",
    re.IGNORECASE,
)
_HASH = re.compile(r"(?<![\w#&])[#№]\s?$")
_UPPER = "A-ZА-ЯІЇЄҐ"
_PART_NUMBER = re.compile(
    rf"(?<![\w\-*@$])(?:[{_UPPER}]{{1,4}}\d{{1,6}}[{_UPPER}]?|[{_UPPER}]\+\+\d{{0,2}}|[CF]#)"
    rf"{_NOT_ON}(?![\-*@$!]|#\w)"
    rf"|(?<![\w\-*@$])[{_UPPER}0-9]{{1,8}}[a-zа-я]?(?:-[{_UPPER}0-9]{{1,8}}[a-zа-я]?){{1,6}}"
    rf"{_NOT_ON}(?![\-*@$!])"
)
_VOWEL = re.compile("[AEIOUYАЕИІЇОУЫЭЮЯЄ]")
_DIGITS = re.compile(r"\d+")
_APART = r"[\s.\-_*/\\|,·•~+:;'\"^`]{1,3}"
_LETTERS_APART = re.compile(
    rf"(?<![\w{MARKS}*@#$])(?<!\w[.\-/:])[^\W_][{MARKS}]*+(?:{_APART}[^\W_][{MARKS}]*+(?![\w{MARKS}])){{2,}}"
)


def letters_apart(text: str) -> deque[Bounds]:
    """Runs of three or more letters and digits that stand alone, at least two of them letters.

    ``f u c k``, ``i. d. i. o. t.``, ``5_h_1_t``.
    """
    return deque(
        found.span()
        for found in _LETTERS_APART.finditer(text.replace("_", "-"))
        if sum(map(str.isalpha, found[0])) >= 2
    )


def _part_numbers(text: str) -> Iterator[Bounds]:
    return (m.span() for m in _PART_NUMBER.finditer(text) if _is_part_number(m[0]))


def _numerals(text: str) -> Iterator[Bounds]:
    runs = letters_apart(text)
    last = 0
    for found in _NUMERAL.finditer(text):
        while runs and runs[0][1] <= found.start():
            runs.popleft()
        if not runs or found.end() <= runs[0][0]:
            bounds = _number_at(text, *found.span())
            if bounds:
                yield max(last, bounds[0]), bounds[1]
                last = bounds[1]


def _is_part_number(found: str) -> bool:
    """Whether its letters make no word, and its digits are no letters of one.

    A run of three letters or more has no vowel (``RTX3080``, but not ``SHIT99``); a letter behind
    a digit needs a second digit (``SH1T``); of several groups one has two digits (``S-H-1-T``).
    """
    if "+" in found or "#" in found:
        return True
    groups = found.split("-")
    if any(len(run) > 2 and _VOWEL.search(run) for run in re.split(r"[\d\-]+", found)):
        return False
    longest = max((len(run) for run in _DIGITS.findall(found)), default=0)
    if len(groups) == 1:
        return longest > 1 or found[-1].isdigit()
    words_behind = any(len(group) > 2 and group.isalpha() for group in groups[1:])
    return longest > 1 and any(map(str.isalpha, found)) and not words_behind


def _number_at(text: str, start: int, end: int) -> Bounds | None:
    """The number with its currency, hash and unit; None if its digits are letters of a word."""
    digits = text[start:end]
    grouped = not digits.isdigit()
    if _is_masked(text, start, end):
        return None
    tail = _TAIL.match(text, end)
    last = tail.end() if tail else end
    if grouped and text[start - 1 : start] in ("v", "V"):
        start -= 1
    left, right = text[max(0, start - 1) : start], text[last : last + 1]
    if tail and tail[0] in _COUNTERS:
        right = ""
    if not _stands_free(left, right, digits, grouped=grouped):
        return None
    if (
        left
        and left in _MONEY + "+-−~≈"
        and not in_word(text[max(0, start - 2) : start - 1] or " ")
    ):
        start -= 1
    elif found := _HASH.search(text, max(0, start - 3), start):
        start = found.start()
    return start, last


def _stands_free(left: str, right: str, digits: str, *, grouped: bool) -> bool:
    before, after = _glued(left), _glued(right)
    if not before and not after:
        unspaced = any(map(UNSPACED_LETTER.match, (left, right)))
        return not unspaced or grouped or len(digits) > 1 or not right
    if left == "_" or right == "_" or (before and after):
        return False
    if grouped or len(digits) >= _LARGE:
        return True
    return bool(before and len(digits) > 1 and _PREFIXING.match(left))


def _glued(character: str) -> bool:
    """Whether a letter, digit or underscore belongs to the same word as a digit next to it."""
    if not character or UNSPACED_LETTER.match(character):
        return False
    return character == "_" or in_word(character)


def _is_masked(text: str, start: int, end: int) -> bool:
    """Whether signs tie it to letters: ``1!d10t``, ``b@1``, ``sh-1-t``."""
    left, right = text[max(0, start - 2) : start], text[end : end + 2]
    tied_left = len(left) == 2 and left[1] in "!|@$*+" and _glued(left[0])
    tied_right = (
        len(right) == 2 and right[0] in "!|@$*+" and _glued(right[1]) and right[1].isalpha()
    )
    if tied_left or tied_right:
        return True
    both = len(left) == len(right) == 2 and left[1] in ".-~·" and right[0] in ".-~·"
    return both and end - start == 1 and left[0].isalpha() and right[1].isalpha()


NUMBER_FINDERS: tuple[Finder, ...] = (matches(_PHONE), _part_numbers, _numerals)
"""Phone numbers; part numbers; then all other numbers with their prices and units."""
