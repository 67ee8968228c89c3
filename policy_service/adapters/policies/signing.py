"""Signs bundles as OPA verifies them, and verifies what OPA, or we, have signed.

A bundle's `.signatures.json` holds one JSON Web Signature whose payload names each file with its
hash. JSON files are hashed as what they say, all others byte by byte. ES256 only: both sides take
it, and a public key can be handed to every OPA.

Source:
    https://www.openpolicyagent.org/docs/management-bundles#signing (checked 2026-11-29)
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ALGORITHM = "ES256"
SIGNATURES = ".signatures.json"
_HASH = "SHA-256"
_KEY_ID_CHARS = 16
_COORDINATE_BYTES = 32
_STRUCTURED = (".json", ".manifest")


class UnusableKey(ValueError):
    """A key's file holds no key that signs or verifies bundles; the message names the file."""


class BrokenSignature(ValueError):
    """The files are not what somebody we trust has signed."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key.

    Args:
        private: On the curve P-256.
    """

    private: ec.EllipticCurvePrivateKey

    @property
    def key_id(self) -> str:
        """The name under which OPA looks the public key up."""
        return key_id_of(self.private.public_key())

    def sign(self, files: Mapping[str, bytes]) -> bytes:
        """The content of `.signatures.json`; the same files give the same bytes."""
        named = [
            {"name": name, "hash": hash_of(name, content), "algorithm": _HASH}
            for name, content in sorted(files.items())
        ]
        head = {"alg": ALGORITHM, "kid": self.key_id}
        signed = b".".join(_base64(_compact(part)) for part in (head, {"files": named}))
        # By RFC 6979 a signature takes no random number, so that a build can be repeated.
        scheme = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        pair = decode_dss_signature(self.private.sign(signed, scheme))
        raw = b"".join(number.to_bytes(_COORDINATE_BYTES) for number in pair)
        token = signed + b"." + _base64(raw)
        return _compact({"signatures": [token.decode()]})


class TrustedKeys:
    """The public keys whose signatures count.

    Args:
        keys: By key id. Without any, nothing is trusted.
    """

    def __init__(self, keys: Mapping[str, ec.EllipticCurvePublicKey]) -> None:
        """Trust these."""
        self._keys = dict(keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def verify(self, files: Mapping[str, bytes], signatures: bytes) -> str:
        """Check that exactly these files were signed; gives the key's id.

        Args:
            files: All of the bundle's but `.signatures.json`.
            signatures: The content of that.

        Raises:
            BrokenSignature: They were not, or by somebody else; the message says which.
        """
        token, key_id = _token_in(signatures)
        key = self._keys.get(key_id)
        if key is None:
            raise BrokenSignature(
                f"the bundle is signed with the key {key_id!r}, which is not trusted here"
            )
        try:
            payload: dict[str, Any] = jwt.decode(token, key, algorithms=[ALGORITHM])
        except jwt.InvalidTokenError as fault:
            raise BrokenSignature(f"the bundle's signature does not hold: {fault}") from fault
        _compare(files, payload.get("files"))
        return key_id


def new_key() -> SigningKey:
    """A new private key."""
    return SigningKey(ec.generate_private_key(ec.SECP256R1()))


def private_pem(key: SigningKey) -> bytes:
    """The private key as a file has it, not encrypted."""
    return key.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public_pem(key: SigningKey) -> bytes:
    """The public key, as OPA's configuration takes it too."""
    return key.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def read_signing_key(file: Path) -> SigningKey:
    """Read a private key.

    Raises:
        UnusableKey: It cannot be read, or is no private key on P-256.
    """
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as fault:
        raise UnusableKey(f"{file} is no private key in PEM: {fault}") from fault
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UnusableKey(f"{file} is no key for {ALGORITHM}; `gatehouse policy keys` makes one")
    return SigningKey(key)


def read_trusted_keys(place: Path | None) -> TrustedKeys:
    """Read one public key, or each `*.pem` of a folder.

    Raises:
        UnusableKey: One cannot be read, is no public key on P-256, or there is none.
    """
    if place is None:
        return TrustedKeys({})
    files = sorted(place.glob("*.pem")) if place.is_dir() else [place]
    if not files:
        raise UnusableKey(f"{place} holds no *.pem")
    keys = [_public_key(file) for file in files]
    return TrustedKeys({key_id_of(key): key for key in keys})


def key_id_of(key: ec.EllipticCurvePublicKey) -> str:
    """The first 16 hex digits of SHA-256 over the public key's DER."""
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()[:_KEY_ID_CHARS]


def hash_of(name: str, content: bytes) -> str:
    """SHA-256 of a file as OPA takes it, hex.

    Raises:
        ValueError: A JSON file is none.
    """
    if not name.endswith(_STRUCTURED):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha256(_walked(json.loads(content)).encode()).hexdigest()


def _public_key(file: Path) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_pem_public_key(file.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as fault:
        raise UnusableKey(f"{file} is no public key in PEM: {fault}") from fault
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UnusableKey(f"{file} is no key for {ALGORITHM}")
    return key


def _token_in(signatures: bytes) -> tuple[str, str]:
    try:
        [token] = json.loads(signatures)["signatures"]
        return token, str(jwt.get_unverified_header(token).get("kid", ""))
    except (KeyError, TypeError, ValueError, jwt.InvalidTokenError) as fault:
        raise BrokenSignature(f"{SIGNATURES} does not hold one signature") from fault


def _compare(files: Mapping[str, bytes], signed: object) -> None:
    try:
        hashed = {one["name"]: (one["algorithm"], one["hash"]) for one in signed}  # type: ignore[attr-defined]
    except (KeyError, TypeError) as fault:
        raise BrokenSignature("the signature names no files") from fault
    if strangers := sorted(files.keys() ^ hashed.keys()):
        raise BrokenSignature(f"not the files that were signed: {', '.join(strangers)}")
    for name, content in files.items():
        if hashed[name] != (_HASH, hash_of(name, content)):
            raise BrokenSignature(f"{name} is not what was signed")


def _walked(value: object) -> str:
    """A JSON document as OPA hashes it: keys sorted, no spaces, characters as they are.

    Go escapes two separators of lines in strings, and nothing else that Python does not.
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
