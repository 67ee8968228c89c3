"""OpenAI's embeddings API on Mistral's.

`dimensions` becomes `output_dimension`; numbers always come as floats and are packed here when the
caller wants `base64`. Texts only: Mistral takes no token numbers.

Source:
    https://docs.mistral.ai/api/endpoint/embeddings
    Shape from the SDK's types (mistralai 3.7.0); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping
from typing import Any

from llm_core.catalogue import Deployment
from llm_core.chat.encoding import decode_object, encode
from llm_core.embeddings.request import EmbeddingsRequest
from llm_core.embeddings.response import embeddings_body
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.providers.mistral.errors import PROVIDER, failure_from_mistral
from llm_core.providers.mistral.refusals import unsupported
from llm_core.providers.mistral.response import usage_from_mistral
from llm_core.providers.translator import ProviderRequest, Translated
from llm_core.tokens.usage import TokenUsage

_TRANSLATED = frozenset(
    {"model", "input", "dimensions", "output_dimension", "encoding_format", "output_dtype"}
)


class MistralEmbeddings:
    """Asks Mistral for embeddings; see `EmbeddingsTranslator`."""

    def request(self, request: EmbeddingsRequest, deployment: Deployment) -> ProviderRequest:
        """Build the provider's request."""
        fields = request.fields
        if request.texts is None:
            raise unsupported("input", "it takes texts and no token numbers.")
        if fields.get("output_dtype") not in (None, "float"):
            raise unsupported("output_dtype", "OpenAI's format has floats only.")
        body: dict[str, Any] = {"model": deployment.model, "input": list(request.texts)}
        own = fields.get("output_dimension")
        dimensions = request.dimensions if own is None else own
        if dimensions is not None:
            body["output_dimension"] = dimensions
        return ProviderRequest(
            url=f"{deployment.base_url}/embeddings",
            headers={"content-type": "application/json"},
            body=encode(body),
            dropped_params=tuple(
                name
                for name, value in fields.items()
                if value is not None and name not in _TRANSLATED
            ),
        )

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The API key's header."""
        return {"authorization": f"Bearer {secret}"}

    def response(self, body: bytes, request: EmbeddingsRequest) -> Translated:
        """Read an answer; see `EmbeddingsTranslator.response`."""
        answer = decode_object(body)
        vectors = _vectors((answer or {}).get("data"))
        if answer is None or vectors is None:
            raise ProviderUnavailable(f"{PROVIDER} answered with something that is no embedding.")
        reported = usage_from_mistral(answer.get("usage"))
        usage = TokenUsage(
            input_tokens=reported.input_tokens,
            output_tokens=None if reported.input_tokens is None else 0,
        )
        model = answer.get("model")
        served = model if isinstance(model, str) and model else None
        made = embeddings_body(
            vectors,
            model=served or request.model,
            usage=usage,
            encoding_format=request.encoding_format,
        )
        return Translated(body=made, usage=usage, served_model=served)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Read an error answer; see `EmbeddingsTranslator.failure`."""
        return failure_from_mistral(status, headers, decode_object(body))


def _vectors(data: object) -> list[list[float]] | None:
    """The vectors in the order of the inputs; `None` when this is no list of embeddings."""
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        return None
    placed = sorted(enumerate(data), key=lambda at: _place(at[1].get("index"), at[0]))
    vectors = [one.get("embedding") for _, one in placed]
    return vectors if all(map(_is_vector, vectors)) else None


def _place(index: object, position: int) -> int:
    return index if isinstance(index, int) else position


def _is_vector(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(number, int | float) for number in value)
