"""`/v1/messages` to Anthropic itself: the request as it came, but for what is not the client's.

- `model` is the routed one, and `max_tokens` no more than was reserved. A thinking budget that does
  not fit below it becomes half of it; where Anthropic would refuse to think, thinking is left out
  and named.
- Fields that nobody here knows are left out and named; `service_tier` and `metadata` are as in
  chat.
- Thinking that Anthropic did not sign is left out: it would be refused. It stands in conversations
  that began at another provider, as do signatures of calls, and ids that Anthropic would not take.

Source:
    https://platform.claude.com/docs/en/api/messages/create (checked 2026-11-20)
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from llm_core.apis.ask import Answer, ClientStream
from llm_core.apis.dialect import ChatExchange
from llm_core.apis.messages.answer import SIGNED
from llm_core.apis.messages.native_stream import NativeStream
from llm_core.apis.messages.request import TAKEN, output_config_of, unknown_fields
from llm_core.apis.messages.thoughts import KINDS, is_anthropics
from llm_core.catalogue import Deployment
from llm_core.chat.encoding import decode_object, encode
from llm_core.errors import ProviderUnavailable
from llm_core.policy.allowance import max_output_tokens
from llm_core.policy.decision import Obligations
from llm_core.providers.anthropic.response import from_anthropic, usage_from_anthropic
from llm_core.providers.anthropic.stream import AnthropicStream
from llm_core.providers.anthropic.translator import DEFAULT_API_VERSION
from llm_core.providers.translator import ProviderRequest
from llm_core.tokens.counted import texts_of

_Object = dict[str, Any]

_LEAST_BUDGET_TOKENS = 1_024
_SERVICE_TIERS = ("auto", "standard_only")
# What Anthropic takes as the id of a call; some servers put dots and colons into theirs.
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_IDS = {"tool_use": "id", "tool_result": "tool_use_id"}


class NativeExchange(ChatExchange):
    """Implements `Exchange`; the answer is Anthropic's own."""

    __slots__ = ()

    def answer(self, raw: bytes) -> Answer:
        """Read a whole answer; see `Exchange.answer`."""
        message = decode_object(raw)
        if message is None or not isinstance(message.get("content"), list):
            raise ProviderUnavailable("Anthropic answered with something that is no message.")
        model = message.get("model")
        return Answer(
            body=message,
            usage=usage_from_anthropic(message.get("usage")),
            served_model=model if isinstance(model, str) and model else None,
            texts=texts_of(from_anthropic(message).body),
        )

    def stream(self, *, is_kept: bool = False) -> ClientStream:
        """Start reading a streamed answer; see `Exchange.stream`."""
        return NativeStream(AnthropicStream(), is_kept=is_kept)


def native_request(
    fields: Mapping[str, Any], deployment: Deployment, obligations: Obligations
) -> ProviderRequest:
    """Build Anthropic's request.

    Args:
        fields: As they came, checked.
        deployment: Of Anthropic's kind.
        obligations: The longest answer among them.

    Raises:
        MalformedRequest: The request is nested too deeply.
    """
    dropped = unknown_fields(fields)
    body = {name: v for name, v in fields.items() if v is not None and name in TAKEN}
    body["model"] = deployment.model
    body["max_tokens"] = max_output_tokens(fields["max_tokens"], deployment, obligations)
    body["messages"] = [_turn(turn) for turn in fields["messages"]]
    body |= _thinking(body, dropped)
    body |= _identity(body)
    if body.pop("output_format", None) is not None:
        body["output_config"] = output_config_of(fields)
    if body.get("service_tier") not in (None, *_SERVICE_TIERS):
        del body["service_tier"]
        dropped.append("service_tier")
    version = deployment.api_version or DEFAULT_API_VERSION
    return ProviderRequest(
        url=f"{deployment.base_url}/v1/messages",
        headers={"content-type": "application/json", "anthropic-version": version},
        body=encode({name: value for name, value in body.items() if value is not None}),
        dropped_params=tuple(dropped),
    )


def _thinking(body: Mapping[str, Any], dropped: list[str]) -> _Object:
    """The thinking budget below the longest answer; nothing where Anthropic would refuse it.

    Its rule is that calls come back with the thinking before them, and calls that another provider
    made have none.
    """
    thinking = body.get("thinking") or {}
    if thinking.get("type") != "enabled":
        return {}
    budget = thinking["budget_tokens"]
    if budget >= body["max_tokens"]:
        budget = body["max_tokens"] // 2
    if budget < _LEAST_BUDGET_TOKENS or _has_unsigned_call(body["messages"]):
        dropped.append("thinking")
        return {"thinking": None}
    return {"thinking": {**thinking, "budget_tokens": budget}}


def _has_unsigned_call(turns: Sequence[Mapping[str, Any]]) -> bool:
    latest = next((turn for turn in reversed(turns) if turn["role"] == "assistant"), None)
    if latest is None or isinstance(latest["content"], str):
        return False
    kinds = {block["type"] for block in latest["content"]}
    return "tool_use" in kinds and kinds.isdisjoint(KINDS)


def _identity(body: Mapping[str, Any]) -> _Object:
    metadata = body.get("metadata")
    if metadata is None:
        return {}
    user = metadata.get("user_id")
    return {"metadata": None if user is None else {"user_id": user}}


def _turn(turn: Mapping[str, Any]) -> Mapping[str, Any]:
    content = turn["content"]
    if isinstance(content, str) or all(map(_is_fit, content)):
        return turn
    return {**turn, "content": _fit_blocks(content)}


def _is_fit(block: Mapping[str, Any]) -> bool:
    if block["type"] in KINDS:
        return is_anthropics(block)
    if SIGNED in block:
        return False
    id_ = block.get(_IDS.get(block["type"], ""))
    return id_ is None or _NOT_IN_ID.search(id_) is None


def _fit_blocks(blocks: Sequence[Mapping[str, Any]]) -> list[_Object]:
    fit: list[_Object] = []
    for block in blocks:
        named = _IDS.get(block["type"])
        if named is not None:
            own = {name: value for name, value in block.items() if name != SIGNED}
            fit.append({**own, named: _NOT_IN_ID.sub("_", block[named])})
        elif block["type"] not in KINDS or is_anthropics(block):
            fit.append(dict(block))
    return fit
