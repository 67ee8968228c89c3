"""Ids that sort by time and cannot be guessed."""

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32: no i, l, o, u
_RANDOM_BITS = 80
_TIME_CHARS = 10
_RANDOM_CHARS = 16


def new_id(kind: str) -> str:
    """Make an id such as `dec_01kaf3v2…`: 48 bits of time in milliseconds, then 80 random bits.

    Source:
        https://github.com/ulid/spec (checked 2026-11-20)
    """
    now_ms = time.time_ns() // 1_000_000
    chance = secrets.randbits(_RANDOM_BITS)
    return f"{kind}_{_base32(now_ms, _TIME_CHARS)}{_base32(chance, _RANDOM_CHARS)}"


def _base32(number: int, length: int) -> str:
    digits = [_ALPHABET[(number >> (5 * place)) & 31] for place in range(length)]
    return "".join(reversed(digits))
