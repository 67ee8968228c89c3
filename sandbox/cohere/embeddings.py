"""Cohere's embeddings.

Source:
    https://docs.cohere.com/reference/embed (checked 2026-11-20)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.cohere.errors import invalid, unknown_field
from sandbox.cohere.wire import CohereWire
from sandbox.identifiers import digest
from sandbox.openai.embeddings import DIMENSIONS, vector_for
from sandbox.tokens import count
from sandbox.wire import Event, Received, Reply

_PARAMETERS = frozenset(
    {"model", "input_type", "texts", "images", "inputs", "max_tokens", "output_dimension"}
    | {"embedding_types", "truncate", "priority"}
)
_INPUT_TYPES = ("search_document", "search_query", "classification", "clustering", "image")
_MOST_TEXTS = 96


class CohereEmbeddingsWire(CohereWire):
    """`/v2/embed` as Cohere speaks it; texts as floats, as the gateway asks."""

    def is_streaming(self, payload: Mapping[str, Any], path: str) -> bool:
        """Never."""
        return False

    def reply(self, received: Received) -> Reply:
        """Answer with a vector for each text."""
        payload = received.payload
        unknown = next((key for key in payload if key not in _PARAMETERS), None)
        if unknown is not None:
            raise unknown_field(unknown)
        if payload.get("input_type") not in _INPUT_TYPES:
            raise invalid("valid input_type must be provided with the provided model")
        self.check_model(received.wishes.model)
        texts = payload.get("texts")
        if not isinstance(texts, list) or not texts or not all(map(_is_text, texts)):
            raise invalid("texts must be a list of at least one text.")
        if len(texts) > _MOST_TEXTS:
            raise invalid(f"total number of texts must be at most {_MOST_TEXTS}")
        if payload.get("embedding_types", ["float"]) != ["float"]:
            raise invalid("the sandbox gives embeddings as floats only.")
        return _EmbeddingsReply(texts, payload.get("output_dimension") or DIMENSIONS)


@dataclass(frozen=True, slots=True)
class _EmbeddingsReply:
    texts: Sequence[str]
    dimensions: int

    @property
    def output_tokens(self) -> int:
        return 0

    def whole(self, *, has_usage: bool) -> dict[str, Any]:
        body: dict[str, Any] = {
            "id": digest({"texts": list(self.texts)})[:32],
            "embeddings": {"float": [vector_for(text, self.dimensions) for text in self.texts]},
            "texts": list(self.texts),
            "response_type": "embeddings_by_type",
        }
        meta: dict[str, Any] = {"api_version": {"version": "2"}}
        if has_usage:
            meta["billed_units"] = {"input_tokens": sum(map(count, self.texts))}
        return {**body, "meta": meta}

    def events(self, *, has_usage: bool) -> Sequence[Event]:
        return ()


def _is_text(value: object) -> bool:
    return isinstance(value, str)
