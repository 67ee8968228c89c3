"""Phrases that are looked for however they are written.

Text and phrase are brought into one form first: letters that look like Latin ones become these,
marks, invisible characters and punctuation fall away, case and white space do not matter.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

_LOOK_ALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0445\u0443\u0456\u0458\u0455\u0501\u04bb\u051b\u051d\u043a"
    "\u043c\u043d\u0442\u0432\u0433\u03b1\u03b5\u03bf\u03c1\u03bd\u03b9\u03ba\u03c4\u03c5\u03c7"
    "\u0131\u0261\u0251\u217c\u00f8\u0142",
    "aeopcxyijsdhqwkmhtbraeopviktuxigalol",
)
"""Cyrillic, Greek and other letters, small ones, that look like Latin ones.

Source:
    https://www.unicode.org/Public/security/latest/confusables.txt
"""
_ANY_WORDS = "*"


def plain(text: str) -> str:
    """The text in the one form: small Latin letters and digits, single blanks between the words."""
    seen = (
        one
        for one in unicodedata.normalize("NFKD", text).casefold()
        if unicodedata.category(one) not in ("Cf", "Mn", "Me", "Cc") or one in "\n\t\r"
    )
    words = "".join(one if one.isalnum() else " " for one in seen).translate(_LOOK_ALIKES)
    return " ".join(words.split())


class Phrases:
    """Any number of phrases.

    Args:
        phrases: A `*` in one stands for up to three words.
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        """Bring them into the one form."""
        patterns = [pattern for one in phrases if (pattern := _pattern(one.split()))]
        self._pattern = re.compile("|".join(f"(?:{one})" for one in patterns) or r"(?!)")

    def stand_in(self, text: str) -> bool:
        """Whether any of them stands in a text."""
        return self._pattern.search(f" {plain(text)} ") is not None


def _pattern(words: Sequence[str]) -> str:
    pieces = [
        r"(?:\w+ ){0,3}" if word == _ANY_WORDS else "".join(f"{p} " for p in plain(word).split())
        for word in words
    ]
    return f" {''.join(pieces)}" if any(one != _ANY_WORDS for one in words) else ""
