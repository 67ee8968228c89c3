"""OpenAI's request as Converse's.

As with every provider a parameter is translated; or it is a mere tuning knob that Bedrock lacks,
left out and listed in `ProviderRequest.dropped_params`; or leaving it out would give the caller
something else than was asked for, and it is refused.

- `temperature` goes from 0 to 2 at OpenAI and to 1 here; more is sent as 1. For Claude, `top_p` is
  left out beside it, and both where the model thinks or takes neither, as at Anthropic.
- `json_object` is refused: a model can be held to a schema here, not to "some JSON".
- The longest answer is always told: what is reserved for the call depends on it.
- Of the makers' own fields `top_k`, `thinking`, `output_config` and `reasoningConfig` pass, by
  themselves or inside `additionalModelRequestFields`. Whatever decides about guardrails, service
  tiers, stored prompts or betas is refused: that is for policy to say.

Source:
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
    Shape from the SDK's types (botocore 1.44.5); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from llm_core.catalogue import Deployment
from llm_core.chat.request import ChatRequest
from llm_core.errors import MalformedRequest
from llm_core.providers.anthropic.models import Thinking
from llm_core.providers.anthropic.schema import to_claude_schema
from llm_core.providers.bedrock.messages import Conversation, conversation
from llm_core.providers.bedrock.models import Family, Traits, traits_of
from llm_core.providers.bedrock.reasoning import nova_reasoning, reasoning_for
from llm_core.providers.bedrock.refusals import unsupported
from llm_core.providers.bedrock.tools import tools_to_bedrock

_Object = dict[str, Any]

_MORE_FIELDS = "additionalModelRequestFields"
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
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "cache_control",
        "n",
        "logprobs",
        "top_logprobs",
        "modalities",
        _MORE_FIELDS,
    }
)
_OWN = {
    "top_k": (Family.CLAUDE, Family.NOVA, Family.NOVA_2),
    "thinking": (Family.CLAUDE,),
    "output_config": (Family.CLAUDE,),
    "reasoningConfig": (Family.NOVA_2,),
}
"""The makers' own fields, and whose models take them."""

_POLICY = "that is decided by policy."
_REFUSED = {
    "audio": "it has no audio.",
    "functions": "use 'tools'.",
    "function_call": "use 'tool_choice'.",
    "web_search_options": "it has no search of this kind.",
    "moderation": "it has no moderation results.",
    "guardrailConfig": _POLICY,
    "guardrail_config": _POLICY,
    "performanceConfig": "what a call costs is decided before it is made.",
    "serviceTier": "what a call costs is decided before it is made.",
    "promptVariables": "stored prompts are not offered.",
    "requestMetadata": "what is written to the provider's logs is decided by policy.",
    "modelId": "the model is chosen by 'model'.",
    "anthropic_beta": "betas are not offered.",
}


def to_bedrock(request: ChatRequest, deployment: Deployment) -> tuple[_Object, tuple[str, ...]]:
    """Build the body of `POST /model/{model}/converse`, and name the fields that were left out.

    Raises:
        UnsupportedParameter: Bedrock, or the routed model, cannot do what is asked.
        MalformedRequest: OpenAI would not take the request either.
    """
    fields = request.fields
    _refuse(fields)
    traits = traits_of(deployment)
    talk = conversation(request, deployment.model, traits)
    dropped = _unknown(fields) + list(talk.dropped)
    max_tokens = request.max_output_tokens or deployment.max_output_tokens
    body: _Object = {"messages": talk.turns}
    if talk.system:
        body["system"] = talk.system
    body |= tools_to_bedrock(request, traits, dropped, has_tool_blocks=talk.has_tool_blocks)
    more: _Object = {}
    effort = fields.get("reasoning_effort")
    if effort is not None:
        may_think = _may_think(body, talk, traits)
        asked = reasoning_for(effort, traits, max_tokens, may_start=may_think)
        if asked is None:
            dropped.append("reasoning_effort")
        more = asked or {}
    more |= _own_fields(fields, traits, dropped)
    inference: _Object = {"maxTokens": max_tokens}
    inference |= _sampling(fields, traits, more, dropped)
    inference |= _stop(fields, dropped)
    body["inferenceConfig"] = inference
    if more:
        body[_MORE_FIELDS] = more
    return {**body, **_format(request, traits)}, tuple(dropped)


