"""OpenAI's chat API on Gemini's `generateContent`, in both directions.

Google AI and Vertex AI speak one format under two addresses:

- Google AI: the base is `https://generativelanguage.googleapis.com/v1beta`;
- Vertex AI: the base ends in `/v1/projects/{project}/locations/{location}/publishers/google`.

Both are followed by `/models/{model}:generateContent`, or by `:streamGenerateContent?alt=sse`.

Source:
    https://ai.google.dev/api/generate-content
    https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
    Shape from the SDK's types (google-genai 3.4.0); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping

from llm_core.catalogue import Deployment
from llm_core.chat.encoding import TOO_DEEP, decode_object, encode
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest, ProviderError, ProviderUnavailable
from llm_core.providers.gemini.errors import error_object, failure_from_google
from llm_core.providers.gemini.request import to_gemini
from llm_core.providers.gemini.response import from_gemini, is_answer
from llm_core.providers.gemini.stream import GeminiStream
from llm_core.providers.gemini.vendor import (
    GOOGLE_AI,
    VERTEX_AI,
    google_ai_credential,
    vertex_credential,
)
from llm_core.providers.translator import ProviderRequest, StreamTranslator, Translated


class GeminiTranslator:
    """Speaks to Google AI."""

    vendor = GOOGLE_AI

    def request(self, request: ChatRequest, deployment: Deployment) -> ProviderRequest:
        """Build the provider's request; see `Translator.request`."""
        try:
            body, dropped = to_gemini(request, deployment, self.vendor)
        except RecursionError:
            raise MalformedRequest(TOO_DEEP) from None
        method = "streamGenerateContent?alt=sse" if request.is_streaming else "generateContent"
        return ProviderRequest(
            url=f"{deployment.base_url}/models/{deployment.model}:{method}",
            headers={"content-type": "application/json"},
            body=encode(body),
            dropped_params=dropped,
        )

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The API key's header."""
        return google_ai_credential(secret)

    def response(self, body: bytes) -> Translated:
        """Read a whole answer; see `Translator.response`."""
        answer = decode_object(body)
        if answer is None or not is_answer(answer):
            raise ProviderUnavailable(
                f"{self.vendor.name} answered with something that is no answer of its API."
            )
        return from_gemini(answer, self.vendor)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Read an error answer; see `Translator.failure`."""
        return failure_from_google(self.vendor, status, headers, error_object(body))

    def stream(self, request: ChatRequest) -> StreamTranslator:
        """Start reading a streamed answer; see `Translator.stream`."""
        return GeminiStream(self.vendor, request.choices)


class VertexTranslator(GeminiTranslator):
    """Speaks to Vertex AI."""

    vendor = VERTEX_AI

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The header of a static credential; see `vertex_credential`."""
        return vertex_credential(secret)
