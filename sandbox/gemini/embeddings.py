"""Embeddings as Google answers them: `batchEmbedContents`, `embedContent` and `predict`.

Source:
    https://ai.google.dev/api/embeddings and
    https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
    (checked 2026-11-20)
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.gemini.errors import invalid
from sandbox.gemini.shapes import BATCH_EMBED, EMBED_AT_VERTEX, PREDICT, canonical
from sandbox.gemini.wire import GeminiWire, VertexWire, no_such_model
from sandbox.tokens import count
from sandbox.wire import Event, Received, Reply

_DIMENSIONS = 768
_MOST_REQUESTS = 100
_Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EmbeddingsReply:
    """Vectors; there is no stream of them.

    Args:
        document: The answer.
        usage: Its part that tells about tokens.
    """

    document: _Object
    usage: _Object
    output_tokens: int = 0

    def whole(self, *, has_usage: bool) -> _Object:
        """One document."""
        return {**self.document, **(self.usage if has_usage else {})}

    def events(self, *, has_usage: bool) -> Sequence[Event]:
        """None."""
        return ()


class GeminiEmbeddingsWire(GeminiWire):
    """`models/{model}:batchEmbedContents` at Google AI."""

    def reply(self, received: Received) -> Reply:
        """Answer with a vector for each request."""
        payload, model = canonical(received.payload, BATCH_EMBED), received.wishes.model
        requests = payload.get("requests") or []
        if model.startswith("no-such-"):
            raise no_such_model(model)
        if not 1 <= len(requests) <= _MOST_REQUESTS:
            raise invalid(
                "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n"
            )
        for one in requests:
            if one.get("model") != f"models/{received.deployment}":
                raise invalid("* BatchEmbedContentsRequest.requests.model: model does not match\n")
        texts = [_text(one) for one in requests]
        vectors = [
            {"values": vector(text, one.get("outputDimensionality"))}
            for text, one in zip(texts, requests, strict=True)
        ]
        tokens = sum(map(count, texts))
        return EmbeddingsReply(
            {"embeddings": vectors}, {"usageMetadata": {"promptTokenCount": tokens}}
        )


class VertexEmbeddingsWire(VertexWire):
    """`models/{model}:embedContent` and `:predict` at Vertex AI.

    Args:
        answer: `embedded` or `predicted`.
    """

    def __init__(self, answer: Callable[[Mapping[str, Any], str], EmbeddingsReply]) -> None:
        self._answer = answer

    def reply(self, received: Received) -> Reply:
        """Answer with vectors."""
        if received.wishes.model.startswith("no-such-"):
            raise no_such_model(received.wishes.model)
        return self._answer(received.payload, received.wishes.model)


def predicted(payload: Mapping[str, Any], model: str) -> EmbeddingsReply:
    """`predict`: the count of tokens stands beside each vector, as a number with a point."""
    body = canonical(payload, PREDICT)
    instances = body.get("instances") or []
    if not instances:
        raise invalid("Empty instances.")
    if model.startswith("gemini-") and len(instances) > 1:
        raise invalid("This model accepts one instance per request.")
    size = (body.get("parameters") or {}).get("outputDimensionality")
    predictions = [
        {
            "embeddings": {
                "values": vector(str(one["content"]), size),
                "statistics": {
                    "truncated": False,
                    "token_count": float(count(str(one["content"]))),
                },
            }
        }
        for one in instances
    ]
    return EmbeddingsReply({"predictions": predictions}, {})


def embedded(payload: Mapping[str, Any], model: str) -> EmbeddingsReply:
    """`embedContent`: one text, one vector."""
    body = canonical(payload, EMBED_AT_VERTEX)
    text = _text(body)
    size = (body.get("embedContentConfig") or {}).get("outputDimensionality")
    return EmbeddingsReply(
        {"embedding": {"values": vector(text, size)}},
        {"usageMetadata": {"promptTokenCount": count(text)}},
    )


def vector(text: str, size: int | None) -> list[float]:
    """A vector that depends on the text alone, numbers from -1 to 1."""
    wanted = size or _DIMENSIONS
    stream = hashlib.shake_256(text.encode()).digest(wanted)
    return [round((byte - 127.5) / 127.5, 6) for byte in stream]


def _text(request: Mapping[str, Any]) -> str:
    parts = (request.get("content") or {}).get("parts") or []
    text = " ".join(str(part.get("text", "")) for part in parts)
    if not text:
        raise invalid("* EmbedContentRequest.content: contents is not specified\n")
    return text
