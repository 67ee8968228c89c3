"""The texts in a question or an answer: found, and put back once they are redacted.

Both are JSON in whichever API. What is no text and could still say something is left out, because
nobody can take personal data out of it: images and sounds, opaque blobs, vectors and prompts that
were sent as tokens, and log probabilities, which repeat the answer word by word.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

_BLOB = re.compile(r"data:[\w.+-]*/?[\w.+-]*[;,].*|[A-Za-z0-9+/_-]{256,}={0,2}", re.DOTALL)
_REPEATING = ("logprobs", "top_logprobs")
_LONG_NUMBER = 1_000_000
"""From here on a number may be somebody's telephone or account."""


def without_blobs(value: Any, most_chars: int) -> tuple[Any, bool]:  # noqa: ANN401 - JSON
    """The same without what cannot be redacted, and no longer than this.

    A text that does not fit any more is left out whole: half of a name is not recognised as one.

    Args:
        value: JSON.
        most_chars: Of all texts together.

    Returns:
        What is left, and whether something was left out because of its length.
    """
    kept = _Kept(most_chars)
    return kept.of(value), kept.is_cut


def texts_in(value: Any) -> list[str]:  # noqa: ANN401 - JSON
    """Every text, keys and long numbers among them, each once, in order."""
    found: dict[str, None] = {}
    _gather(value, found)
    return list(found)


def replaced(value: Any, texts: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
    """The same with other texts in it.

    Args:
        value: JSON.
        texts: What stands for each that `texts_in` found.
    """
    match value:
        case str():
            return texts[value]
        case int() if _is_long(value):
            text = texts[str(value)]
            return value if text == str(value) else text
        case dict():
            return {texts[name]: replaced(inner, texts) for name, inner in value.items()}
        case list():
            return [replaced(inner, texts) for inner in value]
        case _:
            return value


def encoded(value: Any) -> bytes:  # noqa: ANN401 - JSON
    """JSON's bytes."""
    return msgspec.json.encode(value)


class _Kept:
    """Copies JSON as long as there is room for its texts."""

    def __init__(self, most_chars: int) -> None:
        self._left = most_chars
        self.is_cut = False

    def of(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        match value:
            case str():
                return self._text(value)
            case dict():
                self._left -= sum(map(len, value))
                return {
                    name: self.of(inner) for name, inner in value.items() if name not in _REPEATING
                }
            case list():
                if value and all(_is_number(inner) for inner in value):
                    return f"<{len(value)} numbers left out>"
                return [self.of(inner) for inner in value]
            case _:
                self._left -= 1
                self.is_cut |= self._left < 0
                return None if self._left < 0 else value

    def _text(self, text: str) -> str:
        if _BLOB.fullmatch(text):
            return f"<{len(text)} characters left out>"
        self._left -= len(text)
        if self._left < 0:
            self.is_cut = True
            return f"<{len(text)} characters left out>"
        return text


def _gather(value: Any, found: dict[str, None]) -> None:  # noqa: ANN401 - JSON
    match value:
        case str():
            found[value] = None
        case int() if _is_long(value):
            found[str(value)] = None
        case dict():
            for name, inner in value.items():
                found[name] = None
                _gather(inner, found)
        case list():
            for inner in value:
                _gather(inner, found)
        case _:
            pass


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_long(value: int) -> bool:
    return not isinstance(value, bool) and abs(value) >= _LONG_NUMBER