def _unknown(fields: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, value in fields.items()
        if value is not None and name not in _TRANSLATED and name not in _OWN
    ]


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


def _may_think(body: Mapping[str, Any], talk: Conversation, traits: Traits) -> bool:
    """A forced call leaves Claude no room for thinking.

    And where thinking is by budget, calls that came back without it make Claude refuse.
    """
    is_budget = traits.claude is not None and traits.claude.thinking is Thinking.BUDGET
    is_forced = "toolChoice" in body.get("toolConfig", {})
    return not is_forced and not (is_budget and talk.has_unsigned_call)


def _own_fields(fields: Mapping[str, Any], traits: Traits, dropped: list[str]) -> _Object:
    """The maker's own fields, which win over what was translated."""
    found: _Object = {}
    for param, name, value in _given(fields):
        if traits.family not in _OWN[name]:
            dropped.append(param)
        elif name == "top_k":
            found["top_k"] = value
        elif not isinstance(value, dict):
            raise MalformedRequest(f"'{param}' must be an object.", param=param)
        elif name == "reasoningConfig" and value.get("type") == "enabled":
            found[name] = nova_reasoning(value.get("maxReasoningEffort", "medium"), param)
        else:
            found[name] = value
    return found


def _given(fields: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """Parameter, name and value of every maker's own field."""
    nested = fields.get(_MORE_FIELDS) or {}
    if not isinstance(nested, dict):
        raise MalformedRequest(f"'{_MORE_FIELDS}' must be an object.", param=_MORE_FIELDS)
    for name in nested:
        if name not in _OWN:
            raise unsupported(f"{_MORE_FIELDS}.{name}", "this field is not handed on.")
    given = [(f"{_MORE_FIELDS}.{name}", name, value) for name, value in nested.items()]
    given += [(name, name, fields[name]) for name in _OWN if name in fields]
    return [one for one in given if one[2] is not None]


def _sampling(
    fields: Mapping[str, Any], traits: Traits, more: _Object, dropped: list[str]
) -> _Object:
    """`temperature` and `topP`; moves `top_k` to where the family has it."""
    asked = {
        name: fields[name] for name in ("temperature", "top_p") if fields.get(name) is not None
    }
    thinks = more.get("thinking", {}).get("type") in ("enabled", "adaptive")
    if traits.claude is not None and (thinks or not traits.claude.takes_sampling):
        dropped += [*asked, *(["top_k"] if more.pop("top_k", None) is not None else [])]
        return {}
    if traits.claude is None and "top_k" in more:
        more["inferenceConfig"] = {"topK": more.pop("top_k")}
    if "temperature" in asked:
        asked["temperature"] = min(asked["temperature"], 1)
        if traits.claude is not None and asked.pop("top_p", None) is not None:
            dropped.append("top_p")
    names = {"temperature": "temperature", "top_p": "topP"}
    return {names[name]: value for name, value in asked.items()}


def _stop(fields: Mapping[str, Any], dropped: list[str]) -> _Object:
    stop = fields.get("stop")
    if stop is None:
        return {}
    sequences = [stop] if isinstance(stop, str) else stop
    # White space alone is refused as a stop sequence by Claude, nothing by all.
    taken = [sequence for sequence in sequences if sequence.strip()]
    if len(taken) < len(sequences):
        dropped.append("stop")
    return {"stopSequences": taken} if taken else {}


def _format(request: ChatRequest, traits: Traits) -> _Object:
    match request.response_format:
        case "json_object":
            raise unsupported(
                "response_format", "it gives JSON by a schema only; use 'json_schema'."
            )
        case "json_schema":
            return {"outputConfig": {"textFormat": _text_format(request, traits)}}
        case _:
            return {}


def _text_format(request: ChatRequest, traits: Traits) -> _Object:
    if not traits.takes_schemas:
        raise unsupported("response_format", "this model cannot be held to a schema.")
    asked = request.fields["response_format"]["json_schema"]
    schema = to_claude_schema(asked.get("schema") or {"type": "object"})
    described: _Object = {"schema": msgspec.json.encode(schema).decode()}
    for name in ("name", "description"):
        if isinstance(asked.get(name), str) and asked[name]:
            described[name] = asked[name]
    return {"type": "json_schema", "structure": {"jsonSchema": described}}
