"""OpenAI's embeddings API on Google's, in both directions.

| Where | Model | Method | Texts a call |
|---|---|---|---|
| Google AI | every one | `batchEmbedContents` | 100 |
| Vertex AI | `text-embedding-...`, `text-multilingual-embedding-...` | `predict` | 250 |
| Vertex AI | `gemini-embedding-001` | `predict` | 1 |
| Vertex AI | later | `embedContent` | 1 |

Vertex AI cuts a text that is too long unless told otherwise; OpenAI refuses it, so it is told.

Source:
    https://ai.google.dev/api/embeddings
    https://docs.cloud.google.com/vertex-ai/generative-ai/docs/embeddings/get-text-embeddings
    Shape from the SDK's types (google-genai 3.4.0); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_core.catalogue import Deployment
from llm_core.chat.encoding import decode_object, encode
from llm_core.chat.response import token_count
from llm_core.embeddings.request import EmbeddingsRequest
from llm_core.embeddings.response import embeddings_body
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.providers.gemini.errors import error_object, failure_from_google
from llm_core.providers.gemini.vendor import (
    GOOGLE_AI,
    VERTEX_AI,
    Vendor,
    google_ai_credential,
    vertex_credential,
)
from llm_core.providers.translator import ProviderRequest, Translated
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]

_TRANSLATED = frozenset({"model", "input", "dimensions", "encoding_format"})
_MOST_TEXTS = 100
_MOST_TEXTS_OF_VERTEX = 250


class GeminiEmbeddingsTranslator:
    """Speaks to Google AI."""

    vendor = GOOGLE_AI

    def request(self, request: EmbeddingsRequest, deployment: Deployment) -> ProviderRequest:
        """Build the provider's request; see `EmbeddingsTranslator.request`."""
        name = f"models/{deployment.model}"
        texts = _texts(request, self.vendor, _MOST_TEXTS)
        size = _size(request)
        requests = [{"model": name, "content": {"parts": [{"text": t}]}, **size} for t in texts]
        return _sent(
            request, f"{deployment.base_url}/{name}:batchEmbedContents", {"requests": requests}
        )

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The API key's header."""
        return google_ai_credential(secret)

    def response(self, body: bytes, request: EmbeddingsRequest) -> Translated:
        """Read an answer; see `EmbeddingsTranslator.response`."""
        answer = decode_object(body) or {}
        given = answer.get("embeddings")
        vectors = [_vector(one, self.vendor) for one in given] if isinstance(given, list) else []
        counted = answer.get("usageMetadata")
        tokens = counted.get("promptTokenCount") if isinstance(counted, dict) else None
        return _translated(vectors, token_count(tokens), request, self.vendor)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Read an error answer; see `EmbeddingsTranslator.failure`."""
        return failure_from_google(self.vendor, status, headers, error_object(body))


class VertexEmbeddingsTranslator:
    """Speaks to Vertex AI."""

    vendor = VERTEX_AI

    def request(self, request: EmbeddingsRequest, deployment: Deployment) -> ProviderRequest:
        """Build the provider's request; see `EmbeddingsTranslator.request`."""
        model = deployment.model
        url = f"{deployment.base_url}/models/{model}"
        size = _size(request)
        if _is_predicted(model):
            most = 1 if model.startswith("gemini-") else _MOST_TEXTS_OF_VERTEX
            texts = _texts(request, self.vendor, most)
            body: _Object = {
                "instances": [{"content": text} for text in texts],
                "parameters": {"autoTruncate": False, **size},
            }
            return _sent(request, f"{url}:predict", body)
        text = _texts(request, self.vendor, 1)[0]
        body = {
            "content": {"parts": [{"text": text}]},
            "embedContentConfig": {"autoTruncate": False, **size},
        }
        return _sent(request, f"{url}:embedContent", body)

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The header of a static credential; see `vertex_credential`."""
        return vertex_credential(secret)

    def response(self, body: bytes, request: EmbeddingsRequest) -> Translated:
        """Read an answer; see `EmbeddingsTranslator.response`."""
        answer = decode_object(body) or {}
        predictions = answer.get("predictions")
        if isinstance(predictions, list):
            embeddings = [_member(one, "embeddings") for one in predictions]
            counts = [
                token_count(_whole(_member(one, "statistics").get("token_count")))
                for one in embeddings
            ]
            known = [count for count in counts if count is not None]
            tokens = sum(known) if len(known) == len(counts) else None
        else:
            embeddings = [answer["embedding"]] if "embedding" in answer else []
            tokens = token_count(_member(answer, "usageMetadata").get("promptTokenCount"))
        vectors = [_vector(one, self.vendor) for one in embeddings]
        return _translated(vectors, tokens, request, self.vendor)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Read an error answer; see `EmbeddingsTranslator.failure`."""
        return failure_from_google(self.vendor, status, headers, error_object(body))


def _is_predicted(model: str) -> bool:
    return "gemini" not in model or model.startswith("gemini-embedding-001")


def _texts(request: EmbeddingsRequest, vendor: Vendor, most: int) -> Sequence[str]:
    texts = request.texts
    if texts is None:
        raise vendor.unsupported("input", "it embeds text, not token numbers.")
    if len(texts) > most:
        raise vendor.unsupported("input", f"this model embeds at most {most} texts a call.")
    return texts


def _size(request: EmbeddingsRequest) -> _Object:
    return {} if request.dimensions is None else {"outputDimensionality": request.dimensions}


def _sent(request: EmbeddingsRequest, url: str, body: _Object) -> ProviderRequest:
    dropped = (n for n, v in request.fields.items() if v is not None and n not in _TRANSLATED)
    return ProviderRequest(
        url=url,
        headers={"content-type": "application/json"},
        body=encode(body),
        dropped_params=tuple(dropped),
    )


def _translated(
    vectors: Sequence[Sequence[float]],
    tokens: int | None,
    request: EmbeddingsRequest,
    vendor: Vendor,
) -> Translated:
    if len(vectors) != len(request.texts or ()):
        raise ProviderUnavailable(
            f"{vendor.name} answered with something that is no list of embeddings."
        )
    usage = TokenUsage() if tokens is None else TokenUsage(input_tokens=tokens, output_tokens=0)
    body = embeddings_body(
        vectors, model=request.model, usage=usage, encoding_format=request.encoding_format
    )
    return Translated(body=body, usage=usage, served_model=None)


def _vector(given: object, vendor: Vendor) -> list[float]:
    values = given.get("values") if isinstance(given, dict) else None
    if not isinstance(values, list) or not all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in values
    ):
        raise ProviderUnavailable(f"{vendor.name} answered with an embedding that is no vector.")
    return values


def _member(given: object, name: str) -> Mapping[str, Any]:
    value = given.get(name) if isinstance(given, dict) else None
    return value if isinstance(value, dict) else {}


def _whole(count: object) -> object:
    """Vertex AI writes its count of tokens as `4.0`."""
    return int(count) if isinstance(count, float) and count.is_integer() else count
