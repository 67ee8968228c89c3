"""OpenAI's embeddings API on the embedding models of Amazon Bedrock, in both directions.

There is no common format: each maker's own goes through `InvokeModel`.

| | Titan | Cohere Embed |
|---|---|---|
| texts a call | one | up to 96 |
| `dimensions` | version 2 | version 4 |
| own fields that pass | `normalize` | `input_type` (`search_document` without it), `truncate` |
| usage | `inputTextTokenCount` | not in the body |

Source:
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed-v3.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed-v4.html
    Shape from the SDK's types (botocore 1.44.5); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_core.catalogue import Deployment
from llm_core.chat.encoding import decode_object, encode
from llm_core.chat.response import token_count
from llm_core.embeddings.request import EmbeddingsRequest
from llm_core.embeddings.response import embeddings_body
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.providers.bedrock.address import INVOKE, url_of
from llm_core.providers.bedrock.errors import failure_from_bedrock
from llm_core.providers.bedrock.refusals import unsupported
from llm_core.providers.translator import ProviderRequest, Translated
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]

_MOST_COHERE_TEXTS = 96
_COMMON = frozenset({"model", "input", "dimensions", "encoding_format"})
_TITAN = frozenset({"normalize"})
_COHERE = frozenset({"input_type", "truncate"})


class BedrockEmbeddingsTranslator:
    """Speaks to Titan's text models and Cohere's, as Bedrock serves them."""

    def request(self, request: EmbeddingsRequest, deployment: Deployment) -> ProviderRequest:
        """Build the provider's request; see `EmbeddingsTranslator.request`."""
        texts = request.texts
        if texts is None:
            raise unsupported("input", "it takes text, not token numbers.")
        named = f"{deployment.model} {deployment.price_model or ''}".lower()
        if "titan-embed" in named:
            body, own = _titan(request, texts, named), _TITAN
        elif "cohere.embed" in named:
            body, own = _cohere(request, texts, named), _COHERE
        else:
            raise unsupported("model", "only Titan and Cohere Embed models embed texts here.")
        return ProviderRequest(
            url=url_of(deployment, INVOKE),
            headers={"content-type": "application/json", "accept": "application/json"},
            body=encode(
                {**body, **{name: request.fields[name] for name in _present(request, own)}}
            ),
            dropped_params=tuple(
                name for name in _present(request, request.fields) if name not in _COMMON | own
            ),
        )

    def credential_headers(self, secret: str) -> dict[str, str]:
        """A Bedrock API key's header."""
        return {"authorization": f"Bearer {secret}"}

    def response(self, body: bytes, request: EmbeddingsRequest) -> Translated:
        """Read an answer; see `EmbeddingsTranslator.response`."""
        answer = decode_object(body) or {}
        vectors = _vectors(answer)
        if vectors is None or len(vectors) != len(request.texts or ()):
            raise ProviderUnavailable(
                "Amazon Bedrock answered with something that is no embedding."
            )
        tokens = token_count(answer.get("inputTextTokenCount"))
        usage = TokenUsage() if tokens is None else TokenUsage(input_tokens=tokens, output_tokens=0)
        shown = embeddings_body(
            vectors, model=request.model, usage=usage, encoding_format=request.encoding_format
        )
        return Translated(body=shown, usage=usage, served_model=None)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Read an error answer; see `EmbeddingsTranslator.failure`."""
        return failure_from_bedrock(status, headers, decode_object(body))


def _titan(request: EmbeddingsRequest, texts: Sequence[str], named: str) -> _Object:
    if len(texts) > 1:
        raise unsupported("input", "this model embeds one text a call; send one call for each.")
    body: _Object = {"inputText": texts[0]}
    if request.dimensions is not None:
        if "titan-embed-text-v2" not in named:
            raise unsupported("dimensions", "this model's vectors have one length.")
        body["dimensions"] = request.dimensions
    return body


def _cohere(request: EmbeddingsRequest, texts: Sequence[str], named: str) -> _Object:
    if len(texts) > _MOST_COHERE_TEXTS:
        raise unsupported("input", f"this model embeds at most {_MOST_COHERE_TEXTS} texts a call.")
    body: _Object = {
        "texts": list(texts),
        "input_type": "search_document",
        "embedding_types": ["float"],
    }
    if request.dimensions is not None:
        if "cohere.embed-v4" not in named:
            raise unsupported("dimensions", "this model's vectors have one length.")
        body["output_dimension"] = request.dimensions
    return body


def _present(request: EmbeddingsRequest, names: Mapping[str, Any] | frozenset[str]) -> list[str]:
    return sorted(name for name in names if request.fields.get(name) is not None)


def _vectors(answer: Mapping[str, Any]) -> list[list[float]] | None:
    match answer:
        case {"embedding": [*vector]}:
            found = [vector]
        # By type when types were asked for, a plain list otherwise.
        case {"embeddings": {"float": [*vectors]}} | {"embeddings": [*vectors]}:
            found = vectors
        case _:
            return None
    return found if all(map(_is_vector, found)) else None


def _is_vector(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in value
    )
