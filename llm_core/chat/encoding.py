"""JSON as it goes over the wire."""

from collections.abc import Mapping
from typing import Any

import msgspec

from llm_core.errors import MalformedRequest

TOO_DEEP = "The request body is nested too deeply."


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
