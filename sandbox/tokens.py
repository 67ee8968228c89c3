"""How the sandbox counts tokens: a rule simple enough to do by hand.

A text has one token for every word (a run of characters that are not white space). Every message
costs `MESSAGE_TOKENS` more, every request `REQUEST_TOKENS`, an image `IMAGE_TOKENS`; a tool
definition counts as the text of its compact JSON. No real tokenizer finds fewer tokens in a text
than it has words, and the constants are those of OpenAI's cookbook, so a careful estimate of a
prompt is never below the sandbox's count.
"""

import re

import msgspec

MESSAGE_TOKENS = 3
REQUEST_TOKENS = 3
IMAGE_TOKENS = 85

_PIECE = re.compile(r"\s*\S+")


def words(text: str) -> tuple[str, ...]:
    """Split a text at white space."""
    return tuple(text.split())


def count(text: str) -> int:
    """Count the tokens of a text: its words."""
    return len(text.split())


def count_json(document: object) -> int:
    """Count the tokens of a tool definition or of a tool's input."""
    return count(msgspec.json.encode(document).decode())


def pieces(text: str) -> list[str]:
    """Cut a text into its tokens; joined again they give the text without trailing space."""
    return _PIECE.findall(text)
