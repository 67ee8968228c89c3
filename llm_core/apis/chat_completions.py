"""OpenAI's chat completions: the API that everything else is translated to and from.

Source:
    https://platform.openai.com/docs/api-reference/chat (checked 2026-11-20)
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
_LISTED = frozenset({"thinking_blocks", "citations"})


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
        """Put the request to one deployment.

        OpenAI's own streams are passed through as bytes, where nothing in them is to be changed.
        """
        made = self.as_chat(deployment, obligations, created=created)
        if deployment.provider is not ProviderKind.OPENAI or obligations.changes_answers:
            return made
        return _PassedThrough(
            made.chat, deployment, made.translator, made.dialect, created, made.request
        )


class _PassedThrough(ChatExchange):
    __slots__ = ()

    def stream(self, *, is_kept: bool = False) -> ClientStream:
        return PassThroughStream(
            self.translator.stream(self.chat),
            shows_usage=self.chat.wants_usage_in_stream,
            is_kept=is_kept,
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

    def events(self) -> "_Chunks":
        return _Chunks(self.shows_usage)

    def completion(self, body: Mapping[str, Any]) -> _Object:
        return dict(body)


@dataclass(slots=True)
class _Chunks:
    """Implements `EventWriter`: chunks as they are, but for a number on what is listed in them.

    OpenAI's SDK adds lists up by the `index` of their members, and gives up on those without one.

    Args:
        shows_usage: The client asked for the chunk with usage.
    """

    shows_usage: bool
    _listed: Counter[tuple[object, str]] = field(default_factory=Counter)

    def write(self, chunk: Mapping[str, Any]) -> Sequence[bytes]:
        choices = chunk.get("choices")
        if not choices and chunk.get("usage") and not self.shows_usage:
            return ()
        if any(not _LISTED.isdisjoint(choice.get("delta") or ()) for choice in choices or ()):
            chunk = {**chunk, "choices": [self._numbered(choice) for choice in choices or ()]}
        return (encode_event(msgspec.json.encode(chunk)),)

    def end(self) -> Sequence[bytes]:
        return (DONE,)

    def failed(self, error: GatewayError) -> bytes:
        return encode_event(msgspec.json.encode(error_body(error)))

    def _numbered(self, choice: Mapping[str, Any]) -> _Object:
        delta = dict(choice.get("delta") or {})
        for name in _LISTED & delta.keys():
            place = (choice.get("index", 0), name)
            begun = self._listed[place]
            members = delta[name] or ()
            self._listed[place] += len(members)
            delta[name] = [
                {"index": begun + at, **one} if isinstance(one, dict) else one
                for at, one in enumerate(members)
            ]
        return {**choice, "delta": delta}
