"""What spans say, in OpenTelemetry's words for generative AI. Ids, names and numbers only.

Source:
    https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans (checked 2026-11-29;
    status: development, so names may change)
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.trace import Span, Status, StatusCode

from llm_core.catalogue import Deployment
from llm_core.operation import Operation
from llm_core.tokens.usage import TokenUsage

Attributes = dict[str, str | int]

OPERATIONS: Final[Mapping[str, str]] = {
    Operation.CHAT_COMPLETIONS.value: "chat",
    Operation.RESPONSES.value: "chat",
    Operation.MESSAGES.value: "chat",
    Operation.COMPLETIONS.value: "text_completion",
    Operation.EMBEDDINGS.value: "embeddings",
}
_PROVIDERS: Final[Mapping[str, str]] = {
    "azure_openai": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "bedrock": "aws.bedrock",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
_NAME: Final = re.compile(r"[\w./:@+-]{1,200}")
"""What a model may be called; a provider that says something else may say anything."""

_OTHER: Final = "_OTHER"
"""The convention's word for a failure that nobody has named."""

_PORTS: Final = {"http": 80, "https": 443}


def about_call(operation: str, deployment: Deployment) -> Attributes:
    """A question to a deployment, before it is answered."""
    address = urlsplit(deployment.base_url)
    return {
        "gen_ai.operation.name": OPERATIONS.get(operation, operation),
        "gen_ai.provider.name": provider_name(deployment.provider_name),
        "gen_ai.request.model": deployment.model,
        "server.address": address.hostname or "",
        "server.port": address.port or _PORTS.get(address.scheme, 0),
        "gatehouse.operation": operation,
        "gatehouse.deployment": deployment.id,
        "gatehouse.region": deployment.region,
    }


def about_answer(usage: TokenUsage, served_model: str | None) -> Attributes:
    """What a deployment answered; what it did not report is left out."""
    counted = {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_input_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
    }
    told: Attributes = {name: tokens for name, tokens in counted.items() if tokens is not None}
    if served_model is not None and _NAME.fullmatch(served_model):
        told["gen_ai.response.model"] = served_model
    return told


def failed(span: Span, kind: str) -> None:
    """Mark a span; `kind` is a word, and no exception's text goes with it."""
    span.set_attribute("error.type", kind or _OTHER)
    span.set_status(Status(StatusCode.ERROR))


def provider_name(ours: str) -> str:
    """The convention's name for a provider; ours where it has none."""
    return _PROVIDERS.get(ours, ours)
