"""Telephone numbers: what may be one, and then the numbering plans of the world.

A number with its country is found by itself, and so is one that is written as numbers are in some
country of `REGIONS`. Bare digits are one only where a cue stands near.
"""

import re
from collections.abc import Iterator

import phonenumbers

from llm_core.screening.finders.base import Cues
from llm_core.screening.redact import Finding

REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "PL", "CH", "AT", "IN", "BR", "AU")

_CANDIDATE = re.compile(
    r"(?<![\w.,:/-])(?<![+(])(?:\+|\(\+?)?[0-9](?:[ \u00a0().\-/]{0,3}[0-9]){5,16}"
    r"(?![\w]|[.,:/-][0-9])"
)
_CUES = Cues(
    (
        "tel", "phone", "mobile", "cell", "call me", "fax", "whatsapp", "sms", "handy", "mobil",
        "ruf", "anruf", "fon", "portable",
        "numéro est", "number is", "nummer ist", "appel", "móvil", "movil", "llam",
        "cellulare", "chiam", "bel ", "gsm", "komórk", "numer tel",
    )
)  # fmt: skip
_NATIONAL = re.compile(
    r"0[0-9 \u00a0().\-/]{7,}|\(0?[0-9]{2,5}\)[0-9 \u00a0.\-/]{5,}"
    r"|[2-9][0-9]{2}[ .\-][2-9][0-9]{2}[ .\-][0-9]{4}"
)
_LOOKS_LIKE_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_LOOKS_LIKE_DATE = re.compile(r"[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,4}(?: .*)?")


class PhoneFinder:
    """Implements `Finder`."""

    kind = "PHONE_NUMBER"

    def find(self, text: str) -> Iterator[Finding]:
        """All of them in `text`."""
        for match in _CANDIDATE.finditer(text):
            written = match.group()
            start, end = match.span()
            if _LOOKS_LIKE_DATE.fullmatch(written) or _LOOKS_LIKE_ADDRESS.fullmatch(written):
                continue
            if written.startswith(("+", "(+", "00")):
                is_one = _is_valid(re.sub(r"^\(?\+|^00", "+", written), None)
            elif _NATIONAL.fullmatch(written) and re.search(r"[^0-9]", written):
                is_one = _is_somewhere(written)
            else:
                is_one = _CUES.are_near(text, start, end) and _is_somewhere(written)
            if is_one:
                yield Finding(start, end, self.kind, 0.7)


def _is_somewhere(written: str) -> bool:
    return any(_is_valid(written, region) for region in REGIONS)


def _is_valid(written: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(written, region))
    except phonenumbers.NumberParseException:
        return False
