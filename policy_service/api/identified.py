"""Who is behind a credential, for plugins and for gateways without any."""

from llm_core.policy.credential import Credential
from policy_service.resources import Resources
from policy_service.services.identify import IdentifyAnswer, identify


async def identified(opened: Resources, asked: Credential) -> IdentifyAnswer:
    """Look it up, unless its source has tried too many; note that it was used."""
    answer = opened.failed_keys.refusal(asked)
    if answer is None:
        answer = await identify(asked, opened.callers, opened.tokens)
        opened.failed_keys.note(asked, answer)
    if answer.caller is not None and answer.caller.key_id is not None:
        opened.last_used.note(answer.caller.key_id)
    return answer
