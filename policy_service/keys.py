"""API keys: how they are made, and how they are recognised without being kept.

A key is a mark (`gk-`), 43 characters that carry 256 random bits, and 6 that are a checksum of what
stands before them. Nobody can guess one or search for the one behind a digest, so a single SHA-256
is enough and a slow password hash would only make the gateway slow. What is stored is the digest,
and the first characters so that a person can tell keys apart in a list.

The checksum is CRC-32, in base62. It proves nothing: it tells a slip of the hand from a key that
nobody knows, and lets a secret scanner report keys without asking anybody.
"""

import hashlib
import re
import secrets
import zlib

PREFIX_CHARS = 11
KEY_MARK = "gk-"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_BYTES = 32
_RANDOM_CHARS = 43  # 62 ** 43 > 256 ** 32 > 62 ** 42
_CHECK_CHARS = 6  # 62 ** 6 > 2 ** 32
_BASE62_TEXT = re.compile(r"[0-9A-Za-z]*")


def new_key(mark: str = KEY_MARK) -> str:
    """Make a key. It is shown once; afterwards only its digest exists."""
    number = int.from_bytes(secrets.token_bytes(_RANDOM_BYTES), "big")
    body = mark + _base62(number, _RANDOM_CHARS)
    return body + _checksum(body)


def is_mistyped(key: str, mark: str = KEY_MARK) -> bool:
    """Whether this was meant to be a key with that mark, and cannot be one.

    Keys that were made before there was a checksum have 43 characters behind the mark; whether one
    of them is mistyped cannot be told.
    """
    if not key.startswith(mark):
        return False
    secret = key[len(mark) :]
    if not _BASE62_TEXT.fullmatch(secret):
        return True
    if len(secret) == _RANDOM_CHARS:
        return False
    is_whole = len(secret) == _RANDOM_CHARS + _CHECK_CHARS
    return not is_whole or _checksum(key[:-_CHECK_CHARS]) != key[-_CHECK_CHARS:]


def digest_of(key: str) -> str:
    """SHA-256 of a key, 64 hexadecimal digits; what a key is looked up by."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def prefix_of(key: str) -> str:
    """The first characters, by which a person recognises a key: 48 of its 256 bits at most."""
    return key[:PREFIX_CHARS]


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode("ascii")), _CHECK_CHARS)


def _base62(number: int, chars: int) -> str:
    digits = []
    for _ in range(chars):
        number, digit = divmod(number, len(_BASE62))
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))
