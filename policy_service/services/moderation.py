"""Asks a moderation model, by one of the gateway's own calls (`own_calls`).

Its words have been through screening already, so that the model gets no more than the provider
would. What the model says is compared with one word; anything else, and any failure, refuses.
"""

from dataclasses import dataclass

from llm_core.chat.encoding import decode_object
from llm_core.errors import ProviderUnavailable
from llm_core.operation import Operation
from llm_core.policy.call import Call
from llm_core.policy.decision import Reservation
from llm_core.tokens.counted import LazyCounter
from policy_service.ports.screening import Moderation
from policy_service.services.own_calls import OwnCalls


@dataclass(frozen=True, slots=True)
class Moderator:
    """Asks a model whether words may go on.

    Args:
        calls: Whose relay does not moderate.
        count: Counts a text's tokens.
    """

    calls: OwnCalls
    count: LazyCounter

    async def __call__(self, asking: Reservation, moderation: Moderation, words: str) -> bool:
        """Whether `words` may go on; paid for by whoever asks `asking`.

        Raises:
            PolicyDenied: The caller may not use the moderation model, or has no budget left.
            GatewayError: It cannot be had.
        """
        fields = {
            "model": moderation.model,
            "messages": [
                {"role": "system", "content": moderation.instructions},
                {"role": "user", "content": words},
            ],
            "max_tokens": moderation.max_output_tokens,
        }
        call = Call(
            Operation.CHAT_COMPLETIONS,
            asked_model=moderation.model,
            prompt_tokens=self.count(moderation.instructions) + self.count(words) + 10,
            max_output_tokens=moderation.max_output_tokens,
        )
        answer = await self.calls(asking, call, fields, "The moderation model")
        return _said(answer).casefold().startswith(moderation.passes.casefold())


def _said(body: bytes) -> str:
    try:
        answered = decode_object(body) or {}
        said = answered["choices"][0]["message"]["content"]
    except (LookupError, TypeError):
        said = None
    if not isinstance(said, str) or not said.strip():
        raise ProviderUnavailable("The moderation model said nothing.")
    return said.strip()
