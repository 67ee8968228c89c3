"""Stand-ins for Titan's and Cohere's embedding models behind `InvokeModel`.

A vector depends on nothing but its text, has length one, and tells different texts apart; it knows
nothing of what they mean.

Source:
    https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed-v4.html
    (checked 2026-11-20)
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.bedrock.errors import invalid, model_error
from sandbox.identifiers import digest, identifier
from sandbox.tokens import count
from sandbox.wire import Event

_TITAN_LENGTHS = (256, 512, 1024)
_COHERE_LENGTHS = (256, 512, 1024, 1536)
_COHERE_INPUT_TYPES = ("search_document", "search_query", "classification", "clustering")
_MOST_TEXTS = 96


@dataclass(frozen=True, slots=True)
class InvokeReply:
    """An embedding model's answer, which is never streamed."""

    document: Mapping[str, Any]

    @property
    def output_tokens(self) -> int:
        """None: nothing is generated."""
        return 0

    def whole(self, *, has_usage: bool) -> dict[str, Any]:
        """The answer as one document."""
        return {
            name: value
            for name, value in self.document.items()
            if has_usage or name != "inputTextTokenCount"
        }

    def events(self, *, has_usage: bool) -> Sequence[Event]:
        """No events."""
        return ()


def titan_reply(payload: Mapping[str, Any]) -> InvokeReply:
    """Answer as Titan Text Embeddings V2."""
    text = payload.get("inputText")
    unknown = set(payload) - {"inputText", "dimensions", "normalize", "embeddingTypes"}
    if unknown:
        raise invalid(
            f"Malformed input request: #: extraneous key [{min(unknown)}] is not permitted, please "
            "reformat your input and try again."
        )
    if not isinstance(text, str) or not text:
        raise invalid(
            "Malformed input request: #/inputText: expected type: String, please reformat your "
            "input and try again."
        )
    length = payload.get("dimensions", 1024)
    if length not in _TITAN_LENGTHS:
        raise invalid(f"Malformed input request: #/dimensions: {length} is not a valid enum value")
    vector = _vector(text, length)
    return InvokeReply(
        {
            "embedding": vector,
            "embeddingsByType": {"float": vector},
            "inputTextTokenCount": count(text),
        }
    )


def cohere_reply(payload: Mapping[str, Any], model: str) -> InvokeReply:
    """Answer as Cohere Embed."""
    texts = payload.get("texts")
    if not isinstance(texts, list) or not 0 < len(texts) <= _MOST_TEXTS:
        raise model_error(f"invalid request: texts must hold from 1 to {_MOST_TEXTS} texts")
    if payload.get("input_type") not in _COHERE_INPUT_TYPES:
        raise model_error("invalid request: valid input_type must be provided with the model")
    is_newest = "embed-v4" in model
    length = payload.get("output_dimension", 1536 if is_newest else 1024)
    if length not in _COHERE_LENGTHS or ("output_dimension" in payload and not is_newest):
        raise model_error("invalid request: output_dimension is not valid for this model")
    vectors = [_vector(text, length) for text in texts]
    is_typed = "embedding_types" in payload
    return InvokeReply(
        {
            "id": identifier("", digest(payload), 24),
            "texts": [text.lower() for text in texts],
            "embeddings": {"float": vectors} if is_typed else vectors,
            "response_type": "embeddings_by_type" if is_typed else "embeddings_floats",
        }
    )


def _vector(text: str, length: int) -> list[float]:
    raw = hashlib.shake_256(text.encode()).digest(length)
    centred = [byte - 127.5 for byte in raw]
    norm = math.sqrt(sum(value * value for value in centred))
    return [value / norm for value in centred]
