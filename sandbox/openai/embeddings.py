"""OpenAI's and Azure's embeddings, and the vectors that every stand-in gives.

Source:
    https://platform.openai.com/docs/api-reference/embeddings (checked 2026-11-20)
"""

import base64
import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sandbox.azure import AzureOpenAiWire
from sandbox.openai import errors
from sandbox.openai.wire import OpenAiWire
from sandbox.refusal import Refusal
from sandbox.tokens import count
from sandbox.wire import Event, Received, Reply

DIMENSIONS = 16
"""Of a vector, unless the request says otherwise; short, so that answers can be read."""
MOST_DIMENSIONS = 3072
MOST_INPUTS = 2048

_PARAMETERS = frozenset({"model", "input", "dimensions", "encoding_format", "user"})


def vector_for(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Give the vector of a text: of length one, and the same every time.

    Texts that share words are near each other: the vector is the sum of its words' own.
    """
    totals = [0.0] * dimensions
    for word in text.lower().split() or [""]:
        for place in range(dimensions):
            seed = f"{word}/{place}".encode()
            number = int.from_bytes(hashlib.sha256(seed).digest()[:4])
            totals[place] += number / 2**31 - 1
    length = math.sqrt(sum(value * value for value in totals)) or 1.0
    # As a 32-bit float, so that both encodings say the same.
    packed = struct.pack(f"<{dimensions}f", *(value / length for value in totals))
    return list(struct.unpack(f"<{dimensions}f", packed))


@dataclass(frozen=True, slots=True)
class EmbeddingsReply:
    """A list of embeddings; there is no streamed form.

    Args:
        texts: What was asked, token numbers written as text.
        model: The served model.
        dimensions: Of each vector.
        is_base64: Whether vectors are packed.
    """

    texts: Sequence[str]
    model: str
    dimensions: int
    is_base64: bool

    @property
    def output_tokens(self) -> int:
        """None."""
        return 0

    def whole(self, *, has_usage: bool) -> dict[str, Any]:
        """OpenAI's list."""
        body: dict[str, Any] = {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": self._embedding(text)}
                for index, text in enumerate(self.texts)
            ],
            "model": self.model,
        }
        if has_usage:
            tokens = sum(map(count, self.texts))
            body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        return body

    def events(self, *, has_usage: bool) -> Sequence[Event]:
        """Never asked for."""
        return ()

    def _embedding(self, text: str) -> str | list[float]:
        vector = vector_for(text, self.dimensions)
        if not self.is_base64:
            return vector
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


class OpenAiEmbeddingsWire(OpenAiWire):
    """`/v1/embeddings` as OpenAI speaks it."""

    def is_streaming(self, payload: Mapping[str, Any], path: str) -> bool:
        """Never."""
        return False

    def reply(self, received: Received) -> Reply:
        """Answer with a vector for each input."""
        if not received.wishes.model:
            raise errors.error(400, "you must provide a model parameter")
        if received.wishes.model.startswith("no-such-"):
            raise errors.no_such_model(received.wishes.model)
        return _reply(received.payload, received.wishes.model)


class AzureOpenAiEmbeddingsWire(AzureOpenAiWire):
    """`/openai/deployments/{deployment}/embeddings?api-version=...`."""

    def is_streaming(self, payload: Mapping[str, Any], path: str) -> bool:
        """Never."""
        return False

    def reply(self, received: Received) -> Reply:
        """Answer for a deployment."""
        return _reply(received.payload, self.served_model(received))


def _reply(payload: Mapping[str, Any], model: str) -> EmbeddingsReply:
    unknown = next((key for key in payload if key not in _PARAMETERS), None)
    if unknown is not None:
        raise errors.error(
            HTTPStatus.BAD_REQUEST,
            f"Unknown parameter: '{unknown}'.",
            param=unknown,
            code="unknown_parameter",
        )
    dimensions = payload.get("dimensions")
    if dimensions is not None and not 1 <= dimensions <= MOST_DIMENSIONS:
        raise _invalid("'dimensions' is out of range for this model.", "dimensions")
    encoding = payload.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise _invalid(f"Invalid value: '{encoding}'.", "encoding_format")
    return EmbeddingsReply(
        texts=_texts(payload.get("input")),
        model=model,
        dimensions=dimensions or DIMENSIONS,
        is_base64=encoding == "base64",
    )


def _texts(given: object) -> list[str]:
    inputs = given if isinstance(given, list) else [given]
    if inputs and all(isinstance(one, int) for one in inputs):
        inputs = [inputs]
    if not inputs or len(inputs) > MOST_INPUTS:
        raise _invalid("'$.input' is invalid.", "input")
    texts = [
        " ".join(map(str, one)) if isinstance(one, list) else one
        for one in inputs
        if isinstance(one, str | list) and one
    ]
    if len(texts) < len(inputs):
        raise _invalid("'$.input' is invalid.", "input")
    return texts


def _invalid(message: str, param: str) -> Refusal:
    return errors.error(HTTPStatus.BAD_REQUEST, message, param=param)
