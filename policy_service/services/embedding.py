"""The gateway's own calls for embeddings: decided, carried out and booked like everybody's.

The words of a question go to the embedding model's provider. So policy is asked for the caller
whose question it is, their budgets pay, and the ledger has a row. Every limit that is kept by the
ledger counts it; those of a minute and of calls under way do not, for it is no request of theirs,
and their keys need not be good for embeddings.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from llm_core.digest import canonical, sha256_hex
from llm_core.errors import PolicyDenied, ProviderUnavailable
from llm_core.operation import Operation
from llm_core.policy.call import Call
from llm_core.policy.decision import DecisionRequest, Reservation
from policy_service.services.decide import Decider
from policy_service.services.relay import Relay, WholeAnswer


@dataclass(frozen=True, slots=True)
class Embedder:
    """Turns a text into a vector.

    Args:
        decider: One without a response cache.
        relay: Likewise.
        model: The embedding model's alias in the catalogue.
        count: Counts a text's tokens.
    """

    decider: Decider
    relay: Relay
    model: str
    count: Callable[[str], int]

    async def __call__(self, asking: Reservation, text: str) -> tuple[float, ...]:
        """The vector of `text`, paid for by whoever asks `asking`.

        Raises:
            PolicyDenied: The caller may not use the embedding model, or has no budget left.
            GatewayError: It cannot be had.
        """
        fields = {"model": self.model, "input": text, "encoding_format": "float"}
        body = canonical(fields)
        call = Call(
            Operation.EMBEDDINGS,
            asked_model=self.model,
            prompt_tokens=self.count(text),
            max_output_tokens=0,
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
        made = await self.decider.decide(DecisionRequest(caller, call))
        if made.denial is not None:
            raise PolicyDenied(f"The embedding model was refused with {made.denial.status}.")
        answer = await self.relay.serve(made.ticket, body)
        if not isinstance(answer, WholeAnswer):
            raise ProviderUnavailable("The embedding model answered with a stream.")
        return _vector(answer.body)


def _vector(body: bytes) -> tuple[float, ...]:
    try:
        answered: Any = msgspec.json.decode(body)
        vector = tuple(float(number) for number in answered["data"][0]["embedding"])
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError):
        vector = ()
    if not any(vector):
        raise ProviderUnavailable("The embedding model gave no vector.")
    return vector
