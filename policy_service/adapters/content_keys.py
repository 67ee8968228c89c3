"""Keys of the content log, and sealing with them: AES-256-GCM.

A key's text is 32 random bytes in base64url. A secret holds one key or several, the newest first:
it seals, the others open what they sealed before. A key's id is a digest of it, so that a row names
the key that opens it and nobody has to keep books.

Every row is sealed with a key of its own, derived from the secret's key, the organisation and the
decision: there is no number of rows after which nonces could repeat. What is sealed is bound to
organisation, decision and part, so that it opens nowhere else.
"""

import base64
import binascii
import secrets
import zlib
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from policy_service.ports.content import Damaged, NoKey, Part

DEFAULT = "default"
"""Whose key seals for an organisation that has none of its own."""

_KEY_BYTES = 32
_NONCE_BYTES = 12
_ID_CHARS = 16
_FORMAT = b"\x01"
_DERIVED_FOR = b"gatehouse content log v1"
_NAMED_BY = b"gatehouse content key id v1"


def new_content_key() -> str:
    """The text of a new key, 43 characters."""
    return base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode().rstrip("=")


class ContentKeys:
    """Implements `ports.content.Sealer`.

    Args:
        texts: Secrets by organisation, `DEFAULT` for all others: keys' texts with white space
            between them, the newest first.

    Raises:
        ValueError: A text is no key; the message says whose, and does not quote it.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._rings = {whose: _ring(whose, text) for whose, text in texts.items()}

    def key_id(self, organisation: str) -> str | None:
        """Of the key that seals now; see the port."""
        return next(iter(self._ring_of(organisation)), None)

    def seal(self, organisation: str, decision_id: str, part: Part, words: bytes) -> bytes:
        """Compress and encrypt; see the port."""
        key_id = self.key_id(organisation)
        if key_id is None:
            raise NoKey(f"no content key for {organisation}")
        key = self._ring_of(organisation)[key_id]
        cipher = _cipher(key, organisation, decision_id)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        bound_to = _bound_to(organisation, decision_id, part)
        return _FORMAT + nonce + cipher.encrypt(nonce, zlib.compress(words), bound_to)

    def opened(
        self, key_id: str | None, organisation: str, decision_id: str, part: Part, sealed: bytes
    ) -> bytes:
        """Decrypt; see the port."""
        key = self._ring_of(organisation).get(key_id or "")
        if key is None:
            raise NoKey(f"the content key {key_id} is not here")
        nonce, text = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _FORMAT or len(nonce) != _NONCE_BYTES:
            raise Damaged("what is sealed has another form")
        bound_to = _bound_to(organisation, decision_id, part)
        try:
            packed = _cipher(key, organisation, decision_id).decrypt(nonce, text, bound_to)
        except InvalidTag as fault:
            raise Damaged("what is sealed does not open") from fault
        return zlib.decompress(packed)

    def _ring_of(self, organisation: str) -> dict[str, bytes]:
        return self._rings.get(organisation) or self._rings.get(DEFAULT) or {}


def content_keys(
    names: Mapping[str, str], secret: Callable[[str], str | None]
) -> ContentKeys | None:
    """The keys that the settings name; `None` when they name none.

    Args:
        names: Of secrets, by organisation.
        secret: Looks one up.

    Raises:
        ValueError: A secret is not there, or holds no key.
    """
    texts: dict[str, str] = {}
    for whose, name in names.items():
        text = secret(name)
        if not text:
            raise ValueError(f"POLICY_CONTENT_KEYS names the secret {name!r}, which is not there")
        texts[whose] = text
    return ContentKeys(texts) if texts else None


def _ring(whose: str, text: str) -> dict[str, bytes]:
    keys = [_decoded(whose, one) for one in text.split()]
    if not keys:
        raise ValueError(f"there is no content key for {whose}: `gatehouse content keys` makes one")
    return {_id_of(key): key for key in keys}


def _decoded(whose: str, text: str) -> bytes:
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise ValueError(
            f"the content key for {whose} is none: it is {_KEY_BYTES} random bytes in base64url, "
            "as `gatehouse content keys` prints it"
        )
    return key


def _id_of(key: bytes) -> str:
    digest = Hash(SHA256())
    digest.update(_NAMED_BY + key)
    return digest.finalize().hex()[:_ID_CHARS]


def _cipher(key: bytes, organisation: str, decision_id: str) -> AESGCM:
    info = b"\0".join((_DERIVED_FOR, organisation.encode(), decision_id.encode()))
    derive = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info)
    return AESGCM(derive.derive(key))


def _bound_to(organisation: str, decision_id: str, part: Part) -> bytes:
    """The associated data: what is sealed opens with the same one only."""
    return b"\0".join((organisation.encode(), decision_id.encode(), part.value.encode()))
