"""OpenAI's embeddings, at every provider that has some.

Source:
    https://platform.openai.com/docs/api-reference/embeddings (checked 2026-11-20)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llm_core.apis.ask import Answer, ClientStream
from llm_core.apis.dialect import DROP_PARAMS, refuse_dropping
from llm_core.catalogue import Deployment
from llm_core.embeddings.request import EmbeddingsRequest
from llm_core.errors import MalformedRequest, ProviderError, UnsupportedParameter
from llm_core.operation import Operation
from llm_core.policy.decision import Obligations
from llm_core.providers.registry import embeddings_translator_for
from llm_core.providers.translator import EmbeddingsTranslator, ProviderRequest
from llm_core.tokens.usage import TokenUsage


def read_embeddings(body: bytes) -> "EmbeddingsAsk":
    """Read a request to `POST /v1/embeddings`.

    Raises:
        MalformedRequest: It is none, or asks for a stream.
    """
    request = EmbeddingsRequest.parse(body)
    if request.fields.get("stream") not in (None, False):
        raise _not_streamed()
    return EmbeddingsAsk(request)


@dataclass(frozen=True, slots=True)
class EmbeddingsAsk:
    """Implements `Ask`; nothing is generated, so nothing is reserved but the input."""

    request: EmbeddingsRequest
    operation: Operation = Operation.EMBEDDINGS
    is_streaming: bool = False
    max_output_tokens: int | None = 0
    choices: int = 1
    has_tools: bool = False
    has_images: bool = False
    response_format: str = "text"

    @property
    def fields(self) -> Mapping[str, Any]:
        """The JSON object as the client sent it."""
        return self.request.fields

    @property
    def model(self) -> str:
        """The asked model."""
        return self.request.model

    def prompt_tokens(self, count: Callable[[str], int]) -> int:
        """Count the input: texts by `count`, token numbers by how many there are."""
        texts = self.request.texts
        if texts is not None:
            return sum(count(text) for text in texts)
        return sum(len(tokens) for tokens in self.request.tokens or ())

    def exchange(
        self, deployment: Deployment, obligations: Obligations, *, created: int
    ) -> "EmbeddingsExchange":
        """Put the request to one deployment; see `Ask.exchange`."""
        translator = embeddings_translator_for(deployment.provider)
        if translator is None:
            raise UnsupportedParameter(
                f"{deployment.provider_name} has no embeddings; ask for another model.",
                param="model",
            )
        own = {name: value for name, value in self.fields.items() if name != DROP_PARAMS}
        asked = EmbeddingsRequest(own)
        request = translator.request(asked, deployment)
        refuse_dropping(self.fields, request, deployment)
        return EmbeddingsExchange(asked, translator, request)

    def replayed(self, body: Mapping[str, Any]) -> Sequence[bytes]:
        """Embeddings are not streamed.

        Raises:
            MalformedRequest: Always.
        """
        raise _not_streamed()


@dataclass(frozen=True, slots=True)
class EmbeddingsExchange:
    """Embeddings at one deployment; implements `Exchange`."""

    asked: EmbeddingsRequest
    translator: EmbeddingsTranslator
    request: ProviderRequest

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The header that proves who pays; lower-case name."""
        return self.translator.credential_headers(secret)

    def answer(self, raw: bytes) -> Answer:
        """Read a whole answer; see `Exchange.answer`."""
        translated = self.translator.response(raw, self.asked)
        return Answer(
            body=translated.body,
            usage=_without_output(translated.usage),
            served_model=translated.served_model,
        )

    def failure(self, status: int, headers: Mapping[str, str], raw: bytes) -> ProviderError:
        """Read an error answer; see `Exchange.failure`."""
        return self.translator.failure(status, headers, raw)

    def stream(self, *, is_kept: bool = False) -> ClientStream:
        """Embeddings are not streamed.

        Raises:
            MalformedRequest: Always.
        """
        raise _not_streamed()


def _without_output(usage: TokenUsage) -> TokenUsage:
    """No provider reports that it generated nothing; with its input the usage is whole."""
    if usage.input_tokens is None:
        return usage
    return replace(usage, output_tokens=usage.output_tokens or 0)


def _not_streamed() -> MalformedRequest:
    return MalformedRequest("Embeddings are not streamed; leave 'stream' out.", param="stream")
