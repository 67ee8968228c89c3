"""Turns texts into vectors, by the gateway's own calls (`own_calls`) to an embedding model."""

from collections.abc import Callable
from dataclasses import dataclass

from llm_core.chat.encoding import decode_object
from llm_core.errors import ProviderUnavailable
from llm_core.operation import Operation
from llm_core.policy.call import Call
from llm_core.policy.decision import Reservation
from policy_service.services.own_calls import OwnCalls


@dataclass(frozen=True, slots=True)
class Embedder:
    """Turns a text into a vector.

    Args:
        calls: Without a response cache.
        model: The embedding model's alias in the catalogue.
        count: Counts a text's tokens.
    """

    calls: OwnCalls
    model: str
    count: Callable[[str], int]

    async def __call__(self, asking: Reservation, text: str) -> tuple[float, ...]:
        """The vector of `text`, paid for by whoever asks `asking`.

        Raises:
            PolicyDenied: The caller may not use the embedding model, or has no budget left.
            GatewayError: It cannot be had.
        """
        fields = {"model": self.model, "input": text, "encoding_format": "float"}
        call = Call(
            Operation.EMBEDDINGS,
            asked_model=self.model,
            prompt_tokens=self.count(text),
            max_output_tokens=0,
        )
        return _vector(await self.calls(asking, call, fields, "The embedding model"))


def _vector(body: bytes) -> tuple[float, ...]:
    try:
        answered = decode_object(body) or {}
        vector = tuple(float(number) for number in answered["data"][0]["embedding"])
    except (LookupError, TypeError, ValueError):
        vector = ()
    if not any(vector):
        raise ProviderUnavailable("The embedding model gave no vector.")
    return vector
