"""OpenAI's request as Anthropic's.

Three things can happen to a parameter. It is translated. Or Anthropic lacks it and it is a mere
tuning knob: it is left out and listed in `ProviderRequest.dropped_params`. Or leaving it out would
give the caller something else than was asked for: it is refused with `UnsupportedParameter`.

- `temperature` goes from 0 to 2 at OpenAI and to 1 here; more than 1 is sent as 1, as Anthropic's
  own compatibility layer does. With it `top_p` is left out: models since 4.1 take only one of them.
  Models since 4.7 take neither, nor does a model that thinks.
- `json_object` is refused. Claude can be held to a schema, not to "some JSON": a sentence in the
  prompt would be a promise without a guarantee.
- Of Anthropic's own fields `thinking`, `top_k`, `output_config` and `cache_control` pass, and
  `metadata.user_id`. `inference_geo`, `speed`, `container` and the like are refused: they change
  where data goes or what a call costs after both were decided. Every other field is left out.

Source:
    https://platform.claude.com/docs/en/api/messages/create (checked 2026-11-20)
    https://platform.claude.com/docs/en/api/openai-sdk (checked 2026-11-20)
    https://platform.claude.com/docs/en/build-with-claude/structured-outputs (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any

from llm_core.catalogue import Deployment
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest
from llm_core.providers.anthropic.messages import Conversation, cache_control_from, conversation
from llm_core.providers.anthropic.models import Capabilities, Thinking, capabilities_of
from llm_core.providers.anthropic.refusals import unsupported
from llm_core.providers.anthropic.schema import to_claude_schema
from llm_core.providers.anthropic.thinking import thinking_for
from llm_core.providers.anthropic.tools import tools_to_anthropic

_Object = dict[str, Any]

# Read by the functions below, or without meaning here.
_TRANSLATED = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "temperature",
        "top_p",
        "top_k",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "thinking",
        "output_config",
        "cache_control",
        "user",
        "safety_identifier",
        "metadata",
        "service_tier",
        "n",
        "logprobs",
        "top_logprobs",
        "modalities",
    }
)
_REFUSED = {
    "audio": "it has no audio.",
    "functions": "use 'tools'.",
    "function_call": "use 'tool_choice'.",
    "web_search_options": "it has no search of this kind.",
    "moderation": "it has no moderation results.",
    "inference_geo": "where data is processed is decided by policy.",
    "speed": "what a call costs is decided before it is made.",
    "container": "code execution is not offered.",
    "mcp_servers": "remote tools are not offered.",
    "context_management": "the conversation is sent as it is.",
    "workspace_id": "the credential decides it.",
    "user_profile_id": "the credential decides it.",
}
_SERVICE_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}


def to_anthropic(
    request: ChatRequest, deployment: Deployment, api_version: str
) -> tuple[_Object, tuple[str, ...]]:
    """Build the body of `POST /v1/messages`, and name the fields that were left out.

    Raises:
        UnsupportedParameter: Anthropic, or the routed model, cannot do what is asked.
        MalformedRequest: OpenAI would not take the request either.
    """
    fields = request.fields
    _refuse(fields)
    capabilities = capabilities_of(deployment.model, api_version)
    talk = conversation(request.messages, deployment.model)
    dropped = [
        name for name, value in fields.items() if value is not None and name not in _TRANSLATED
    ]
    if talk.has_names:
        dropped.append("messages.name")
    # OpenAI's answer may be as long as the model allows; Anthropic wants to be told.
    max_tokens = request.max_output_tokens or deployment.max_output_tokens
    body: _Object = {"model": deployment.model, "max_tokens": max_tokens, "messages": talk.turns}
    if talk.system:
        body["system"] = _system(talk)
    body |= tools_to_anthropic(request, capabilities, talk.called_tools, dropped)
    body |= _thinking(fields, capabilities, body, talk, dropped)
    body |= _format(request, capabilities, body)
    body |= _sampling(fields, capabilities, body, dropped)
    body |= _stop(fields, dropped)
    body |= _identity(fields, dropped)
    body |= _service_tier(fields, dropped)
    body |= cache_control_from(fields, "")
    if request.is_streaming:
        body["stream"] = True
    return body, tuple(dropped)


def _refuse(fields: Mapping[str, Any]) -> None:
    for name, why in _REFUSED.items():
        if fields.get(name) is not None:
            raise unsupported(name, why)
    if (fields.get("n") or 1) > 1:
        raise unsupported("n", "it gives one answer at a time.")
    for name in ("logprobs", "top_logprobs"):
        if fields.get(name):
            raise unsupported(name, "it does not tell probabilities.")
    modalities = fields.get("modalities")
    if modalities is not None and modalities != ["text"]:
        raise unsupported("modalities", "it answers in text.")


def _system(talk: Conversation) -> str | list[_Object]:
    """One string; blocks only when one of them is marked for the cache."""
    if any("cache_control" in block for block in talk.system):
        return list(talk.system)
    return "\n\n".join(block["text"] for block in talk.system)


def _thinking(
    fields: Mapping[str, Any],
    capabilities: Capabilities,
    body: _Object,
    talk: Conversation,
    dropped: list[str],
) -> _Object:
    """`thinking` and `output_config.effort`; Anthropic's own fields win over `reasoning_effort`."""
    asked: _Object = {}
    effort = fields.get("reasoning_effort")
    if effort is not None:
        # A forced call leaves no room for thinking. And where thinking is by budget, calls that
        # came back without it make Anthropic refuse the conversation.
        may_start = body.get("tool_choice", {}).get("type") not in ("any", "tool") and not (
            talk.has_unsigned_call and capabilities.thinking is Thinking.BUDGET
        )
        translated = thinking_for(effort, capabilities, body["max_tokens"], may_start=may_start)
        if translated is None:
            dropped.append("reasoning_effort")
        asked = translated or {}
    for name in ("thinking", "output_config"):
        own = fields.get(name)
        if own is not None:
            if not isinstance(own, dict):
                raise MalformedRequest(f"'{name}' must be an object.", param=name)
            asked[name] = own
    return asked


