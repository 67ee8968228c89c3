"""OpenAI's chat API on Mistral's, in both directions.

Source:
    https://docs.mistral.ai/api/endpoint/chat
    Shape from the SDK's types (mistralai 3.7.0); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping

from llm_core.catalogue import Deployment
from llm_core.chat.encoding import TOO_DEEP, decode_object, encode
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest, ProviderError, ProviderUnavailable
from llm_core.providers.mistral.errors import PROVIDER, failure_from_mistral
from llm_core.providers.mistral.request import to_mistral
from llm_core.providers.mistral.response import from_mistral
from llm_core.providers.mistral.stream import mistral_stream
from llm_core.providers.translator import ProviderRequest, StreamTranslator, Translated


class MistralTranslator:
    """Speaks to Mistral; `base_url` ends in the API's version, `https://api.mistral.ai/v1`."""

    def request(self, request: ChatRequest, deployment: Deployment) -> ProviderRequest:
        """Build the provider's request; see `Translator.request`."""
        try:
            body, dropped = to_mistral(request, deployment)
        except RecursionError:
            raise MalformedRequest(TOO_DEEP) from None
        return ProviderRequest(
            url=f"{deployment.base_url}/chat/completions",
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
        choices = None if answer is None else answer.get("choices")
        if answer is None or not isinstance(choices, list) or not all(map(_is_object, choices)):
            raise ProviderUnavailable(f"{PROVIDER} answered with something that is no answer.")
        return from_mistral(answer)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Read an error answer; see `Translator.failure`."""
        return failure_from_mistral(status, headers, decode_object(body))

    def stream(self, request: ChatRequest) -> StreamTranslator:
        """Start reading a streamed answer; see `Translator.stream`."""
        return mistral_stream(request.choices)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)
