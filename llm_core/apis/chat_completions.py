"""OpenAI's chat completions: the API that everything else is translated to and from.

Source:
    https://platform.openai.com/docs/api-reference/chat (checked 2026-11-20)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from llm_core.apis.ask import ClientStream
from llm_core.apis.dialect import ChatAsk, ChatExchange
from llm_core.apis.pass_through import PassThroughStream
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.request import ChatRequest
from llm_core.errors import GatewayError, error_body
from llm_core.operation import Operation
from llm_core.policy.decision import Obligations
from llm_core.sse import DONE, encode_event

_Object = dict[str, Any]


def read_chat_completion(body: bytes) -> "ChatCompletionAsk":
    """Read a request to `POST /v1/chat/completions`.

    Raises:
        MalformedRequest: It is none.
    """
    chat = ChatRequest.parse(body)
    dialect = _Plain(chat.wants_usage_in_stream)
    return ChatCompletionAsk(Operation.CHAT_COMPLETIONS, chat.fields, chat, dialect)


class ChatCompletionAsk(ChatAsk):
    """Implements `Ask`."""

    __slots__ = ()

    def exchange(
        self, deployment: Deployment, obligations: Obligations, *, created: int
    ) -> ChatExchange:
        """Put the request to one deployment; OpenAI's own streams are passed through as bytes."""
        made = self.as_chat(deployment, obligations, created=created)
        if deployment.provider is not ProviderKind.OPENAI:
            return made
        return _PassedThrough(
            made.chat, deployment, made.translator, made.dialect, created, made.request
        )


class _PassedThrough(ChatExchange):
    __slots__ = ()

    def stream(self, *, is_kept: bool = False) -> ClientStream:
        return PassThroughStream(
            self.translator.stream(self.chat), shows_usage=self.chat.wants_usage_in_stream
        )


@dataclass(frozen=True, slots=True)
class _Plain:
    """Implements `Dialect`: nothing is to be translated.

    Args:
        shows_usage: The client asked for the chunk with usage.
    """

    shows_usage: bool

    def body(self, completion: Mapping[str, Any]) -> _Object:
        return dict(completion)

    def events(self) -> "_Plain":
        return self

    def completion(self, body: Mapping[str, Any]) -> _Object:
        return dict(body)

    def write(self, chunk: Mapping[str, Any]) -> Sequence[bytes]:
        if not chunk.get("choices") and chunk.get("usage") and not self.shows_usage:
            return ()
        return (encode_event(msgspec.json.encode(chunk)),)

    def end(self) -> Sequence[bytes]:
        return (DONE,)

    def failed(self, error: GatewayError) -> bytes:
        return encode_event(msgspec.json.encode(error_body(error)))
