"""What is the same in every country: addresses of mail, cards, bank accounts."""

import re
from collections.abc import Iterator

from llm_core.screening.finders.base import PatternFinder, digits_of, luhn
from llm_core.screening.redact import Finding

_LOCAL = frozenset("!#$%&'*+-/=?^_`{|}~.")
_MOST_LOCAL_CHARS = 64
_DOMAIN = re.compile(
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})"
)

IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
    "BI": 27, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27,
    "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27,
    "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28,
    "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
    "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22,
    "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23,
    "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24,
    "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28,
    "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip
"""Characters of an IBAN by country.

Source:
    https://www.swift.com/standards/data-standards/iban-international-bank-account-number
"""

_IBAN_START = re.compile(r"(?<![^\W_])[A-Za-z]{2}[0-9]{2}(?=[ \u00a0-]?[A-Za-z0-9])")
_GAPS = frozenset(" \u00a0-")
_CARD_LENGTHS = {
    "3": (14, 15, 16),
    "4": (13, 16, 19),
    "5": (16,),
    "6": (13, 16, 17, 18, 19),
    "2": (16,),
}
_MASTERCARD_2 = range(2221, 2721)


class EmailFinder:
    """Addresses of mail, wherever they lead: an unknown top-level domain is somebody's intranet.

    Looks for the `@` first, so that a long text without one costs nothing.
    """

    kind = "EMAIL_ADDRESS"

    def find(self, text: str) -> Iterator[Finding]:
        """All of them in `text`."""
        for match in _DOMAIN.finditer(text):
            start = at = match.start()
            least = max(at - _MOST_LOCAL_CHARS, 0)
            while start > least and (text[start - 1].isalnum() or text[start - 1] in _LOCAL):
                start -= 1
            while start < at and text[start] in _LOCAL and text[start] != "_":
                start += 1
            if start < at:
                yield Finding(start, match.end(), self.kind)


class IbanFinder:
    """Bank accounts of every country that has IBANs, in one piece or in groups.

    Source:
        ISO 13616-1 and ISO/IEC 7064, MOD 97-10
    """

    kind = "IBAN_CODE"

    def find(self, text: str) -> Iterator[Finding]:
        """All of them in `text`."""
        for match in _IBAN_START.finditer(text):
            length = IBAN_LENGTHS.get(match.group()[:2].upper())
            end = None if length is None else _end_of(text, match.start(), length)
            if end is not None and is_iban(text[match.start() : end]):
                yield Finding(match.start(), end, self.kind)


def _end_of(text: str, start: int, length: int) -> int | None:
    """Behind the `length`th letter or digit, with single gaps between them."""
    at, seen, was_gap = start, 0, False
    while at < len(text) and seen < length:
        one = text[at]
        if one.isascii() and one.isalnum():
            seen, was_gap = seen + 1, False
        elif one in _GAPS and not was_gap:
            was_gap = True
        else:
            return None
        at += 1
    is_whole = seen == length and not (at < len(text) and text[at].isalnum())
    return at if is_whole else None


def is_iban(text: str) -> bool:
    """Whether length and check digits are those of an IBAN."""
    given = digits_of(text)
    if len(given) != IBAN_LENGTHS.get(given[:2]):
        return False
    return int("".join(str(int(one, 36)) for one in given[4:] + given[:4])) % 97 == 1


def is_card(text: str) -> bool:
    """Whether length, issuer and check digit are those of a payment card."""
    given = digits_of(text)
    if len(given) not in _CARD_LENGTHS.get(given[:1], ()):
        return False
    if given[0] == "2" and int(given[:4]) not in _MASTERCARD_2:
        return False
    return len(set(given)) > 1 and luhn([int(one) for one in given])


COMMON = (
    EmailFinder(),
    IbanFinder(),
    PatternFinder(
        "CREDIT_CARD",
        re.compile(
            r"(?<![\w.])(?<![0-9]-)[2-6][0-9]{3}(?:[ \u00a0-]?[0-9]){9,15}(?![\w]|[.,-][0-9])"
        ),
        is_card,
        score=1.0,
    ),
)
