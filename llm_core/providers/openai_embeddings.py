"""Embeddings of those who speak OpenAI's format: OpenAI, Azure OpenAI, and their imitators.

Sent: the request as it came, the model replaced by the routed one, unless it asks for what is
policy's to decide (`openai_refusals`). Received: the answer as it is.

Source:
    https://platform.openai.com/docs/api-reference/embeddings
    https://learn.microsoft.com/azure/ai-foundry/openai/reference#embeddings
    Shape from the SDK's types (openai 3.52.0); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from llm_core.catalogue import Deployment
from llm_core.chat.encoding import decode_object, encode
from llm_core.chat.response import usage_from_openai
from llm_core.embeddings.request import EmbeddingsRequest
from llm_core.errors import ProviderError, ProviderUnavailable
from llm_core.providers.azure_openai import DEFAULT_API_VERSION
from llm_core.providers.failures import provider_failure
from llm_core.providers.openai import reported_by_openai
from llm_core.providers.openai_compatible import PLATFORM_ONLY
from llm_core.providers.openai_refusals import REFUSED, refuse
from llm_core.providers.translator import ProviderRequest, Translated
from llm_core.tokens.usage import TokenUsage

_REFUSED = {
    **REFUSED,
    # vLLM embeds a conversation instead.
    # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#embeddings-api
    "messages": "nobody has counted them; use 'input'.",
}


class OpenAIEmbeddings:
    """Asks OpenAI for embeddings; see `EmbeddingsTranslator`."""

    name = "OpenAI"

    def request(self, request: EmbeddingsRequest, deployment: Deployment) -> ProviderRequest:
        """Build the provider's request."""
        # Tools mean nothing here, and nobody has looked at their shape.
        known = {name: value for name, value in request.fields.items() if name != "tools"}
        refuse(known, self.name, _REFUSED)
        dropped: list[str] = []
        body = self.fields(dict(request.fields), dropped)
        body["model"] = deployment.model
        return ProviderRequest(
            url=self.url(deployment),
            headers={"content-type": "application/json"},
            body=encode(body),
            dropped_params=tuple(dropped),
        )

    def fields(self, fields: dict[str, Any], dropped: list[str]) -> dict[str, Any]:
        """Adapt a copy of the request's fields; what is left out is named in `dropped`."""
        return fields

    def url(self, deployment: Deployment) -> str:
        """Where embeddings are; `base_url` ends in the API's version."""
        return f"{deployment.base_url}/embeddings"

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The header that proves who pays."""
        return {"authorization": f"Bearer {secret}"}

    def response(self, body: bytes, request: EmbeddingsRequest) -> Translated:
        """Read an answer; see `EmbeddingsTranslator.response`. Its body is the provider's own."""
        answer = decode_object(body)
        if answer is None or not isinstance(answer.get("data"), list):
            raise ProviderUnavailable(f"{self.name} answered with something that is no embedding.")
        given = answer.get("usage")
        reported = usage_from_openai(given) if isinstance(given, dict) else TokenUsage()
        usage = TokenUsage(
            input_tokens=reported.input_tokens,
            output_tokens=None if reported.input_tokens is None else 0,
        )
        model = answer.get("model")
        return Translated(
            body=answer,
            usage=usage,
            served_model=model if isinstance(model, str) and model else None,
        )

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """Read an error answer; see `EmbeddingsTranslator.failure`."""
        return provider_failure(self.name, status, headers, reported_by_openai(decode_object(body)))


class AzureOpenAIEmbeddings(OpenAIEmbeddings):
    """Asks a deployment in Azure OpenAI; `Deployment.model` is the deployment's name."""

    name = "Azure OpenAI"

    def url(self, deployment: Deployment) -> str:
        """The deployment stands in the path; `base_url` is the resource's endpoint."""
        version = quote(deployment.api_version or DEFAULT_API_VERSION, safe="")
        model = quote(deployment.model, safe="")
        return f"{deployment.base_url}/openai/deployments/{model}/embeddings?api-version={version}"

    def credential_headers(self, secret: str) -> dict[str, str]:
        """The resource's key."""
        return {"api-key": secret}


class OpenAICompatibleEmbeddings(OpenAIEmbeddings):
    """Asks a server that imitates OpenAI; what only means something at OpenAI is left out."""

    name = "The model server"

    def fields(self, fields: dict[str, Any], dropped: list[str]) -> dict[str, Any]:
        """Adapt a copy of the request's fields; what is left out is named in `dropped`."""
        for name in PLATFORM_ONLY:
            if fields.pop(name, None) is not None:
                dropped.append(name)
        return fields
