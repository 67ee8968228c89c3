"""APIs that are served by translating to chat completions and back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from llm_core.apis.ask import Answer, ClientStream, Exchange, Heard
from llm_core.catalogue import Deployment
from llm_core.chat.chunk import chunks_of, fold
from llm_core.chat.request import ChatRequest
from llm_core.digest import sha256_hex
from llm_core.errors import (
    GatewayError,
    ProviderError,
    ProviderUnavailable,
    UnsupportedParameter,
)
from llm_core.operation import Operation
from llm_core.policy.allowance import capped
from llm_core.policy.decision import Obligations
from llm_core.providers.registry import translator_for
from llm_core.providers.translator import ProviderRequest, StreamTranslator, Translator
from llm_core.tokens.counted import texts_of
from llm_core.tokens.estimate import estimate_prompt_tokens
from llm_core.tokens.usage import TokenUsage

_Object = dict[str, Any]
DROP_PARAMS = "drop_params"
"""A member of the request that is the gateway's own: `false` refuses what would be left out."""


class EventWriter(Protocol):
    """Writes one streamed answer in a client's API, from chat chunks."""

    def write(self, chunk: Mapping[str, Any]) -> Sequence[bytes]:
        """Give the events that a `chat.completion.chunk` makes."""
        ...

    def end(self) -> Sequence[bytes]:
        """Give the last events, the end mark included."""
        ...

    def failed(self, error: GatewayError) -> bytes:
        """Tell an error in the middle of the stream."""
        ...


class Dialect(Protocol):
    """How a client's API says what a chat completion says."""

    def body(self, completion: Mapping[str, Any]) -> _Object:
        """Put a whole `chat.completion` into the client's API."""
        ...

    def events(self) -> EventWriter:
        """Start writing a streamed answer."""
        ...

    def completion(self, body: Mapping[str, Any]) -> _Object:
        """Read back what `body` wrote, as far as a replay needs it."""
        ...


@dataclass(frozen=True, slots=True)
class ChatAsk:
    """A request that can be put as a chat completion; implements `Ask`.

    Args:
        operation: In which API it came.
        fields: As it came.
        chat: The same as a chat request.
        dialect: How the answer is told.
    """

    operation: Operation
    fields: Mapping[str, Any]
    chat: ChatRequest
    dialect: Dialect

    @property
    def model(self) -> str:
        """The asked model."""
        return self.chat.model

    @property
    def is_streaming(self) -> bool:
        """Whether the answer is to come as events."""
        return self.chat.is_streaming

    @property
    def max_output_tokens(self) -> int | None:
        """The longest answer asked for, for one choice."""
        return self.chat.max_output_tokens

    @property
    def choices(self) -> int:
        """How many answers are asked for."""
        return self.chat.choices

    @property
    def has_tools(self) -> bool:
        """Whether the model is offered tools."""
        return self.chat.has_tools

    @property
    def has_images(self) -> bool:
        """Whether the model is shown an image."""
        return self.chat.has_images

    @property
    def response_format(self) -> str:
        """`text`, `json_object` or `json_schema`."""
        return self.chat.response_format

    def prompt_tokens(self, count: Callable[[str], int]) -> int:
        """Estimate the input tokens; see `Ask.prompt_tokens`."""
        return estimate_prompt_tokens(self.chat, count)

    def exchange(
        self, deployment: Deployment, obligations: Obligations, *, created: int
    ) -> Exchange:
        """Put the request to one deployment; see `Ask.exchange`."""
        return self.as_chat(deployment, obligations, created=created)

    def as_chat(
        self, deployment: Deployment, obligations: Obligations, *, created: int
    ) -> "ChatExchange":
        """Put the request to one deployment as a chat completion."""
        chat = without_own_fields(capped(self.chat, deployment, obligations))
        translator = translator_for(deployment.provider)
        request = translator.request(chat, deployment)
        refuse_dropping(self.fields, request, deployment)
        return ChatExchange(chat, deployment, translator, self.dialect, created, request)

    def replayed(self, body: Mapping[str, Any]) -> Sequence[bytes]:
        """The events of a whole answer that was kept; see `Ask.replayed`."""
        writer = self.dialect.events()
        events = [
            event
            for chunk in chunks_of(self.dialect.completion(body))
            for event in writer.write(chunk)
        ]
        return [*events, *writer.end()]


