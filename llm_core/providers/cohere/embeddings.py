"""OpenAI's embeddings API on Cohere's.

| OpenAI | Cohere |
|---|---|
| `input`: a text, or up to 96 | `texts` |
| `dimensions` | `output_dimension` |
| nothing | `input_type`: `search_document` unless the caller names another |
| nothing | `truncate: NONE`: a text that is too long is an error, as at OpenAI |

Cohere's models embed a question other than what answers it; a caller who embeds questions says
`input_type: search_query`. Numbers always come as floats and are packed here for `base64`.

Source:
    https://docs.cohere.com/reference/embed
    Shape from the SDK's types (cohere 7.3.1); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping
from typing import Any

from llm_core.catalogue import Deployment
from llm_core.chat.encoding import decode_object, encode
from llm_core.embeddings.request import EmbeddingsRequest
from llm_core.embeddings.response import embeddings_body
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.providers.cohere.errors import PROVIDER, failure_from_cohere
from llm_core.providers.cohere.refusals import unsupported
from llm_core.providers.cohere.response import usage_from_cohere
from llm_core.providers.translator import ProviderRequest, Translated
from llm_core.tokens.usage import TokenUsage

MOST_TEXTS = 96
"""In one call."""

_INPUT_TYPES = ("search_document", "search_query", "classification", "clustering")
_TRUNCATIONS = ("NONE", "START", "END")
_TRANSLATED = frozenset(
    {"model", "input", "input_type", "truncate", "dimensions", "output_dimension"}
    | {"encoding_format", "embedding_types"}
)
_REFUSED = {
    "priority": "in which order calls are served is decided by policy.",
    "images": "it is asked to embed texts only.",
    "inputs": "use 'input'.",
    "texts": "use 'input'.",
}


class CohereEmbeddings:
    """Asks Cohere for embeddings; see `EmbeddingsTranslator`."""

    def request(self, request: EmbeddingsRequest, deployment: Deployment) -> ProviderRequest:
        """Build the provider's request."""
        fields = request.fields
        _refuse(fields)
        body: dict[str, Any] = {
            "model": deployment.model,
            "texts": _texts(request),
            "input_type": _one_of(fields, "input_type", _INPUT_TYPES),
            "embedding_types": ["float"],
            "truncate": _one_of(fields, "truncate", _TRUNCATIONS),
        }
        own = fields.get("output_dimension")
        dimensions = request.dimensions if own is None else own
        if dimensions is not None:
            body["output_dimension"] = dimensions
        return ProviderRequest(
            url=f"{deployment.base_url}/v2/embed",
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
        answer = decode_object(body) or {}
        embeddings = answer.get("embeddings")
        vectors = embeddings.get("float") if isinstance(embeddings, dict) else None
        if not isinstance(vectors, list) or not all(map(_is_vector, vectors)):
            raise ProviderUnavailable(f"{PROVIDER} answered with something that is no embedding.")
        usage = _usage(answer.get("meta"))
        made = embeddings_body(
            vectors,
            model=request.model,
            usage=usage,
            encoding_format=request.encoding_format,
        )
        return Translated(body=made, usage=usage, served_model=None)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Read an error answer; see `EmbeddingsTranslator.failure`."""
        return failure_from_cohere(status, headers, decode_object(body))


def _refuse(fields: Mapping[str, Any]) -> None:
    for name, why in _REFUSED.items():
        if fields.get(name) is not None:
            raise unsupported(name, why)
    if fields.get("embedding_types") not in (None, ["float"]):
        raise unsupported("embedding_types", "OpenAI's format has floats only.")


def _texts(request: EmbeddingsRequest) -> list[str]:
    if request.texts is None:
        raise unsupported("input", "it takes texts and no token numbers.")
    if len(request.texts) > MOST_TEXTS:
        raise unsupported("input", f"it takes at most {MOST_TEXTS} texts in one call.")
    return list(request.texts)


def _one_of(fields: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    """Cohere's own field; the first that is known when there is none."""
    given = fields.get(name)
    if given is None:
        return known[0]
    if given not in known:
        raise unsupported(name, f"it must be one of {', '.join(known)}.")
    return str(given)


def _usage(meta: object) -> TokenUsage:
    billed = meta.get("billed_units") if isinstance(meta, dict) else None
    counts = billed if isinstance(billed, dict) else {}
    read = usage_from_cohere({"tokens": {"input_tokens": counts.get("input_tokens")}})
    return TokenUsage(
        input_tokens=read.input_tokens,
        output_tokens=None if read.input_tokens is None else 0,
    )


def _is_vector(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(number, int | float) for number in value)
