"""A request to `/v1/messages`.

Anthropic gets it as it came, but for what is policy's to decide (`native`). Everybody else gets the
chat request that says the same (`request`, `fit`), and the answer is told in Anthropic's words
(`dialect`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from llm_core.apis.dialect import ChatAsk, ChatExchange, refuse_dropping, without_own_fields
from llm_core.apis.messages.dialect import MessagesDialect
from llm_core.apis.messages.fit import fitted, named_as_asked
from llm_core.apis.messages.fold import events_of
from llm_core.apis.messages.native import NativeExchange, native_request
from llm_core.apis.messages.request import to_chat, unknown_fields
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.chat.encoding import parse_object
from llm_core.chat.request import ChatRequest
from llm_core.operation import Operation
from llm_core.policy.allowance import capped
from llm_core.policy.decision import Obligations
from llm_core.providers.registry import translator_for


def read_messages(body: bytes) -> "MessagesAsk":
    """Read a request to `POST /v1/messages`.

    Raises:
        MalformedRequest: Anthropic would not take it.
        UnsupportedParameter: It asks for what the gateway offers nobody.
    """
    fields = parse_object(body)
    chat = ChatRequest(to_chat(fields))
    return MessagesAsk(Operation.MESSAGES, fields, chat, MessagesDialect())


class MessagesAsk(ChatAsk):
    """Implements `Ask`."""

    __slots__ = ()

    def exchange(
        self, deployment: Deployment, obligations: Obligations, *, created: int
    ) -> ChatExchange:
        """Put the request to one deployment.

        Anthropic's own answers are passed through, where nothing in them is to be changed.
        """
        if deployment.provider is ProviderKind.ANTHROPIC:
            request = native_request(self.fields, deployment, obligations)
            refuse_dropping(self.fields, request, deployment)
            kind = ChatExchange if obligations.changes_answers else NativeExchange
            return kind(
                self.chat,
                deployment,
                translator_for(deployment.provider),
                self.dialect,
                created,
                request,
            )
        chat, dropped = fitted(self.chat, deployment)
        chat = without_own_fields(capped(chat, deployment, obligations))
        translator = translator_for(deployment.provider)
        request = translator.request(chat, deployment)
        left_out = (*unknown_fields(self.fields), *dropped, *named_as_asked(request.dropped_params))
        request = replace(request, dropped_params=tuple(dict.fromkeys(left_out)))
        refuse_dropping(self.fields, request, deployment)
        return ChatExchange(chat, deployment, translator, self.dialect, created, request)

    def replayed(self, body: Mapping[str, Any]) -> Sequence[bytes]:
        """The events of a whole answer that was kept; see `Ask.replayed`."""
        return events_of(body)
