"""JSON as it goes over the wire."""

from collections.abc import Mapping
from typing import Any

import msgspec

from llm_core.errors import MalformedRequest
from llm_core.nesting import MAX_DEPTH, has_too_many_levels, openings_in

TOO_DEEP = f"The request body is nested too deeply: it may have {MAX_DEPTH} levels."
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
    openings = openings_in(body)
    if openings + body.count(b",") > MAX_SEPARATORS:
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
    if has_too_many_levels(fields, openings):
        raise MalformedRequest(TOO_DEEP)
    if not isinstance(fields, dict):
        raise MalformedRequest("The request body must be a JSON object.")
    return fields


def encode(body: Mapping[str, Any]) -> bytes:
    """Encode, members in the order in which they stand.

    Raises:
        MalformedRequest: The body is nested too deeply. What was made of a body that may just be
            read can be deeper, and too deep to write.
    """
    try:
        return msgspec.json.encode(body)
    except RecursionError:
        raise MalformedRequest(TOO_DEEP) from None


def decode_object(body: bytes) -> dict[str, Any] | None:
    """Decode a JSON object that somebody else sent; `None` when it is anything else."""
    value = decode_value(body)
    return value if isinstance(value, dict) else None


def decode_value(text: bytes | str) -> Any:  # noqa: ANN401 - JSON
    """Decode what somebody else wrote; `None` when it is no JSON, or nested too deeply."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return None if has_too_many_levels(value, openings_in(text)) else value