def _format(request: ChatRequest, capabilities: Capabilities, body: _Object) -> _Object:
    match request.response_format:
        case "json_object":
            raise unsupported(
                "response_format", "it gives JSON by a schema only; use 'json_schema'."
            )
        case "json_schema":
            if not capabilities.takes_schemas:
                raise unsupported("response_format", "this model cannot be held to a schema.")
            schema = request.fields["response_format"]["json_schema"].get("schema") or {
                "type": "object"
            }
            format_ = {"type": "json_schema", "schema": to_claude_schema(schema)}
            return {"output_config": {**body.get("output_config", {}), "format": format_}}
        case _:
            return {}


def _sampling(
    fields: Mapping[str, Any], capabilities: Capabilities, body: _Object, dropped: list[str]
) -> _Object:
    asked = {
        name: fields[name]
        for name in ("temperature", "top_p", "top_k")
        if fields.get(name) is not None
    }
    thinks = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
    if thinks or not capabilities.takes_sampling:
        dropped += asked
        return {}
    if "temperature" in asked:
        asked["temperature"] = min(asked["temperature"], 1)
        if asked.pop("top_p", None) is not None:
            dropped.append("top_p")
    return asked


def _stop(fields: Mapping[str, Any], dropped: list[str]) -> _Object:
    stop = fields.get("stop")
    if stop is None:
        return {}
    sequences = [stop] if isinstance(stop, str) else stop
    # White space alone is refused as a stop sequence.
    taken = [sequence for sequence in sequences if sequence.strip()]
    if len(taken) < len(sequences):
        dropped.append("stop")
    return {"stop_sequences": taken} if taken else {}


def _identity(fields: Mapping[str, Any], dropped: list[str]) -> _Object:
    """The user behind the call, opaque; OpenAI's other metadata are labels kept with the answer."""
    metadata = fields.get("metadata") or {}
    user_id = metadata.get("user_id") or fields.get("safety_identifier") or fields.get("user")
    if set(metadata) - {"user_id"}:
        dropped.append("metadata")
    return {"metadata": {"user_id": user_id}} if isinstance(user_id, str) else {}


def _service_tier(fields: Mapping[str, Any], dropped: list[str]) -> _Object:
    tier = fields.get("service_tier")
    if tier is None:
        return {}
    if not isinstance(tier, str) or tier not in _SERVICE_TIERS:
        dropped.append("service_tier")
        return {}
    return {"service_tier": _SERVICE_TIERS[tier]}