@dataclass(frozen=True, slots=True)
class ChatExchange:
    """A chat completion at one deployment, told in the client's API; implements `Exchange`."""

    chat: ChatRequest
    deployment: Deployment
    translator: Translator
    dialect: Dialect
    created: int
    request: ProviderRequest

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The header that proves who pays; lower-case name."""
        return self.translator.credential_headers(secret)

    def answer(self, raw: bytes) -> Answer:
        """Read a whole answer; see `Exchange.answer`."""
        translated = self.translator.response(raw)
        return Answer(
            body=self.dialect.body(self._stamp().on(translated.body)),
            usage=translated.usage,
            served_model=translated.served_model,
            texts=texts_of(translated.body),
        )

    def hear(self, raw: bytes) -> Heard:
        """Read a whole answer as chunks; see `ScreenableExchange.hear`."""
        translated = self.translator.response(raw)
        return Heard(
            chunks_of(translated.body),
            translated.usage,
            translated.served_model,
            texts_of(translated.body),
        )

    def told(self, chunks: Sequence[_Object]) -> _Object:
        """Tell chunks as a whole answer; see `ScreenableExchange.told`."""
        return self.dialect.body(self._stamp().on(fold(chunks)))

    def failure(self, status: int, headers: Mapping[str, str], raw: bytes) -> ProviderError:
        """Read an error answer; see `Exchange.failure`."""
        return self.translator.failure(status, headers, raw)

    def stream(self, *, is_kept: bool = False) -> ClientStream:
        """Start reading a streamed answer; see `Exchange.stream`."""
        return ChatStream(
            self.translator.stream(self.chat),
            self.dialect,
            self.dialect.events(),
            self._stamp(),
            is_kept=is_kept,
        )

    def _stamp(self) -> "Stamp":
        return Stamp(self.created, self.deployment.model, self.request.body)


@dataclass(slots=True)
class ChatStream:
    """Chat chunks told in the client's API; implements `ClientStream`."""

    translating: StreamTranslator
    dialect: Dialect
    writer: EventWriter
    stamp: "Stamp"
    is_kept: bool
    has_begun: bool = False
    _has_ended: bool = False
    _texts: list[str] = field(default_factory=list)
    _chunks: list[_Object] = field(default_factory=list)

    def feed(self, received: bytes) -> Sequence[bytes]:
        """Give the events that `received` completes; see `ClientStream.feed`."""
        return self.write(self.read(received))

    def finish(self) -> Sequence[bytes]:
        """Give the last events; see `ClientStream.finish`."""
        return [*self.write(self.read_end()), *self.write_end()]

    def read(self, received: bytes) -> Sequence[_Object]:
        """Give the chunks that `received` completes; see `ScreenableStream.read`."""
        return self._noted(self.translating.feed(received))

    def read_end(self) -> Sequence[_Object]:
        """Give the last chunks; see `ScreenableStream.read_end`."""
        chunks = self._noted(self.translating.finish())
        if not self.translating.is_complete:
            raise ProviderUnavailable("The model provider broke the stream off.")
        self._has_ended = True
        return chunks

    def write(self, chunks: Sequence[_Object]) -> list[bytes]:
        """Give the client's events for chunks; see `ScreenableStream.write`."""
        if self.is_kept:
            self._chunks += chunks
        return [event for one in chunks for event in self.writer.write(self.stamp.on(one))]

    def write_end(self) -> Sequence[bytes]:
        """Give the last events; see `ScreenableStream.write_end`."""
        return self.writer.end()

    def failed(self, error: GatewayError) -> bytes:
        """Tell an error in the middle of the stream."""
        return self.writer.failed(error)

    @property
    def usage(self) -> TokenUsage:
        """As reported so far."""
        return self.translating.usage

    @property
    def served_model(self) -> str | None:
        """The model the provider says it uses."""
        return self.translating.served_model

    def texts(self) -> Sequence[str]:
        """What the model has said so far."""
        return self._texts

    def folded(self) -> _Object | None:
        """The body that the same answer would have had; see `ClientStream.folded`."""
        if not (self.is_kept and self._has_ended):
            return None
        return self.dialect.body(fold(self._chunks))

    def _noted(self, chunks: Sequence[_Object]) -> Sequence[_Object]:
        for chunk in chunks:
            self._texts += texts_of(chunk)
            self.has_begun = self.has_begun or says_something(chunk)
        return chunks


def says_something(chunk: Mapping[str, Any]) -> bool:
    """Whether a chunk is part of an answer: more than the opening with its role."""
    return bool(texts_of(chunk)) or any(
        choice.get("finish_reason") for choice in chunk.get("choices") or ()
    )


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an answer says of itself where its provider does not (Anthropic, Bedrock, Cohere).

    Args:
        created: Unix seconds.
        model: The routed model.
        request: The provider's request, which names the answer.
    """

    created: int
    model: str
    request: bytes

    def on(self, body: _Object) -> _Object:
        """Fill in what is missing; the same in every chunk of a stream."""
        if not body.get("id"):
            body["id"] = f"chatcmpl-{sha256_hex(b'%d %b' % (self.created, self.request))[:32]}"
        if not body.get("created"):
            body["created"] = self.created
        if not body.get("model"):
            body["model"] = self.model
        return body


def without_own_fields(chat: ChatRequest) -> ChatRequest:
    """The request without what is meant for the gateway."""
    if DROP_PARAMS not in chat.fields:
        return chat
    return ChatRequest({name: v for name, v in chat.fields.items() if name != DROP_PARAMS})


def refuse_dropping(
    fields: Mapping[str, Any], request: ProviderRequest, deployment: Deployment
) -> None:
    """Refuse to leave parameters out, when the client said `"drop_params": false`.

    Raises:
        UnsupportedParameter: With the first of them.
    """
    if fields.get(DROP_PARAMS) is False and request.dropped_params:
        name = request.dropped_params[0]
        raise UnsupportedParameter(
            f"{deployment.provider_name} has no '{name}', and 'drop_params' is false.", param=name
        )
