"""The gateway's own calls to a moderation model: decided, carried out and booked like everybody's.

Their words have been through screening already, so that the model gets no more than the provider
would. What the model says is compared with one word; anything else, and any failure, refuses.
"""

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from llm_core.digest import canonical, sha256_hex
from llm_core.errors import PolicyDenied, ProviderUnavailable
from llm_core.operation import Operation
from llm_core.policy.call import Call
from llm_core.policy.decision import DecisionRequest, Reservation
from llm_core.tokens.counted import LazyCounter
from policy_service.ports.screening import Moderation
from policy_service.services.decide import Decider
from policy_service.services.relay import Relay, WholeAnswer


@dataclass(frozen=True, slots=True)
class Moderator:
    """Asks a model whether words may go on.

    Args:
        decider: One without a response cache.
        relay: Likewise; one that does not moderate.
        count: Counts a text's tokens.
    """

    decider: Decider
    relay: Relay
    count: LazyCounter

    async def __call__(self, asking: Reservation, moderation: Moderation, words: str) -> bool:
        """Whether `words` may go on; paid for by whoever asks `asking`.

        Raises:
            PolicyDenied: The caller may not use the moderation model, or has no budget left.
            GatewayError: It cannot be had.
        """
        body = canonical(
            {
                "model": moderation.model,
                "messages": [
                    {"role": "system", "content": moderation.instructions},
                    {"role": "user", "content": words},
                ],
                "max_tokens": moderation.max_output_tokens,
            }
        )
        call = Call(
            Operation.CHAT_COMPLETIONS,
            asked_model=moderation.model,
            prompt_tokens=self.count(moderation.instructions) + self.count(words) + 10,
            max_output_tokens=moderation.max_output_tokens,
            body_digest=sha256_hex(body),
            body_bytes=len(body),
            # What policy knows of the words, it must know of them here.
            data_labels=asking.call.data_labels,
            use_case=asking.call.use_case,
            priority=asking.call.priority,
        )
        limits = tuple(
            limit
            for limit in (*asking.caller.limits, *asking.unmet)
            if limit.measure.period.is_from_ledger
        )
        caller = replace(asking.caller, limits=limits, operations=())
        made = await self.decider.decide(DecisionRequest(caller, call))
        if made.denial is not None:
            raise PolicyDenied(f"The moderation model was refused with {made.denial.status}.")
        answer = await self.relay.serve(made.ticket, body)
        if not isinstance(answer, WholeAnswer):
            raise ProviderUnavailable("The moderation model answered with a stream.")
        return _said(answer.body).casefold().startswith(moderation.passes.casefold())


def _said(body: bytes) -> str:
    try:
        answered: Any = msgspec.json.decode(body)
        said = answered["choices"][0]["message"]["content"]
    except (msgspec.MsgspecError, LookupError, TypeError):
        said = None
    if not isinstance(said, str) or not said.strip():
        raise ProviderUnavailable("The moderation model said nothing.")
    return said.strip()
