"""The stand-in for oauth2.googleapis.com/token: an access token for a service account's assertion.

The claims are checked as Google checks them. The signature must be there, but is not verified: the
sandbox knows no account's public key. Tests that care verify it themselves.

Source:
    https://developers.google.com/identity/protocols/oauth2/service-account#jwt-auth
    (checked 2026-11-20)
"""

import base64
import binascii
import hashlib
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from sandbox.gemini.wire import ACCESS_TOKEN_PREFIX
from sandbox.refusal import Refusal

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFETIME_S = 3599
GOOGLES_OWN = "https://oauth2.googleapis.com/token"
"""The audience that Google's own library names, wherever it sends the assertion."""

_ISSUER = ".iam.gserviceaccount.com"
_LONGEST_S = 3600
_SKEW_S = 300


def exchange(body: bytes, path: str) -> dict[str, Any]:
    """Give a token.

    Args:
        body: A form with `grant_type` and `assertion`.
        path: Where it was sent; the assertion's audience must end so.

    Raises:
        Refusal: Google's 400.
    """
    form = {name: values[0] for name, values in parse_qs(body.decode(errors="replace")).items()}
    if form.get("grant_type") != GRANT_TYPE:
        raise _refused("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')}")
    assertion = form.get("assertion", "")
    header, claims = _parts(assertion)
    if header.get("alg") != "RS256":
        raise _refused("invalid_grant", "Invalid JWT: only RS256 is supported.")
    _check(claims, path)
    return {
        "access_token": f"{ACCESS_TOKEN_PREFIX}-{hashlib.sha256(assertion.encode()).hexdigest()}",
        "expires_in": LIFETIME_S,
        "token_type": "Bearer",
    }


def _check(claims: Mapping[str, Any], path: str) -> None:
    if not str(claims.get("iss", "")).endswith(_ISSUER):
        raise _refused("invalid_grant", "Invalid grant: account not found")
    if not claims.get("scope"):
        raise _refused("invalid_scope", "Empty or missing scope not allowed.")
    if not str(claims.get("aud", "")).endswith(path) and claims.get("aud") != GOOGLES_OWN:
        raise _refused("invalid_grant", "Invalid JWT: audience does not match.")
    issued, expires, now = claims.get("iat"), claims.get("exp"), time.time()
    if not isinstance(issued, int) or not isinstance(expires, int):
        raise _refused("invalid_grant", "Invalid JWT: iat and exp must be numbers.")
    is_short = 0 < expires - issued <= _LONGEST_S
    if not is_short or issued > now + _SKEW_S or expires < now - _SKEW_S:
        raise _refused(
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
            "timeframe. Check your iat and exp values in the JWT claim.",
        )


def _parts(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        header, claims, signature = map(_decoded, assertion.split("."))
        parts = msgspec.json.decode(header), msgspec.json.decode(claims)
    except (ValueError, binascii.Error):
        raise _refused("invalid_grant", "Bad Request") from None
    if not signature or not all(isinstance(part, dict) for part in parts):
        raise _refused("invalid_grant", "Invalid JWT Signature.")
    return parts


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _refused(code: str, description: str) -> Refusal:
    return Refusal(400, {"error": code, "error_description": description})
