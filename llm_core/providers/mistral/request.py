"""OpenAI's request as Mistral's.

The two are alike, but Mistral answers a field that it does not know with 422, so only what is
listed here is sent. A parameter is translated; or Mistral lacks it and it is a mere tuning knob,
then it is left out and listed in `ProviderRequest.dropped_params`; or leaving it out would give the
caller something else than was asked for, then it is refused with `UnsupportedParameter`.

| OpenAI | Mistral |
|---|---|
| `max_completion_tokens`, `max_tokens` | `max_tokens` |
| `seed` | `random_seed`; a negative one is left out |
| `temperature` up to 2 | up to 1.5 |
| `tool_choice: required` | `any` |
| `tool_choice: {type: allowed_tools}` | only those tools, with `auto` or `any` |
| `response_format`, `stop`, `n`, penalties, `logprobs`, `parallel_tool_calls` | the same |
| `reasoning_effort` | the same where the model has it, see `models` |
| `stream_options` | nothing: usage always comes with the last chunk |
| `service_tier`: `auto`, `default` | nothing, `standard_only`; Mistral's `auto` may be priority |

Of Mistral's own fields `safe_prompt`, `prompt_mode`, `prompt_cache_key`, `top_k`, `min_tokens` and
`repetition_penalty` pass.

Source:
    https://docs.mistral.ai/api/endpoint/chat
    Shape from the SDK's types (mistralai 3.7.0); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Container, Mapping
from typing import Any

from llm_core.catalogue import Deployment
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest
from llm_core.providers.mistral.messages import conversation
from llm_core.providers.mistral.models import reasoning_effort_for
from llm_core.providers.mistral.refusals import unsupported

_Object = dict[str, Any]

_AS_THEY_ARE = (
    "top_p",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    # Mistral's own
    "safe_prompt",
    "prompt_mode",
    "prompt_cache_key",
    "top_k",
    "min_tokens",
    "repetition_penalty",
)
# Read by the functions below, or without meaning here.
_TRANSLATED = frozenset(
    {
        *_AS_THEY_ARE,
        *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens"),
        *("seed", "random_seed", "temperature", "stop", "tools", "tool_choice"),
        *("parallel_tool_calls", "response_format", "reasoning_effort", "service_tier"),
        "modalities",
    }
)
_REFUSED = {
    "audio": "it has no audio.",
    "functions": "use 'tools'.",
    "function_call": "use 'tool_choice'.",
    "web_search_options": "what a call costs is decided before it is made.",
    "moderation": "it has no moderation results.",
    "guardrails": "what content may pass is decided by policy.",
    "agent_id": "which model answers is decided by policy.",
    "connectors": "which data a model may read is decided by policy.",
    "prompt_logprobs": "it is not asked for probabilities of the prompt.",
}
_MOST_TEMPERATURE = 1.5
_SERVICE_TIERS = ("default", "standard_only")


def to_mistral(request: ChatRequest, deployment: Deployment) -> tuple[_Object, tuple[str, ...]]:
    """Build the body of `POST /v1/chat/completions`, and name the fields that were left out.

    Raises:
        UnsupportedParameter: Mistral cannot do what is asked.
        MalformedRequest: OpenAI would not take the request either.
    """
    fields = request.fields
    _refuse(fields)
    talk = conversation(request.messages, deployment.model)
    dropped = [
        name for name, value in fields.items() if value is not None and name not in _TRANSLATED
    ]
    if talk.has_names:
        dropped.append("messages.name")
    body: _Object = {"model": deployment.model, "messages": talk.messages}
    if request.max_output_tokens is not None:
        body["max_tokens"] = request.max_output_tokens
    body |= {name: fields[name] for name in _AS_THEY_ARE if fields.get(name) is not None}
    body |= _sampling(fields, dropped)
    body |= _tools(request)
    body |= _format(request)
    body |= _reasoning(fields, deployment.model, dropped)
    body |= _service_tier(fields)
    if request.is_streaming:
        body["stream"] = True
    return body, tuple(dropped)


def _refuse(fields: Mapping[str, Any]) -> None:
    for name, why in _REFUSED.items():
        if fields.get(name):
            raise unsupported(name, why)
    modalities = fields.get("modalities")
    if modalities is not None and modalities != ["text"]:
        raise unsupported("modalities", "it answers in text.")


def _sampling(fields: Mapping[str, Any], dropped: list[str]) -> _Object:
    asked: _Object = {}
    if fields.get("temperature") is not None:
        asked["temperature"] = min(fields["temperature"], _MOST_TEMPERATURE)
    own = fields.get("random_seed")
    seed = fields.get("seed") if own is None else own
    if isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0:
        asked["random_seed"] = seed
    elif seed is not None:
        dropped.append("seed" if own is None else "random_seed")
    if fields.get("stop"):
        asked["stop"] = fields["stop"]
    return asked


def _format(request: ChatRequest) -> _Object:
    match request.response_format:
        case "json_object":
            return {"response_format": {"type": "json_object"}}
        case "json_schema":
            described = request.fields["response_format"]["json_schema"]
            schema = {
                "name": described.get("name") or "answer",
                "schema": described.get("schema") or {"type": "object"},
            }
            for name in ("description", "strict"):
                if described.get(name) is not None:
                    schema[name] = described[name]
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
        case _:
            return {}


def _reasoning(fields: Mapping[str, Any], model: str, dropped: list[str]) -> _Object:
    asked = fields.get("reasoning_effort")
    if asked is None:
        return {}
    effort = reasoning_effort_for(asked, model)
    if effort is None:
        dropped.append("reasoning_effort")
        return {}
    return {"reasoning_effort": effort}


def _service_tier(fields: Mapping[str, Any]) -> _Object:
    tier = fields.get("service_tier")
    # OpenAI's `auto` asks for nothing; Mistral's asks for priority where the organisation has it.
    # https://docs.mistral.ai/inference/priority-tier (excerpts seen 2026-11-20)
    if tier in (None, "auto"):
        return {}
    if tier not in _SERVICE_TIERS:
        raise unsupported("service_tier", "what a call costs is decided before it is made.")
    return {"service_tier": "standard_only"}


def _tools(request: ChatRequest) -> _Object:
    asked = request.fields.get("tools") or []
    choice = request.fields.get("tool_choice")
    if not asked:
        if choice is not None and choice not in ("auto", "none"):
            raise MalformedRequest("'tool_choice' needs 'tools'.", param="tool_choice")
        return {}
    tools = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(asked)]
    body: _Object = {"tools": tools}
    if choice is not None:
        body["tool_choice"] = _choice(choice, tools)
    if request.fields.get("parallel_tool_calls") is not None:
        body["parallel_tool_calls"] = request.fields["parallel_tool_calls"]
    return body


def _tool(tool: Mapping[str, Any], where: str) -> _Object:
    if tool["type"] != "function":
        # Of the others some run at Mistral, for a fee per call.
        raise unsupported(f"{where}.type", "only tools of the type 'function' can be offered.")
    function = tool["function"]
    offered: _Object = {"name": function["name"]}
    if function.get("description"):
        offered["description"] = function["description"]
    if isinstance(function.get("strict"), bool):
        offered["strict"] = function["strict"]
    offered["parameters"] = function.get("parameters") or {"type": "object", "properties": {}}
    return {"type": "function", "function": offered}


def _choice(choice: str | Mapping[str, Any], tools: list[_Object]) -> str | _Object:
    """The choice; `tools` is cut down when only some of them are allowed."""
    offered = {tool["function"]["name"] for tool in tools}
    match choice:
        case "auto" | "none" | "any":
            return str(choice)
        case "required":
            return "any"
        case {"type": "function"}:
            name = _named(choice, offered, "tool_choice.function.name")
            return {"type": "function", "function": {"name": name}}
        case {"type": "allowed_tools", "allowed_tools": {"tools": list(allowed), **rest}}:
            where = "tool_choice.allowed_tools.tools"
            names = {_named(tool, offered, where) for tool in allowed}
            tools[:] = [tool for tool in tools if tool["function"]["name"] in names]
            return "any" if rest.get("mode") == "required" else "auto"
        case _:
            raise unsupported("tool_choice", "there is no such choice.")


def _named(choice: object, offered: Container[str], where: str) -> str:
    function = choice.get("function") if isinstance(choice, Mapping) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or name not in offered:
        raise MalformedRequest(f"'{where}' must name one of 'tools'.", param=where)
    return name
