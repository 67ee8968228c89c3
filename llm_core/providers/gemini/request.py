"""OpenAI's request as Gemini's.

Three things can happen to a parameter. It is translated. Or Gemini lacks it and it is a mere tuning
knob: it is left out and listed in `ProviderRequest.dropped_params`. Or leaving it out would give
the caller something else than was asked for: it is refused with `UnsupportedParameter`.

Of Google's own fields `safety_settings`, `thinking_config` and `top_k` pass. Cached contents,
searches, code execution and the like are refused: they change which data is read or what a call
costs after both were decided. Every other field is left out; Google answers 400 to any it does
not know.

The longest answer is always said: what was reserved for a call is then its worst case. Thoughts
count towards it.

Source:
    https://ai.google.dev/api/generate-content
    https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
    Shape from the SDK's types (google-genai 3.4.0); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping
from typing import Any

from llm_core.catalogue import Deployment
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest
from llm_core.providers.gemini.messages import conversation
from llm_core.providers.gemini.models import Capabilities, capabilities_of
from llm_core.providers.gemini.schema import to_gemini_schema
from llm_core.providers.gemini.thinking import own_thinking, thinking_for
from llm_core.providers.gemini.tools import tools_to_gemini
from llm_core.providers.gemini.vendor import Vendor

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
        "presence_penalty",
        "frequency_penalty",
        "seed",
        "n",
        "logprobs",
        "top_logprobs",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "thinking_config",
        "safety_settings",
        "modalities",
        "service_tier",
    }
)
_PLAIN = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
}
_PENALTIES = {"presence_penalty": "presencePenalty", "frequency_penalty": "frequencyPenalty"}
_DATA = "which data a model may read is decided by policy."
_FEE = "what a call costs is decided before it is made."
_REFUSED = {
    "audio": "it answers in text.",
    "functions": "use 'tools'.",
    "function_call": "use 'tool_choice'.",
    "web_search_options": _FEE,
    "moderation": "it has no moderation results.",
    "extra_body": "send its members themselves.",
    "cached_content": _DATA,
    "cachedContent": _DATA,
    "google_search": _FEE,
    "google_maps": _FEE,
    "url_context": _DATA,
    "file_search": _DATA,
    "retrieval": _DATA,
    "code_execution": "code execution is not offered.",
    "mcp_servers": "remote tools are not offered.",
    "routing_config": "which model answers, and where, is decided by policy.",
    "model_selection_config": "which model answers, and where, is decided by policy.",
    "model_armor_config": "what filters a prompt is decided by policy.",
    "labels": "they are the gateway's own.",
}
_STANDARD_TIERS = ("auto", "default", "standard")
_MOST_CHOICES = 8
_MOST_STOPS = 5


def to_gemini(
    request: ChatRequest, deployment: Deployment, vendor: Vendor
) -> tuple[_Object, tuple[str, ...]]:
    """Build the body of `generateContent`, and name the fields that were left out.

    Raises:
        UnsupportedParameter: Gemini, or the routed model, cannot do what is asked.
        MalformedRequest: OpenAI would not take the request either.
    """
    fields = request.fields
    _refuse(fields, vendor)
    capabilities = capabilities_of(deployment.model)
    talk = conversation(request.messages, capabilities, vendor)
    dropped = [
        name for name, value in fields.items() if value is not None and name not in _TRANSLATED
    ]
    dropped += talk.dropped
    body: _Object = {"contents": talk.contents}
    if talk.system:
        body["systemInstruction"] = {"parts": talk.system}
    body |= tools_to_gemini(request, vendor)
    if fields.get("safety_settings") is not None:
        body["safetySettings"] = _safety(fields["safety_settings"])
    max_tokens = request.max_output_tokens or deployment.max_output_tokens
    config: _Object = {"maxOutputTokens": max_tokens}
    config |= {own: fields[name] for name, own in _PLAIN.items() if fields.get(name) is not None}
    config |= _penalties(fields, capabilities, dropped)
    config |= _stop(fields, vendor)
    config |= _choices(request)
    config |= _format(request)
    config |= _thinking(fields, capabilities, max_tokens, dropped)
    body["generationConfig"] = config
    return body, tuple(dropped)


def _refuse(fields: Mapping[str, Any], vendor: Vendor) -> None:
    for name, why in _REFUSED.items():
        if fields.get(name) is not None:
            raise vendor.unsupported(name, why)
    if (fields.get("n") or 1) > _MOST_CHOICES:
        raise vendor.unsupported("n", f"it gives at most {_MOST_CHOICES} answers at a time.")
    if fields.get("modalities") not in (None, ["text"]):
        raise vendor.unsupported("modalities", "it answers in text.")
    tier = fields.get("service_tier")
    if tier is not None and tier not in _STANDARD_TIERS:
        raise vendor.unsupported("service_tier", _FEE)


def _penalties(
    fields: Mapping[str, Any], capabilities: Capabilities, dropped: list[str]
) -> _Object:
    # None at all is what every model does.
    asked = {name: fields[name] for name in _PENALTIES if fields.get(name)}
    if capabilities.takes_penalties:
        return {_PENALTIES[name]: value for name, value in asked.items()}
    dropped += asked
    return {}


def _stop(fields: Mapping[str, Any], vendor: Vendor) -> _Object:
    stop = fields.get("stop")
    sequences = [stop] if isinstance(stop, str) else stop or []
    if len(sequences) > _MOST_STOPS:
        raise vendor.unsupported("stop", f"there can be at most {_MOST_STOPS}.")
    return {"stopSequences": sequences} if sequences else {}


def _choices(request: ChatRequest) -> _Object:
    asked: _Object = {}
    if request.choices > 1:
        asked["candidateCount"] = request.choices
    if request.fields.get("logprobs"):
        asked["responseLogprobs"] = True
        if request.fields.get("top_logprobs"):
            asked["logprobs"] = request.fields["top_logprobs"]
    return asked


def _format(request: ChatRequest) -> _Object:
    match request.response_format:
        case "json_object":
            return {"responseMimeType": "application/json"}
        case "json_schema":
            schema = request.fields["response_format"]["json_schema"].get("schema")
            asked: _Object = {"responseMimeType": "application/json"}
            if schema:
                asked["responseJsonSchema"] = to_gemini_schema(schema)
            return asked
        case _:
            return {}


def _thinking(
    fields: Mapping[str, Any], capabilities: Capabilities, max_tokens: int, dropped: list[str]
) -> _Object:
    """`thinkingConfig`; Google's own field wins over `reasoning_effort`."""
    own = fields.get("thinking_config")
    if own is not None:
        return {"thinkingConfig": own_thinking(own)}
    effort = fields.get("reasoning_effort")
    if effort is None:
        return {}
    config = thinking_for(effort, capabilities, max_tokens)
    if config is None:
        dropped.append("reasoning_effort")
    return {"thinkingConfig": config} if config else {}


def _safety(given: object) -> list[_Object]:
    param = "safety_settings"
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise MalformedRequest(f"'{param}' must be a list of objects.", param=param)
    return given
