"""OpenAI's chat API on Amazon Bedrock's Converse, in both directions.

Source:
    https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html
    Shape from the SDK's types (botocore 1.44.5); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping

from llm_core.catalogue import Deployment
from llm_core.chat.encoding import TOO_DEEP, decode_object, encode
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest, ProviderError, ProviderUnavailable
from llm_core.providers.bedrock.address import CONVERSE, CONVERSE_STREAM, url_of
from llm_core.providers.bedrock.errors import failure_from_bedrock
from llm_core.providers.bedrock.event_stream import CONTENT_TYPE
from llm_core.providers.bedrock.request import to_bedrock
from llm_core.providers.bedrock.response import from_bedrock
from llm_core.providers.bedrock.stream import BedrockStream
from llm_core.providers.translator import ProviderRequest, StreamTranslator, Translated

_JSON = "application/json"


class BedrockTranslator:
    """Speaks to Amazon Bedrock.

    A request to a deployment whose `auth` is `AWS_SIGV4` is signed by who sends it;
    `credential_headers` is for Bedrock's own API keys.
    """

    def request(self, request: ChatRequest, deployment: Deployment) -> ProviderRequest:
        """Build the provider's request; see `Translator.request`."""
        try:
            body, dropped = to_bedrock(request, deployment)
        except RecursionError:
            raise MalformedRequest(TOO_DEEP) from None
        operation, accept = CONVERSE, _JSON
        if request.is_streaming:
            operation, accept = CONVERSE_STREAM, CONTENT_TYPE
        return ProviderRequest(
            url=url_of(deployment, operation),
            headers={"content-type": _JSON, "accept": accept},
            body=encode(body),
            dropped_params=dropped,
        )

    def credential_headers(self, secret: str) -> dict[str, str]:
        """A Bedrock API key's header."""
        return {"authorization": f"Bearer {secret}"}

    def response(self, body: bytes) -> Translated:
        """Read a whole answer; see `Translator.response`."""
        answer = decode_object(body) or {}
        match answer:
            case {"output": {"message": {"content": [*_]}}}:
                return from_bedrock(answer)
            case _:
                raise ProviderUnavailable(
                    "Amazon Bedrock answered with something that is no message."
                )

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Read an error answer; see `Translator.failure`."""
        return failure_from_bedrock(status, headers, decode_object(body))

    def stream(self, request: ChatRequest) -> StreamTranslator:
        """Start reading a streamed answer; see `Translator.stream`."""
        return BedrockStream()
