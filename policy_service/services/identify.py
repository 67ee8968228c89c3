"""Who is behind a credential?"""

from dataclasses import dataclass
from datetime import datetime

from llm_core.policy.caller import Caller
from llm_core.policy.credential import Credential
from policy_service.ports.callers import Callers, Identified, Unknown
from policy_service.ports.tokens import NotProven, Tokens

_LONGEST_KEY = 512


@dataclass(frozen=True, slots=True)
class IdentifyAnswer:
    """Who calls, or why nobody is known.

    Args:
        valid_until: When the credential ends; nobody may be remembered by it for longer.
        unknown: Set exactly when `caller` is not.
        detail: More about it.
    """

    caller: Caller | None = None
    valid_until: datetime | None = None
    unknown: Unknown | None = None
    detail: str = ""


async def identify(
    request: Credential, callers: Callers, tokens: Tokens | None = None
) -> IdentifyAnswer:
    """Find the caller.

    Raises:
        PolicyUnavailable: The database or an issuer cannot say; that is not a "no".
    """
    if request.consumer is not None:
        claim = request.consumer
        return _answer(
            await callers.by_consumer(
                username=claim.username, custom_id=claim.custom_id, groups=claim.groups
            )
        )
    if request.token is not None and tokens is not None:
        proven = await tokens.verify(request.token)
        if isinstance(proven, NotProven):
            return IdentifyAnswer(unknown=proven.why, detail=proven.detail)
        return _answer(await callers.by_claims(proven))
    if request.api_key and len(request.api_key) <= _LONGEST_KEY:
        return _answer(await callers.by_key(request.api_key))
    return IdentifyAnswer(unknown=Unknown.UNKNOWN)


def _answer(found: Identified | Unknown) -> IdentifyAnswer:
    if isinstance(found, Unknown):
        return IdentifyAnswer(unknown=found)
    return IdentifyAnswer(caller=found.caller, valid_until=found.valid_until)
