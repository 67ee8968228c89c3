"""Digests of requests and answers, so that they can be matched without being stored."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from llm_core.errors import MalformedRequest


def canonical(body: Mapping[str, Any]) -> bytes:
    """Encode `body` so that equal objects give equal bytes, whatever the order of their members.

    Raises:
        MalformedRequest: The body is nested too deeply.
    """
    try:
        return msgspec.json.encode(body, order="sorted")
    except RecursionError:
        raise MalformedRequest("The request body is nested too deeply.") from None


def sha256_hex(data: bytes) -> str:
    """SHA-256 in lower-case hex, 64 characters."""
    return hashlib.sha256(data).hexdigest()
