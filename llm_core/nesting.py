"""How deep JSON of others may be nested.

Whatever reads, writes or walks through a value calls itself once for each level. Without a limit of
ours the interpreter's would count, which leaves fewer levels the deeper a caller stands.
"""

import json

import msgspec

MAX_DEPTH = 128
"""Levels of lists and objects.

A request with a tool whose schema has objects in objects, ten deep, as deep as OpenAI's strict ones
may be, has some thirty.
"""


def is_too_deep(text: bytes | str) -> bool:
    """Whether JSON has more than `MAX_DEPTH` levels; for readers that do not build all of it.

    Of a text that is no JSON it is said that it is not: its reader knows better what it is.
    """
    openings = openings_in(text)
    if openings <= MAX_DEPTH:
        return False
    try:
        return has_too_many_levels(_read(text), openings)
    except RecursionError:
        return True
    except (ValueError, UnicodeError):
        return False


def _read(text: bytes | str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(text)  # some readers are its, and it takes `NaN` and halves of surrogates


def has_too_many_levels(value: object, openings: int) -> bool:
    """Whether a value that was read has more than `MAX_DEPTH` levels of lists and objects.

    Walks through it level by level, unless what it was read from cannot have so many.

    Args:
        value: Of JSON's types.
        openings: `openings_in` its text.
    """
    if openings <= MAX_DEPTH:
        return False
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for one in level:
            below += one.values() if isinstance(one, dict) else one
        level = [one for one in below if isinstance(one, dict | list)]
        if not level:
            return False
    return True


def openings_in(text: bytes | str) -> int:
    """How many `[` and `{` stand in a text: no fewer than it can have levels."""
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")
