"""One request to the Responses API."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from llm_core.apis.ask import Exchange
from llm_core.apis.dialect import ChatAsk, refuse_dropping
from llm_core.apis.responses.dialect import Numbered, ResponsesDialect
from llm_core.apis.responses.items import NativeOnly
from llm_core.apis.responses.native import is_native, native_exchange
from llm_core.apis.responses.output import echo_of
from llm_core.apis.responses.replay import events_of
from llm_core.apis.responses.request import as_chat
from llm_core.catalogue import Deployment
from llm_core.chat.encoding import parse_object
from llm_core.errors import UnsupportedParameter
from llm_core.operation import Operation
from llm_core.policy.decision import Obligations

# Encrypted thoughts are base64 of at least their own length; four characters are about a token.
_SEALED_CHARACTERS_PER_TOKEN = 4


def read_responses(body: bytes) -> "ResponsesAsk":
    """Read a request to `POST /v1/responses`.

    Raises:
        MalformedRequest: It is none.
        UnsupportedParameter: It asks for what is not the caller's to choose.
    """
    fields = parse_object(body)
    read = as_chat(fields)
    summary = (fields.get("reasoning") or {}).get("summary")
    older = (fields.get("reasoning") or {}).get("generate_summary")
    dialect = ResponsesDialect(
        echo_of(fields), read.chat.model, summarises=(summary or older) is not None
    )
    return ResponsesAsk(
        Operation.RESPONSES,
        fields,
        read.chat,
        dialect,
        read.native_only,
        read.dropped,
        read.sealed_characters,
    )


@dataclass(frozen=True, slots=True)
class ResponsesAsk(ChatAsk):
    """Implements `Ask`.

    Args:
        native_only: What no chat completion can say.
        dropped: Knobs that are left out when it is sent as chat.
        sealed_characters: Length of the thoughts that only OpenAI can read.
    """

    native_only: tuple[NativeOnly, ...] = ()
    dropped: tuple[str, ...] = ()
    sealed_characters: int = 0

    def prompt_tokens(self, count: Callable[[str], int]) -> int:
        """Estimate the input tokens; see `Ask.prompt_tokens`."""
        sealed = self.sealed_characters // _SEALED_CHARACTERS_PER_TOKEN
        return ChatAsk.prompt_tokens(self, count) + sealed

    def exchange(
        self, deployment: Deployment, obligations: Obligations, *, created: int
    ) -> Exchange:
        """Put the request to one deployment, natively where that is possible.

        An answer whose words are to be changed is asked for as a chat completion.
        """
        if is_native(deployment) and not obligations.changes_answers:
            return native_exchange(self.fields, deployment, obligations)
        for one in self.native_only:
            raise UnsupportedParameter(f"{deployment.provider_name} {one.why}", param=one.param)
        made = self.as_chat(deployment, obligations, created=created)
        if not self.dropped:
            return made
        names = (*self.dropped, *made.request.dropped_params)
        request = replace(made.request, dropped_params=names)
        refuse_dropping(self.fields, request, deployment)
        return replace(made, request=request)

    def replayed(self, body: Mapping[str, Any]) -> Sequence[bytes]:
        """The events of a whole answer that was kept; see `Ask.replayed`.

        Made from the response itself: a native one holds what no chat completion can say.
        """
        return Numbered().encoded(events_of(body))
