"""The credential that a request's headers present, and what is said of one that is refused."""

import re
from collections.abc import Mapping

from llm_core.errors import GatewayError, InvalidKey, PermissionDenied, RateLimited

KEY_HEADERS = ("authorization", "api-key", "x-api-key")
"""OpenAI's, Azure's and Anthropic's SDKs each use another one."""

_THREE_PARTS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")

NO_KEY = "No API key was sent. Send your gatehouse key as `Authorization: Bearer gk-...`."

KEYS = {
    "mistyped": "The API key is not whole: a character is wrong, missing or too much. Copy it "
    "again.",
    "unknown": "The API key is not valid: nobody knows it. Check that it is a key of this gateway.",
    "revoked": "The API key was revoked. Ask your team's owner for a new one.",
    "expired": "The API key has expired. Ask your team's owner to rotate it.",
}
TOKENS = {
    "expired": "The token has expired. Sign in again, or have your application fetch a new one.",
    "not_yet_valid": "The token is not valid yet. Check the clock of whoever issued it.",
    "no_proof": "The token proves nothing here: it is forged, broken, or for somebody else.",
    "unknown": "Tokens of an identity provider are not accepted here. Send a gatehouse key.",
}
TOO_MANY_FAILURES = "too_many_failures"
"""Not of the credential, but of the address that it came from."""
_WAIT_S = 60
_PLACES = {
    "unplaced": "You are known, but belong to no team here. Ask the platform team to add you, or "
    "a group of yours, to a team.",
    "inactive": "This account was switched off. Ask the platform team.",
}


def api_key_in(headers: Mapping[str, list[str]]) -> str | None:
    """The API key, from whichever header the client's SDK uses; `None` when there is none.

    A header that is sent twice proves nothing, so it counts as not sent.
    """
    for name in KEY_HEADERS:
        values = headers.get(name) or []
        if len(values) != 1:
            continue
        value = values[0].strip()
        if name == "authorization":
            scheme, _, value = value.partition(" ")
            if scheme.lower() != "bearer":
                continue
            value = value.strip()
        if value:
            return value
    return None


def is_token(credential: str) -> bool:
    """Whether it has the form of a signed JSON Web Token; the last part is its signature.

    Source:
        https://www.rfc-editor.org/rfc/rfc7515#section-7.1 (checked 2026-11-21)
    """
    return _THREE_PARTS.fullmatch(credential) is not None


def refusal(why: str | None, detail: str | None, words: Mapping[str, str]) -> GatewayError:
    """What somebody is told whom nobody knows: what is wrong, and what to do.

    Args:
        why: Such as `revoked`, as the policy service says it.
        detail: What the identity provider's token lacks; `None` for nothing to add.
        words: By `why`: `KEYS` or `TOKENS`.
    """
    why = why or "unknown"
    if why == TOO_MANY_FAILURES:
        return RateLimited(
            "Too many keys that nobody knows were sent from your network address. Wait a minute, "
            "and send a key of this gateway.",
            retry_after_s=_WAIT_S,
        )
    if why in _PLACES:
        return PermissionDenied(_PLACES[why])
    told = words.get(why, "The credential is not valid.")
    return InvalidKey(f"{told} ({detail})" if detail else told)
