"""Ids that sort by time and cannot be guessed; the clock and the chance come from the caller."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32: no i, l, o, u
RANDOM_BITS = 80
_TIME_CHARS = 10
_RANDOM_CHARS = 16


def sortable_id(kind: str, now_ms: int, chance: int) -> str:
    """Make an id such as `dec_01kaf3v2…`: 48 bits of time, then 80 random bits.

    Args:
        kind: What the id is of, for example `dec`.
        now_ms: Milliseconds since 1970.
        chance: `RANDOM_BITS` bits from a source that nobody can guess.

    Source:
        https://github.com/ulid/spec (checked 2026-11-20)
    """
    return f"{kind}_{_base32(now_ms, _TIME_CHARS)}{_base32(chance, _RANDOM_CHARS)}"


def is_id(kind: str, text: str) -> bool:
    """Whether `text` is an id of that kind, as `sortable_id` makes them."""
    prefix, _, rest = text.partition("_")
    return (
        prefix == kind
        and len(rest) == _TIME_CHARS + _RANDOM_CHARS
        and all(character in _ALPHABET for character in rest)
    )


def _base32(number: int, length: int) -> str:
    digits = [_ALPHABET[(number >> (5 * place)) & 31] for place in range(length)]
    return "".join(reversed(digits))
