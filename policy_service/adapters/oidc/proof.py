"""What a token must be like before its words are believed. No I/O, no clock.

Source:
    https://www.rfc-editor.org/rfc/rfc8725 (best practices for JSON Web Tokens),
    https://www.rfc-editor.org/rfc/rfc7515, https://www.rfc-editor.org/rfc/rfc7519
    (checked 2026-11-21)
"""

import base64
import binascii
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jwt import PyJWK, PyJWS
from jwt.exceptions import PyJWTError

from llm_core.nesting import is_too_deep
from policy_service.adapters.oidc.issuers import Issuer
from policy_service.ports.callers import Unknown
from policy_service.ports.tokens import NotProven

_THREE_PARTS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_LONGEST_KEY_ID = 256
_LONGEST_SUBJECT = 255
_USUAL_TYPES = ("jwt", "at+jwt")
_LATEST_S = 253_402_300_799.0
"""The last second that a `datetime` can hold."""
_JWS = PyJWS()


@dataclass(frozen=True, slots=True)
class Unproven:
    """A token as it came; nothing of it may be believed yet.

    Args:
        text: All of it.
        algorithm: What it claims to be signed with.
        key_id: Which key it claims to be signed with.
        issued_s: When it claims to have been made, in seconds since 1970.
    """

    text: str
    header: Mapping[str, Any]
    payload: Mapping[str, Any]
    algorithm: str
    key_id: str | None
    issued_s: float | None


def no_proof(detail: str) -> NotProven:
    """A token that proves nothing, and why."""
    return NotProven(Unknown.NO_PROOF, detail)


def taken_apart(token: str, max_bytes: int) -> Unproven | NotProven:
    """Read a token, strictly: three parts, JSON objects, each member once."""
    if len(token) > max_bytes:
        return no_proof("the token is too long")
    if _THREE_PARTS.fullmatch(token) is None:
        return no_proof("the token has not the form of a signed token")
    head, body, _ = token.split(".")
    header, payload = _object(head), _object(body)
    if header is None or payload is None:
        return no_proof("the token cannot be read")
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str):
        return no_proof("the token names no algorithm")
    if not (key_id is None or (isinstance(key_id, str) and 0 < len(key_id) <= _LONGEST_KEY_ID)):
        return no_proof("the token's key id is none")
    return Unproven(token, header, payload, algorithm, key_id, _seconds(payload.get("iat")))


def header_fault(token: Unproven, issuer: Issuer) -> NotProven | None:
    """What is wrong with a token's header.

    Keys that a header brings along, or says where to fetch (`jwk`, `jku`, `x5c`, `x5u`), are not
    looked at: an issuer's keys come from where its discovery document says.
    """
    if token.algorithm not in issuer.algorithms:
        return no_proof("the token is signed in a way that its issuer's entry does not allow")
    if "crit" in token.header:
        return no_proof("the token asks for an extension that is not understood")
    if "cty" in token.header:
        return no_proof("the token has another one inside")
    if not _is_of_type(token.header.get("typ"), issuer.types):
        return no_proof("the token is not of a type that its issuer's entry allows")
    return None


def is_signed(token: Unproven, keys: Sequence[PyJWK]) -> bool:
    """Whether one of these keys made the signature; each stands for one algorithm."""
    for key in keys:
        try:
            _JWS.decode_complete(token.text, key, algorithms=[token.algorithm])
        except PyJWTError:
            continue
        return True
    return False


def claims_fault(
    payload: Mapping[str, Any], issuer: Issuer, audience: Collection[str], now: datetime
) -> NotProven | None:
    """What is wrong with the claims of a token whose signature is good.

    Args:
        payload: The claims.
        issuer: Who is said to have signed them.
        audience: One of these must be in `aud`.
        now: UTC.
    """
    if payload.get("iss") != issuer.issuer:
        return no_proof("the token is another issuer's")
    subject = payload.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
        return no_proof("the token does not say of whom it speaks")
    if not subject.isprintable():
        return no_proof("the token's subject has characters that no name has")
    if not _named(payload.get("aud")) & set(audience):
        return no_proof("the token is meant for somebody else (`aud`)")
    return _times_fault(payload, issuer.leeway_s, now.timestamp())


def _times_fault(payload: Mapping[str, Any], leeway_s: float, now_s: float) -> NotProven | None:
    for name in ("exp", "nbf", "iat"):
        if name in payload and _seconds(payload[name]) is None:
            return no_proof(f"the token's `{name}` is no time")
    expires_s = _seconds(payload.get("exp"))
    if expires_s is None:
        return no_proof("the token says no end (`exp`)")
    if now_s >= expires_s + leeway_s:
        return NotProven(Unknown.EXPIRED, "the token has expired: get a new one")
    # Issued in the future is as good as not yet valid, and as a rule a clock that is wrong.
    starts_s = max(_seconds(payload.get(name)) or 0.0 for name in ("nbf", "iat"))
    if now_s < starts_s - leeway_s:
        return NotProven(
            Unknown.NOT_YET_VALID, "the token is not valid yet; if it is new, a clock is wrong"
        )
    return None


def _seconds(value: object) -> float | None:
    """A time as tokens write it; `None` for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Asked before anything is reckoned: a very long whole number becomes no float.
    return float(value) if 0 <= value <= _LATEST_S else None


def _named(audience: object) -> set[str]:
    if isinstance(audience, str):
        return {audience}
    if isinstance(audience, list):
        return {one for one in audience if isinstance(one, str)}
    return set()


def _is_of_type(value: object, allowed: Collection[str]) -> bool:
    """Without a list of our own a token may leave its type out, as many issuers do."""
    if value is None:
        return not allowed
    if not isinstance(value, str):
        return False
    return value.lower().removeprefix("application/") in (allowed or _USUAL_TYPES)


def _object(part: str) -> Mapping[str, Any] | None:
    """A part of a token as JSON; `None` where it is none, or says a thing twice."""
    try:
        text = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode("utf-8")
        found = None if is_too_deep(text) else json.loads(text, object_pairs_hook=_each_once)
    except (binascii.Error, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name given twice: we and whoever reads the token next would believe different ones.

    Source:
        https://www.rfc-editor.org/rfc/rfc7519#section-4 (checked 2026-11-21)
    """
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a name is given twice")
    return found
