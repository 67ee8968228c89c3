"""Azure OpenAI: OpenAI's format under another address and another header.

Source:
    https://learn.microsoft.com/azure/ai-foundry/openai/reference (checked 2026-11-20)
"""

from typing import Any
from urllib.parse import quote

from llm_core.catalogue import Deployment
from llm_core.providers.openai import OpenAITranslator

# The last generally available version with a date. Versions before 2024-09-01 do not do: they know
# neither usage in streams nor `max_completion_tokens`.
DEFAULT_API_VERSION = "2024-10-21"


class AzureOpenAITranslator(OpenAITranslator):
    """Speaks to a deployment in Azure OpenAI; `Deployment.model` is the deployment's name."""

    name = "Azure OpenAI"

    def fields(self, fields: dict[str, Any], dropped: list[str]) -> dict[str, Any]:
        """Leave the fields as they are; what OpenAI is not asked for has been refused before.

        Both names for the longest answer are taken, but not by every model, and the deployment's
        name does not tell the model: what the request says is left as it is.
        """
        return fields

    def url(self, deployment: Deployment) -> str:
        """The deployment stands in the path; `base_url` is the resource's endpoint."""
        version = quote(deployment.api_version or DEFAULT_API_VERSION, safe="")
        model = quote(deployment.model, safe="")
        return (
            f"{deployment.base_url}/openai/deployments/{model}/chat/completions"
            f"?api-version={version}"
        )

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The resource's key."""
        return {"api-key": secret}
