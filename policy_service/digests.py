"""Keyed digests: equal data can be matched, and nobody without the key can guess what it was.

A plain SHA-256 of "yes" is the same everywhere, so whoever holds a log of digests can try likely
texts until one fits. With a key that the log does not hold there is nothing to try against.
"""

import hmac

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_DERIVED_FOR = b"gatehouse digest key v1"


class Digests:
    """HMAC-SHA-256 under one key; each organisation's digests match only its own."""

    def __init__(self, key: bytes) -> None:
        """Use `key`, at least `KEY_BYTES` random bytes.

        Raises:
            ValueError: The key is too short.
        """
        if len(key) < KEY_BYTES:
            raise ValueError(f"a digest key has at least {KEY_BYTES} bytes")
        self._key = key

    @classmethod
    def from_secret(cls, secret: str) -> "Digests":
        """Derive the key from a secret that may have any length and serve other ends as well.

        Source:
            https://datatracker.ietf.org/doc/html/rfc5869 (checked 2026-11-29)
        """
        derive = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=_DERIVED_FOR)
        return cls(derive.derive(secret.encode()))

    def of(self, organisation: str, data: bytes) -> str:
        """The digest of `data` as that organisation's, 64 hexadecimal digits.

        Args:
            organisation: Its id, which has no NUL in it; empty for what is nobody's.
            data: Of any length, canonical where equal things are to have equal digests.
        """
        return hmac.digest(self._key, organisation.encode() + b"\0" + data, "sha256").hex()
