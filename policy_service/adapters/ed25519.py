"""Signs checkpoints, and checks their signatures: Ed25519, keys in PEM files.

Source:
    https://cryptography.io/en/latest/hazmat/primitives/asymmetric/ed25519/ (checked 2026-11-29)
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_KEY_ID_CHARS = 16
_FAULTS = (ValueError, TypeError, UnsupportedAlgorithm)


def new_key_pair() -> tuple[bytes, bytes]:
    """Make a pair: the private key as PKCS#8 PEM, the public one as PEM."""
    private = Ed25519PrivateKey.generate()
    return (
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )


class Ed25519Signer:
    """Implements `ports.audit.Signer` with one private key."""

    def __init__(self, pem: bytes) -> None:
        """Read the key.

        Raises:
            ValueError: It is no unencrypted Ed25519 private key in PEM.
        """
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except _FAULTS as fault:
            raise ValueError("the audit key is no unencrypted private key in PEM") from fault
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("the audit key is no Ed25519 key: `gatehouse audit keys` makes one")  # noqa: TRY004
        self._key = key
        self.key_id = _id_of(key.public_key())

    @property
    def public_pem(self) -> bytes:
        """The key that checks what this one signs."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, message: bytes) -> str:
        """The signature, hex."""
        return self._key.sign(message).hex()


class Ed25519PublicKeys:
    """Implements `ports.audit.PublicKeys`: checks what any of several keys has signed."""

    def __init__(self, pems: Iterable[bytes]) -> None:
        """Read the keys.

        Raises:
            ValueError: One is no Ed25519 public key in PEM.
        """
        keys = [_public(pem) for pem in pems]
        self._keys = {_id_of(key): key for key in keys}

    @property
    def ids(self) -> tuple[str, ...]:
        """What checkpoints call the keys."""
        return tuple(self._keys)

    def is_genuine(self, key_id: str, message: bytes, signature: str) -> bool:
        """Whether the key of that name has signed this."""
        key = self._keys.get(key_id)
        if key is None:
            return False
        try:
            key.verify(bytes.fromhex(signature), message)
        except (InvalidSignature, ValueError):
            return False
        return True


def read_signer(path: Path) -> Ed25519Signer:
    """Read a private key's file.

    Raises:
        ValueError: The file cannot be read, or holds no such key; the message names it.
    """
    try:
        return Ed25519Signer(path.read_bytes())
    except OSError as fault:
        raise ValueError(f"{path} cannot be read: {fault.strerror}") from fault
    except ValueError as fault:
        raise ValueError(f"{path}: {fault}") from fault


def _public(pem: bytes) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(pem)
    except _FAULTS as fault:
        raise ValueError("this is no public key in PEM") from fault
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("this is no Ed25519 public key")  # noqa: TRY004
    return key


def _id_of(key: Ed25519PublicKey) -> str:
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:_KEY_ID_CHARS]
