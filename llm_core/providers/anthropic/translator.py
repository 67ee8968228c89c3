"""OpenAI's chat API on Anthropic's Messages API, in both directions.

Source:
    https://platform.claude.com/docs/en/api/messages (checked 2026-11-20)
"""

from collections.abc import Mapping

from llm_core.catalogue import Deployment
from llm_core.chat.encoding import TOO_DEEP, decode_object, encode
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest, ProviderError, ProviderUnavailable
from llm_core.providers.anthropic.errors import failure_from_anthropic
from llm_core.providers.anthropic.request import to_anthropic
from llm_core.providers.anthropic.response import from_anthropic
from llm_core.providers.anthropic.stream import AnthropicStream
from llm_core.providers.translator import ProviderRequest, StreamTranslator, Translated

# Still taken by every model, and by older gateways in between. The only later version, 2026-10-21,
# refuses sampling parameters outright; a deployment that names it gets none.
# https://platform.claude.com/docs/en/api/migration-2026-10-21 (checked 2026-11-20)
DEFAULT_API_VERSION = "2023-06-01"


class AnthropicTranslator:
    """Speaks to Anthropic."""

    def request(self, request: ChatRequest, deployment: Deployment) -> ProviderRequest:
        """Build the provider's request; see `Translator.request`."""
        version = deployment.api_version or DEFAULT_API_VERSION
        try:
            body, dropped = to_anthropic(request, deployment, version)
        except RecursionError:
            raise MalformedRequest(TOO_DEEP) from None
        return ProviderRequest(
            url=f"{deployment.base_url}/v1/messages",
            headers={"content-type": "application/json", "anthropic-version": version},
            body=encode(body),
            dropped_params=dropped,
        )

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The API key's header, taken with every API version."""
        return {"x-api-key": secret}

    def response(self, body: bytes) -> Translated:
        """Read a whole answer; see `Translator.response`."""
        message = decode_object(body)
        if message is None or not isinstance(message.get("content"), list):
            raise ProviderUnavailable("Anthropic answered with something that is no message.")
        return from_anthropic(message)

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Read an error answer; see `Translator.failure`."""
        return failure_from_anthropic(status, headers, decode_object(body))

    def stream(self, request: ChatRequest) -> StreamTranslator:
        """Start reading a streamed answer; see `Translator.stream`."""
        return AnthropicStream()
