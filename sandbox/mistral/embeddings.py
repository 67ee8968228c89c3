"""Mistral's embeddings.

Source:
    https://docs.mistral.ai/api/endpoint/embeddings (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any

from sandbox.identifiers import digest
from sandbox.mistral.errors import invalid, missing
from sandbox.mistral.validation import forbid_others
from sandbox.mistral.wire import MistralWire
from sandbox.openai.embeddings import DIMENSIONS, EmbeddingsReply
from sandbox.wire import Received, Reply

_PARAMETERS = frozenset(
    {"model", "input", "metadata", "output_dimension", "output_dtype", "encoding_format"}
)


class MistralEmbeddingsWire(MistralWire):
    """`/v1/embeddings` as Mistral speaks it."""

    def is_streaming(self, payload: Mapping[str, Any], path: str) -> bool:
        """Never."""
        return False

    def reply(self, received: Received) -> Reply:
        """Answer with a vector for each text."""
        payload = received.payload
        for name in ("model", "input"):
            if payload.get(name) is None:
                raise missing(name)
        forbid_others(payload, _PARAMETERS)
        self.check_model(received.wishes.model)
        given = payload["input"]
        texts = [given] if isinstance(given, str) else given
        if not texts or not all(isinstance(text, str) for text in texts):
            raise invalid(["input"], "Input should be a valid string", "string_type", given)
        return _MistralEmbeddingsReply(
            texts=texts,
            model=received.wishes.model,
            dimensions=payload.get("output_dimension") or DIMENSIONS,
            is_base64=payload.get("encoding_format") == "base64",
        )


class _MistralEmbeddingsReply(EmbeddingsReply):
    """OpenAI's list with an id."""

    __slots__ = ()

    def whole(self, *, has_usage: bool) -> dict[str, Any]:
        body = EmbeddingsReply.whole(self, has_usage=has_usage)
        if has_usage:
            body["usage"]["completion_tokens"] = 0
        return {"id": digest({"texts": list(self.texts)})[:32], **body}
