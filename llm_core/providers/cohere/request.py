"""OpenAI's request as Cohere's.

A parameter is translated; or Cohere lacks it and it is a mere tuning knob, then it is left out and
listed in `ProviderRequest.dropped_params`; or leaving it out would give the caller something else
than was asked for, then it is refused with `UnsupportedParameter`.

| OpenAI | Cohere |
|---|---|
| `max_completion_tokens`, `max_tokens` | `max_tokens` |
| `top_p` | `p`, from 0.01 to 0.99 |
| `temperature` up to 2 | up to 1 |
| `frequency_penalty`, `presence_penalty` from -2 to 2 | from 0 to 1; a negative one is left out |
| `seed` | the same; a negative one is left out |
| `stop` | `stop_sequences` |
| `tool_choice: required`, `none` | `REQUIRED`, `NONE` |
| `tool_choice: {type: function}` | only that tool, and `REQUIRED` |
| `tool_choice: {type: allowed_tools}` | only those tools, `REQUIRED` if the mode says so |
| `strict` in all functions | `strict_tools` |
| `response_format: json_object` | the same |
| `response_format: json_schema` | `json_object` with `json_schema`; not together with tools |
| `reasoning_effort` | `thinking`, see there |

Of Cohere's own fields `k` (or `top_k`), `p`, `safety_mode`, `citation_options`, `documents`,
`thinking` and `strict_tools` pass.

Source:
    https://docs.cohere.com/reference/chat
    https://docs.cohere.com/docs/structured-outputs
    Shape from the SDK's types (cohere 7.3.1); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping
from typing import Any

from llm_core.catalogue import Deployment
from llm_core.chat.request import ChatRequest
from llm_core.providers.cohere.messages import conversation
from llm_core.providers.cohere.refusals import unsupported
from llm_core.providers.cohere.thinking import thinking_for
from llm_core.providers.cohere.tools import tools_to_cohere

_Object = dict[str, Any]

_OWN = ("k", "p", "safety_mode", "citation_options", "documents", "thinking", "strict_tools")
# Read by the functions below, or without meaning here.
_TRANSLATED = frozenset(
    {
        *_OWN,
        *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens"),
        *("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed", "stop"),
        *("tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort"),
        *("n", "logprobs", "top_logprobs", "modalities"),
    }
)
_REFUSED = {
    "audio": "it has no audio.",
    "functions": "use 'tools'.",
    "function_call": "use 'tool_choice'.",
    "web_search_options": "it has no search of this kind.",
    "moderation": "it has no moderation results.",
    "connectors": "which data a model may read is decided by policy.",
    "priority": "in which order calls are served is decided by policy.",
    "raw_prompting": "the prompt is sent as it was counted.",
}
_LEAST_P, _MOST_P = 0.01, 0.99
_MOST_TEMPERATURE = 1
_MOST_PENALTY = 1


def to_cohere(request: ChatRequest, deployment: Deployment) -> tuple[_Object, tuple[str, ...]]:
    """Build the body of `POST /v2/chat`, and name the fields that were left out.

    Raises:
        UnsupportedParameter: Cohere cannot do what is asked.
        MalformedRequest: OpenAI would not take the request either.
    """
    fields = request.fields
    _refuse(fields)
    talk = conversation(request.messages)
    dropped = [
        name for name, value in fields.items() if value is not None and name not in _TRANSLATED
    ]
    if talk.has_names:
        dropped.append("messages.name")
    body: _Object = {
        "model": deployment.model,
        "messages": talk.messages,
        "stream": request.is_streaming,
    }
    if request.max_output_tokens is not None:
        body["max_tokens"] = request.max_output_tokens
    body |= tools_to_cohere(request, dropped)
    body |= _format(request, body)
    body |= _sampling(fields, dropped)
    body |= _reasoning(request, deployment, dropped)
    return body | {name: fields[name] for name in _OWN if fields.get(name) is not None}, tuple(
        dropped
    )


def _refuse(fields: Mapping[str, Any]) -> None:
    for name, why in _REFUSED.items():
        if fields.get(name) is not None:
            raise unsupported(name, why)
    if (fields.get("n") or 1) > 1:
        raise unsupported("n", "it gives one answer at a time.")
    for name in ("logprobs", "top_logprobs"):
        if fields.get(name):
            raise unsupported(name, "it tells the probabilities of pieces, not of tokens.")
    modalities = fields.get("modalities")
    if modalities is not None and modalities != ["text"]:
        raise unsupported("modalities", "it answers in text.")


def _format(request: ChatRequest, body: Mapping[str, Any]) -> _Object:
    if request.response_format == "text":
        return {}
    if "tools" in body or request.fields.get("documents"):
        raise unsupported(
            "response_format", "it gives JSON only where there are neither tools nor documents."
        )
    wanted: _Object = {"type": "json_object"}
    if request.response_format == "json_schema":
        schema = request.fields["response_format"]["json_schema"].get("schema")
        wanted["json_schema"] = schema or {"type": "object"}
    return {"response_format": wanted}


def _sampling(fields: Mapping[str, Any], dropped: list[str]) -> _Object:
    asked: _Object = {}
    if fields.get("temperature") is not None:
        asked["temperature"] = min(fields["temperature"], _MOST_TEMPERATURE)
    if fields.get("top_p") is not None:
        asked["p"] = min(max(fields["top_p"], _LEAST_P), _MOST_P)
    if fields.get("top_k") is not None:
        asked["k"] = fields["top_k"]
    for name in ("frequency_penalty", "presence_penalty"):
        penalty = _number(fields.get(name))
        if penalty is not None and penalty >= 0:
            asked[name] = min(penalty, _MOST_PENALTY)
        elif fields.get(name) is not None:
            dropped.append(name)
    seed = _number(fields.get("seed"))
    if seed is not None and seed >= 0:
        asked["seed"] = seed
    elif fields.get("seed") is not None:
        dropped.append("seed")
    stop = fields.get("stop")
    if stop:
        asked["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    return asked


def _number(value: object) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _reasoning(request: ChatRequest, deployment: Deployment, dropped: list[str]) -> _Object:
    effort = request.fields.get("reasoning_effort")
    # Cohere's own field wins.
    if effort is None or request.fields.get("thinking") is not None:
        return {}
    longest = request.max_output_tokens or deployment.max_output_tokens
    thinking = thinking_for(effort, deployment.model, longest)
    if thinking is None:
        dropped.append("reasoning_effort")
        return {}
    return {"thinking": thinking}
