"""OpenAI's chat API on Cohere's, in both directions.

Source:
    https://docs.cohere.com/reference/chat
    Shape from the SDK's types (cohere 7.3.1); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping

from llm_core.catalogue import Deployment
from llm_core.chat.encoding import TOO_DEEP, decode_object, encode
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest, ProviderError, ProviderUnavailable
from llm_core.providers.cohere.errors import PROVIDER, failure_from_cohere
from llm_core.providers.cohere.request import to_cohere
from llm_core.providers.cohere.response import from_cohere
from llm_core.providers.cohere.stream import CohereStream
from llm_core.providers.translator import ProviderRequest, StreamTranslator, Translated


class CohereTranslator:
    """Speaks to Cohere; `base_url` is `https://api.cohere.com`."""

    def request(self, request: ChatRequest, deployment: Deployment) -> ProviderRequest:
        """Build the provider's request; see `Translator.request`."""
        try:
            body, dropped = to_cohere(request, deployment)
        except RecursionError:
            raise MalformedRequest(TOO_DEEP) from None
        return ProviderRequest(
            url=f"{deployment.base_url}/v2/chat",
            headers={"content-type": "application/json"},
            body=encode(body),
            dropped_params=dropped,
        )

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The API key's header."""
        return {"authorization": f"Bearer {secret}"}

    def response(self, body: bytes) -> Translated:
        """Read a whole answer; see `Translator.response`."""
        answer = decode_object(body)
        if answer is None or not isinstance(answer.get("message"), dict):
            raise ProviderUnavailable(f"{PROVIDER} answered with something that is no message.")
        return from_cohere(answer)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Read an error answer; see `Translator.failure`."""
        return failure_from_cohere(status, headers, decode_object(body))

    def stream(self, request: ChatRequest) -> StreamTranslator:
        """Start reading a streamed answer; see `Translator.stream`."""
        return CohereStream()
