"""How the Messages API says what a chat completion says; see `answer` and `events`."""

from collections.abc import Mapping
from typing import Any

from llm_core.apis.messages.answer import message_of
from llm_core.apis.messages.events import MessageEvents
from llm_core.providers.anthropic.response import from_anthropic


class MessagesDialect:
    """Implements `Dialect`."""

    def body(self, completion: Mapping[str, Any]) -> dict[str, Any]:
        """Put a whole `chat.completion` into a message."""
        return message_of(completion)

    def events(self) -> MessageEvents:
        """Start writing a streamed answer."""
        return MessageEvents()

    def completion(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Read a message as a `chat.completion`."""
        return from_anthropic(body).body
