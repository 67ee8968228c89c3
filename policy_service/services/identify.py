"""Who is behind a credential?"""

from dataclasses import dataclass

from llm_core.policy.caller import Caller
from policy_service.ports.ledger import Callers

_LONGEST_KEY = 512


@dataclass(frozen=True, slots=True)
class ConsumerClaim:
    """What Kong says of the consumer its own plugin recognised."""

    username: str | None = None
    custom_id: str | None = None


@dataclass(frozen=True, slots=True)
class IdentifyRequest:
    """The body of `POST /v1/callers/identify`: one of the two."""

    api_key: str | None = None
    consumer: ConsumerClaim | None = None


@dataclass(frozen=True, slots=True)
class IdentifyAnswer:
    """`caller` is `None` when the credential is unknown, revoked or expired."""

    caller: Caller | None


async def identify(request: IdentifyRequest, callers: Callers) -> IdentifyAnswer:
    """Find the caller.

    Raises:
        PolicyUnavailable: The database cannot say; that is not a "no".
    """
    if request.consumer is not None:
        claim = request.consumer
        return IdentifyAnswer(
            await callers.by_consumer(username=claim.username, custom_id=claim.custom_id)
        )
    if request.api_key and len(request.api_key) <= _LONGEST_KEY:
        return IdentifyAnswer(await callers.by_key(request.api_key))
    return IdentifyAnswer(None)
