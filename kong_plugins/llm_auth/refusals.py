"""What somebody is told whom nobody knows: what is wrong, and what to do."""

from kong_plugins._runtime.policy_client import Identity
from llm_core.errors import GatewayError, InvalidKey, PermissionDenied
from llm_core.policy.credential import KongConsumer
from llm_core.policy.presented import KEYS, TOKENS, refusal


def refused_key(identity: Identity) -> GatewayError:
    """For an API key."""
    return refusal(identity.unknown, identity.detail, KEYS)


def refused_token(identity: Identity) -> GatewayError:
    """For a token of an identity provider."""
    return refusal(identity.unknown, identity.detail, TOKENS)


def refused_consumer(identity: Identity, consumer: KongConsumer) -> GatewayError:
    """For a consumer of Kong's, or its groups."""
    if identity.unknown == "inactive":
        return refusal(identity.unknown, identity.detail, {})
    name = consumer.custom_id or consumer.username
    if name is None:
        return PermissionDenied(
            "None of the groups that Kong has authenticated is bound to a team. Ask the platform "
            "team to bind one."
        )
    return InvalidKey(
        f"The Kong consumer {name!r} is not bound to a project. Ask the platform team to bind it."
    )
