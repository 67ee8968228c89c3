"""Digests and ids that depend on nothing but the request."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

CREATED_AT_S = 1_767_225_600
"""`created` of every OpenAI object: 2026-01-01, so that the same request gets the same bytes."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def digest(document: Mapping[str, Any]) -> str:
    """Hash a JSON document in canonical form; 64 hexadecimal digits."""
    return hashlib.sha256(msgspec.json.encode(document, order="sorted")).hexdigest()


def identifier(prefix: str, seed: str, length: int = 24) -> str:
    """Make an id as the vendors do: `prefix` and `length` letters and digits, fixed by `seed`."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest())
    letters = []
    for _ in range(length):
        number, place = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[place])
    return prefix + "".join(letters)
