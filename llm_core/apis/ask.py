"""One request in whichever API it came, and what the gateway asks about it.

An API is what a client speaks: OpenAI's chat completions, completions, embeddings and responses,
Anthropic's messages. An `Ask` is one request in one of them. It tells the facts that a decision
needs, and makes an `Exchange` for any deployment: the provider's request, and the reading of the
provider's answer back into the client's API. Who carries a call out knows these two and neither the
client's API nor the provider's format.

All of it is data: nothing here sends, reads or logs. Nothing changes its arguments; the same
request may be put to the next deployment.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from llm_core.catalogue import Deployment
from llm_core.errors import GatewayError, ProviderError
from llm_core.operation import Operation
from llm_core.policy.decision import Obligations
from llm_core.providers.translator import ProviderRequest
from llm_core.tokens.usage import TokenUsage


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's whole answer in the client's API.

    Args:
        body: To be encoded as JSON.
        usage: As reported; buckets inclusive.
        served_model: The model the provider says it used.
        texts: What the model said, to be counted where usage was not reported.
    """

    body: dict[str, Any]
    usage: TokenUsage
    served_model: str | None
    texts: Sequence[str] = ()


class ClientStream(Protocol):
    """Turns a provider's byte stream, cut anywhere, into the client's events.

    Every event is given whole and encoded. What the client is not to see (usage it did not ask for)
    is left out.
    """

    def feed(self, received: bytes) -> Sequence[bytes]:
        """Give the events that `received` completes.

        Raises:
            ProviderError: The provider reports an error, or sends nonsense.
        """
        ...

    def finish(self) -> Sequence[bytes]:
        """Say that the provider's stream has ended; give the last events, the end mark included.

        Raises:
            ProviderError: The provider had reported one behind its last events, or broke off
                without saying that it was done.
        """
        ...

    def failed(self, error: GatewayError) -> bytes:
        """The event by which the client learns that the answer ends here and is not whole."""
        ...

    @property
    def has_begun(self) -> bool:
        """Whether anything of the answer itself has come: a word, a call, its end."""
        ...

    @property
    def usage(self) -> TokenUsage:
        """As reported so far."""
        ...

    @property
    def served_model(self) -> str | None:
        """The model the provider says it uses."""
        ...

    def texts(self) -> Sequence[str]:
        """What the model has said so far; worked out only when asked for."""
        ...

    def folded(self) -> dict[str, Any] | None:
        """The body that the same answer would have had, not streamed.

        `None` unless the stream was made to be kept and has ended well.
        """
        ...


class Exchange(Protocol):
    """One request to one deployment, and the reading of what it answers."""

    @property
    def request(self) -> ProviderRequest:
        """What to send."""
        ...

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The header that proves who pays, for a static credential; lower-case name."""
        ...

    def answer(self, raw: bytes) -> Answer:
        """Read a whole answer.

        Raises:
            ProviderUnavailable: The body is not an answer of this provider.
        """
        ...

    def failure(self, status: int, headers: Mapping[str, str], raw: bytes) -> ProviderError:
        """Read an error answer; total: nonsense becomes a plain error of that status."""
        ...

    def stream(self, *, is_kept: bool = False) -> ClientStream:
        """Start reading a streamed answer.

        Args:
            is_kept: Remember the answer for `ClientStream.folded`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Heard:
    """A provider's whole answer as chunks, before it is told in the client's API.

    Args:
        chunks: As a stream of the same answer would have had them.
        usage: As reported; buckets inclusive.
        served_model: The model the provider says it used.
        texts: What the model said.
    """

    chunks: Sequence[dict[str, Any]]
    usage: TokenUsage
    served_model: str | None
    texts: Sequence[str] = ()


@runtime_checkable
class ScreenableStream(ClientStream, Protocol):
    """A stream whose words can be changed on their way: `feed` is `read`, then `write`."""

    def read(self, received: bytes) -> Sequence[dict[str, Any]]:
        """Give the chunks that `received` completes; see `feed`."""
        ...

    def read_end(self) -> Sequence[dict[str, Any]]:
        """Say that the provider's stream has ended; give the last chunks; see `finish`."""
        ...

    def write(self, chunks: Sequence[dict[str, Any]]) -> list[bytes]:
        """Give the client's events for chunks."""
        ...

    def write_end(self) -> Sequence[bytes]:
        """Give the last events, the end mark included."""
        ...


@runtime_checkable
class ScreenableExchange(Exchange, Protocol):
    """An exchange whose answer's words can be changed before they are told; streams likewise.

    It is what `Ask.exchange` gives where `Obligations.changes_answers`.
    """

    def hear(self, raw: bytes) -> Heard:
        """Read a whole answer; `answer` is this, then `told`.

        Raises:
            ProviderUnavailable: The body is not an answer of this provider.
        """
        ...

    def told(self, chunks: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The answer's body in the client's API."""
        ...


class Ask(Protocol):
    """One request as a client sent it, read and checked."""

    @property
    def operation(self) -> Operation:
        """In which API it came."""
        ...

    @property
    def fields(self) -> Mapping[str, Any]:
        """The JSON object as the client sent it; not to be changed by anybody."""
        ...

    @property
    def model(self) -> str:
        """The asked model."""
        ...

    @property
    def is_streaming(self) -> bool:
        """Whether the answer is to come as events."""
        ...

    @property
    def max_output_tokens(self) -> int | None:
        """The longest answer asked for, for one choice; 0 where nothing is generated."""
        ...

    @property
    def choices(self) -> int:
        """How many answers are asked for."""
        ...

    @property
    def has_tools(self) -> bool:
        """Whether the model is offered tools."""
        ...

    @property
    def has_images(self) -> bool:
        """Whether the model is shown an image."""
        ...

    @property
    def response_format(self) -> str:
        """`text`, `json_object` or `json_schema`."""
        ...

    def prompt_tokens(self, count: Callable[[str], int]) -> int:
        """Estimate the input tokens.

        Args:
            count: Counts a text's tokens.

        Raises:
            MalformedRequest: Something in it is nested too deeply to be written.
        """
        ...

    def exchange(
        self, deployment: Deployment, obligations: Obligations, *, created: int
    ) -> Exchange:
        """Put the request to one deployment.

        Args:
            deployment: Where it goes.
            obligations: What must be done to it; the longest answer is told to the provider.
            created: Unix seconds to write where the provider does not say when it answered.

        Raises:
            UnsupportedParameter: The provider cannot do what is asked.
            MalformedRequest: The request is not one its API would take.
        """
        ...

    def replayed(self, body: Mapping[str, Any]) -> Sequence[bytes]:
        """The events of a whole answer that was kept: what the client sees who asked for a stream.

        Args:
            body: As `Answer.body` or `ClientStream.folded` gave it.
        """
        ...
