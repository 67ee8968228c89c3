"""JSON as it goes over the wire."""

from collections.abc import Mapping
from typing import Any

import msgspec

from llm_core.errors import MalformedRequest

TOO_DEEP = "The request body is nested too deeply."
MAX_SEPARATORS = 1_000_000
"""Brackets, braces and commas in a body, those within texts included.

Each may open a value, and reading five million values takes two seconds in which nothing else in
the process runs. With this many it takes 0.6 s at worst. 16 MB of prose or code hold 0.2 to 0.5
million, of minified code 0.9. A table of numbers that holds more is a prompt that no model takes:
a separator in it is about a token.
"""


def parse_object(body: bytes) -> dict[str, Any]:
    """Decode the JSON object that a client sent.

    Raises:
        MalformedRequest: It is none; the message says what is wrong and quotes nothing.
    """
    if body.count(b"[") + body.count(b"{") + body.count(b",") > MAX_SEPARATORS:
        raise MalformedRequest(
            f"The request body has more than {MAX_SEPARATORS} brackets, braces and commas."
        )
    try:
        fields = msgspec.json.decode(body)
    except UnicodeDecodeError:
        raise MalformedRequest("The request body is not valid UTF-8.") from None
    except msgspec.DecodeError as error:
        # The decoder names the kind of fault and its position; it quotes no text.
        raise MalformedRequest(f"The request body is not valid JSON: {error}.") from None
    except RecursionError:
        raise MalformedRequest(TOO_DEEP) from None
    if not isinstance(fields, dict):
        raise MalformedRequest("The request body must be a JSON object.")
    return fields


def encode(body: Mapping[str, Any]) -> bytes:
    """Encode, members in the order in which they stand.

    Raises:
        MalformedRequest: The body is nested too deeply. A body that could just be read can still
            be too deep to write: the interpreter's limit counts the callers as well.
    """
    try:
        return msgspec.json.encode(body)
    except RecursionError:
        raise MalformedRequest(TOO_DEEP) from None


def decode_object(body: bytes) -> dict[str, Any] | None:
    """Decode a JSON object that somebody else sent; `None` when it is anything else."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
