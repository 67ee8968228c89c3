"""API keys: how they are made, and how they are recognised without being kept.

A key is `gk-` and 43 characters that carry 256 random bits. Nobody can guess one or search for the
one behind a digest, so a single SHA-256 is enough and a slow password hash would only make the
gateway slow. What is stored is the digest, and the first characters so that a person can tell keys
apart in a list.
"""

import hashlib
import secrets

PREFIX_CHARS = 11
_MARK = "gk-"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_BYTES = 32
_RANDOM_CHARS = 43  # 62 ** 43 > 256 ** 32 > 62 ** 42


def new_key() -> str:
    """Make a key. It is shown once; afterwards only its digest exists."""
    return _MARK + _base62(secrets.token_bytes(_RANDOM_BYTES))


def digest_of(key: str) -> str:
    """SHA-256 of a key, 64 hexadecimal digits; what a key is looked up by."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def prefix_of(key: str) -> str:
    """The first characters, by which a person recognises a key: 48 of its 256 bits at most."""
    return key[:PREFIX_CHARS]


def _base62(raw: bytes) -> str:
    number = int.from_bytes(raw, "big")
    digits = []
    for _ in range(_RANDOM_CHARS):
        number, digit = divmod(number, len(_BASE62))
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))
