"""What each provider can do, found out by translating: nothing here is written down twice.

A probe is a request that uses one feature. Putting it to a provider says what becomes of it: it is
sent, it is left out and named, or it is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import msgspec

from llm_core.apis.ask import Exchange
from llm_core.apis.dialect import ChatExchange
from llm_core.apis.registry import read_ask
from llm_core.catalogue import Deployment, ProviderKind
from llm_core.errors import RequestError
from llm_core.operation import Operation
from llm_core.policy.decision import Obligations

_PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
_TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


class Support(StrEnum):
    """What becomes of a feature at a provider."""

    SENT = "yes"
    DROPPED = "dropped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Feature:
    """Something a chat request can ask for.

    Args:
        param: The field that is named when it is dropped.
        fields: What asks for it.
    """

    name: str
    param: str
    fields: Mapping[str, Any]


def _said(*parts: Mapping[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


FEATURES: Sequence[Feature] = (
    Feature("tools", "tools", {"tools": [_TOOL]}),
    Feature("a tool is required", "tool_choice", {"tools": [_TOOL], "tool_choice": "required"}),
    Feature(
        "one tool at a time",
        "parallel_tool_calls",
        {"tools": [_TOOL], "parallel_tool_calls": False},
    ),
    Feature(
        "image as data",
        "messages",
        _said({"type": "image_url", "image_url": {"url": _PIXEL}}),
    ),
    Feature(
        "image by URL",
        "messages",
        _said({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}),
    ),
    Feature("JSON object", "response_format", {"response_format": {"type": "json_object"}}),
    Feature(
        "JSON schema",
        "response_format",
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "place", "schema": _SCHEMA, "strict": True},
            }
        },
    ),
    Feature("reasoning effort", "reasoning_effort", {"reasoning_effort": "low"}),
    Feature("stop", "stop", {"stop": ["END"]}),
    Feature("temperature", "temperature", {"temperature": 0.5}),
    Feature("top_p", "top_p", {"top_p": 0.5}),
    Feature("frequency penalty", "frequency_penalty", {"frequency_penalty": 0.5}),
    Feature("presence penalty", "presence_penalty", {"presence_penalty": 0.5}),
    Feature("seed", "seed", {"seed": 7}),
    Feature("n > 1", "n", {"n": 2}),
    Feature("logprobs", "logprobs", {"logprobs": True}),
    Feature("logit bias", "logit_bias", {"logit_bias": {"50256": -100}}),
)

_SPEAK_OPENAI = (
    ProviderKind.OPENAI,
    ProviderKind.AZURE_OPENAI,
    ProviderKind.OPENAI_COMPATIBLE,
)
_REQUESTS: Mapping[Operation, Mapping[str, Any]] = {
    Operation.CHAT_COMPLETIONS: {"messages": [{"role": "user", "content": "Hello"}]},
    Operation.RESPONSES: {"input": "Hello"},
    Operation.MESSAGES: {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9},
    Operation.COMPLETIONS: {"prompt": "Hello"},
    Operation.EMBEDDINGS: {"input": "Hello"},
}

SAMPLES: Mapping[ProviderKind, Deployment] = {
    kind: Deployment("sample", kind, model, "https://provider.example")
    for kind, model in {
        ProviderKind.OPENAI: "gpt-4o",
        ProviderKind.AZURE_OPENAI: "gpt-4o",
        ProviderKind.ANTHROPIC: "claude-sonnet-4-5",
        ProviderKind.GEMINI: "gemini-2.5-flash",
        ProviderKind.VERTEX: "gemini-2.5-flash",
        ProviderKind.BEDROCK: "anthropic.claude-sonnet-4-5-20250929-v1:0",
        ProviderKind.MISTRAL: "mistral-medium-latest",
        ProviderKind.COHERE: "command-a-03-2025",
        ProviderKind.OPENAI_COMPATIBLE: "Qwen/Qwen3-8B",
    }.items()
}
"""One deployment a provider to ask about; some answers depend on the model."""


def feature_support(deployment: Deployment, feature: Feature) -> Support:
    """What becomes of a feature in a chat completion."""
    fields = {**_REQUESTS[Operation.CHAT_COMPLETIONS], **feature.fields}
    try:
        dropped = _request(Operation.CHAT_COMPLETIONS, fields, deployment).request.dropped_params
    except RequestError:
        return Support.REFUSED
    return Support.DROPPED if feature.param in dropped else Support.SENT


def operation_support(deployment: Deployment, operation: Operation) -> str:
    """`native`, `translated` or `no`."""
    if operation is Operation.EMBEDDINGS and deployment.provider is ProviderKind.BEDROCK:
        # There the model decides the format.
        deployment = replace(deployment, model="amazon.titan-embed-text-v2:0")
    try:
        made = _request(operation, _REQUESTS[operation], deployment)
    except RequestError:
        return "no"
    if operation in (Operation.CHAT_COMPLETIONS, Operation.EMBEDDINGS):
        return "native" if deployment.provider in _SPEAK_OPENAI else "translated"
    return "translated" if type(made) is ChatExchange else "native"


def operations() -> tuple[Operation, ...]:
    """Those that ask a model, chat completions first."""
    return tuple(_REQUESTS)


def _request(operation: Operation, fields: Mapping[str, Any], deployment: Deployment) -> Exchange:
    body = msgspec.json.encode({"model": "sample", **fields})
    return read_ask(operation, body).exchange(deployment, Obligations(), created=0)
