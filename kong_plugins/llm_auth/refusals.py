"""What somebody is told whom nobody knows: what is wrong, and what to do."""

from kong_plugins._runtime.policy_client import Identity
from llm_core.errors import GatewayError, InvalidKey, PermissionDenied, RateLimited
from llm_core.policy.credential import KongConsumer

NO_KEY = "No API key was sent. Send your gatehouse key as `Authorization: Bearer gk-...`."

_KEYS = {
    "mistyped": "The API key is not whole: a character is wrong, missing or too much. Copy it "
    "again.",
    "unknown": "The API key is not valid: nobody knows it. Check that it is a key of this gateway.",
    "revoked": "The API key was revoked. Ask your team's owner for a new one.",
    "expired": "The API key has expired. Ask your team's owner to rotate it.",
}
_TOKENS = {
    "expired": "The token has expired. Sign in again, or have your application fetch a new one.",
    "not_yet_valid": "The token is not valid yet. Check the clock of whoever issued it.",
    "no_proof": "The token proves nothing here: it is forged, broken, or for somebody else.",
    "unknown": "Tokens of an identity provider are not accepted here. Send a gatehouse key.",
}
_TOO_MANY = "too_many_failures"
_PLACES = {
    "unplaced": "You are known, but belong to no team here. Ask the platform team to add you, or "
    "a group of yours, to a team.",
    "inactive": "This account was switched off. Ask the platform team.",
}


def refused_key(identity: Identity) -> GatewayError:
    """For an API key."""
    return _refused(identity, _KEYS)


def refused_token(identity: Identity) -> GatewayError:
    """For a token of an identity provider."""
    return _refused(identity, _TOKENS)


def refused_consumer(identity: Identity, consumer: KongConsumer) -> GatewayError:
    """For a consumer of Kong's, or its groups."""
    if identity.unknown == "inactive":
        return _refused(identity, {})
    name = consumer.custom_id or consumer.username
    if name is None:
        return PermissionDenied(
            "None of the groups that Kong has authenticated is bound to a team. Ask the platform "
            "team to bind one."
        )
    return InvalidKey(
        f"The Kong consumer {name!r} is not bound to a project. Ask the platform team to bind it."
    )


def _refused(identity: Identity, words: dict[str, str]) -> GatewayError:
    why = identity.unknown or "unknown"
    if why == _TOO_MANY:
        return RateLimited(
            "Too many keys that nobody knows were sent from your network address. Wait a minute, "
            "and send a key of this gateway.",
            retry_after_s=60,
        )
    if why in _PLACES:
        return PermissionDenied(_PLACES[why])
    told = words.get(why, "The credential is not valid.")
    return InvalidKey(f"{told} ({identity.detail})" if identity.detail else told)
