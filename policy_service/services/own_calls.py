"""The gateway's own calls to models: decided, carried out and booked like everybody's.

Words of somebody's question go to another model's provider. So policy is asked for the caller whose
question it is, their budgets pay, and the ledger has a row. Every limit that is kept by the
ledger counts it; those of a minute and of calls under way do not, for it is no request of theirs,
and their keys need not be good for such calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from llm_core.digest import canonical, sha256_hex
from llm_core.errors import PolicyDenied, ProviderUnavailable
from llm_core.policy.call import Call
from llm_core.policy.decision import DecisionRequest, Reservation
from policy_service.services.decide import Decider
from policy_service.services.relay import Relay, WholeAnswer


@dataclass(frozen=True, slots=True)
class OwnCalls:
    """Asks a model on behalf of whoever has asked.

    Args:
        decider: One without a response cache.
        relay: Likewise; one that makes no such calls itself.
    """

    decider: Decider
    relay: Relay

    async def __call__(
        self, asking: Reservation, call: Call, fields: Mapping[str, Any], called: str
    ) -> bytes:
        """The answer's body, paid for by whoever asks `asking`.

        Args:
            asking: The call that this one is made for.
            call: The operation, the model, and the tokens; the rest is taken from `asking`.
            fields: The request's body.
            called: The model in an error's words, `The moderation model`.

        Raises:
            PolicyDenied: The caller may not use the model, or has no budget left.
            GatewayError: It cannot be had.
        """
        body = canonical(fields)
        known = replace(
            call,
            body_digest=sha256_hex(body),
            body_bytes=len(body),
            # What policy knows of the words, it must know of them here.
            data_labels=asking.call.data_labels,
            use_case=asking.call.use_case,
            networks=asking.call.networks,
            priority=asking.call.priority,
        )
        limits = tuple(
            limit
            for limit in (*asking.caller.limits, *asking.unmet)
            if limit.measure.period.is_from_ledger
        )
        caller = replace(asking.caller, limits=limits, operations=())
        made = await self.decider.decide(DecisionRequest(caller, known))
        if made.denial is not None:
            raise PolicyDenied(f"{called} was refused with {made.denial.status}.")
        answer = await self.relay.serve(made.ticket, body)
        if not isinstance(answer, WholeAnswer):
            raise ProviderUnavailable(f"{called} answered with a stream.")
        return answer.body
