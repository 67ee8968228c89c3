"""The four questions the gateway asks about a provider's format, and how they are answered.

A translator maps OpenAI's chat API onto one provider's and back. It answers with data; it sends,
reads and logs nothing. It never changes its arguments: the same request may be translated again
for the next provider.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llm_core.catalogue import Deployment
from llm_core.chat.request import ChatRequest
from llm_core.embeddings.request import EmbeddingsRequest
from llm_core.errors import ProviderError
from llm_core.tokens.usage import TokenUsage


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """What to send: enough for Kong to set and for httpx to send, and tied to neither.

    Args:
        url: Absolute, with the query.
        headers: Lower-case names; the credential's is not among them.
        body: JSON, encoded.
        dropped_params: Tuning knobs the provider lacks, left out.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    dropped_params: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Translated:
    """A provider's whole answer in OpenAI's shape.

    Args:
        body: A `chat.completion` object, or a list of embeddings.
        usage: As reported; buckets inclusive.
        served_model: The model the provider says it used.
    """

    body: dict[str, Any]
    usage: TokenUsage
    served_model: str | None


class StreamTranslator(Protocol):
    """Turns a provider's byte stream, cut anywhere, into OpenAI's chunks.

    `feed` raises a `ProviderError` when the provider reports an error inside the stream.
    """

    def feed(self, received: bytes) -> Sequence[dict[str, Any]]:
        """Give the `chat.completion.chunk` objects that `received` completes.

        The chunk that carries usage has empty `choices` and comes last, whether or not the client
        asked for it; who relays decides whether to show it.
        """
        ...

    def finish(self) -> Sequence[dict[str, Any]]:
        """Say that the provider's stream has ended; give what was held back."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether the provider said that it was done, rather than just stopped sending."""
        ...

    @property
    def usage(self) -> TokenUsage:
        """As reported so far."""
        ...

    @property
    def served_model(self) -> str | None:
        """The model the provider says it uses."""
        ...


class Translator(Protocol):
    """Maps OpenAI's chat API onto one provider's, in both directions."""

    def request(self, request: ChatRequest, deployment: Deployment) -> ProviderRequest:
        """Build the provider's request.

        Raises:
            UnsupportedParameter: The provider cannot do what is asked.
            MalformedRequest: The request is not one OpenAI's API would take.
        """
        ...

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The header that proves who pays; lower-case name."""
        ...

    def response(self, body: bytes) -> Translated:
        """Read a whole answer.

        Raises:
            ProviderUnavailable: The body is not an answer of this provider.
        """
        ...

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Read an error answer; total: nonsense becomes a plain error of that status."""
        ...

    def stream(self, request: ChatRequest) -> StreamTranslator:
        """Start reading a streamed answer to `request`."""
        ...


class EmbeddingsTranslator(Protocol):
    """Maps OpenAI's embeddings API onto one provider's, in both directions."""

    def request(self, request: EmbeddingsRequest, deployment: Deployment) -> ProviderRequest:
        """Build the provider's request.

        Raises:
            UnsupportedParameter: The provider cannot do what is asked.
        """
        ...

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The header that proves who pays; lower-case name."""
        ...

    def response(self, body: bytes, request: EmbeddingsRequest) -> Translated:
        """Read an answer; its body is what `embeddings_body` builds.

        Raises:
            ProviderUnavailable: The body is not an answer of this provider.
        """
        ...

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Read an error answer; total: nonsense becomes a plain error of that status."""
        ...
