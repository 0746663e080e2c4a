"""Personal data left as it was: addresses, telephone, account and card numbers on either side."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from civilly.synth.filters import FilterTools, Measure, Sample

ORDER = 5
THRESHOLD = 1.0

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+\s?@\s?[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"@(?:example|test|localhost)\b", re.IGNORECASE)
_PHONE = re.compile(r"(?<![\w.,/-])(?:\+|00|\(?0)[\d\s()./-]{7,20}\d(?![\w/-])")
_DIGITS = re.compile(r"(?<!\w)(?:\d[ -]?){12,18}\d(?!\w)")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")
_DATE = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}")
_LEAST_DIGITS = 8


def personal(samples: Sequence[Sample]) -> list[float | None]:
    """1 if neither side holds any, else 0; names and ``@names`` are not looked for."""
    return [float(not any(map(holds, {sample.given, *sample.written}))) for sample in samples]


def holds(text: str) -> bool:
    """Whether a text holds personal data that its form tells.

    That is e-mail and IP addresses, telephone numbers in the international form or with a leading
    0, and IBANs and card numbers that are valid.
    """
    emails = (match.group() for match in _EMAIL.finditer(text))
    return (
        any(not _PLACEHOLDER.search(found) for found in emails)
        or any(_is_phone(match.group()) for match in _PHONE.finditer(text))
        or any(_is_card(match.group()) for match in _DIGITS.finditer(text))
        or any(_is_iban(match.group()) for match in _IBAN.finditer(text))
        or any(_is_public(match.group()) for match in _ADDRESS.finditer(text))
    )


def _is_phone(text: str) -> bool:
    is_date = _DATE.fullmatch(text.strip())
    return not is_date and _LEAST_DIGITS <= sum(map(str.isdigit, text)) <= 15


def _is_card(text: str) -> bool:
    """Luhn's checksum, ISO/IEC 7812-1."""
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [d if place % 2 == 0 else sum(divmod(2 * d, 10)) for place, d in
               enumerate(reversed(digits))]  # fmt: skip
    return len(set(digits)) > 1 and sum(doubled) % 10 == 0


def _is_iban(text: str) -> bool:
    """The remainder of 97, ISO 13616."""
    plain = text.replace(" ", "")
    turned = plain[4:] + plain[:4]
    return len(plain) >= 15 and int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def _is_public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def create(tools: FilterTools) -> Measure:
    """The filter."""
    return personal
