"""What spans say about a call, in OpenTelemetry's words for generative AI. Ids and names only.

Source:
    https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans (checked 2026-11-29;
    status: development, so names may change)
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from llm_core.catalogue import Deployment
from llm_core.operation import Operation

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


def provider_name(ours: str) -> str:
    """The convention's name for a provider; ours where it has none."""
    return _PROVIDERS.get(ours, ours)
