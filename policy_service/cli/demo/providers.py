"""Which models the demo offers: the sandbox's, or a real provider's when its key is set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SANDBOX_KEY = "sk-sandbox-demo"


@dataclass(frozen=True, slots=True)
class Offer:
    """The demo's catalogue and the credentials it needs, by name."""

    models: dict[str, Any]
    credentials: dict[str, str] = field(repr=False)
    real: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Vendor:
    """Where a vendor is, and where the sandbox plays it.

    Args:
        key: The environment's variable with the key; what it is named without `_API_KEY` is the
            credential's name.
        url: The real one; a variable's name in braces stands for its value.
        path: The sandbox's.
    """

    label: str
    provider: str
    key: str
    url: str
    path: str
    region: str

    def real_url(self, environment: Mapping[str, str]) -> str | None:
        """The vendor's own address, when everything for it is set."""
        variable = self.url[1:-1] if self.url.startswith("{") else None
        url = environment.get(variable, "").rstrip("/") if variable else self.url
        return url if url and environment.get(self.key) else None


_VENDORS = (
    _Vendor("OpenAI", "openai", "OPENAI_API_KEY", "https://api.openai.com/v1", "/openai/v1", "us"),
    _Vendor(
        "Anthropic",
        "anthropic",
        "ANTHROPIC_API_KEY",
        "https://api.anthropic.com",
        "/anthropic",
        "eu",
    ),
    _Vendor(
        "Azure OpenAI",
        "azure_openai",
        "AZURE_OPENAI_API_KEY",
        "{AZURE_OPENAI_ENDPOINT}",
        "/azure",
        "eu",
    ),
    _Vendor(
        "Gemini",
        "gemini",
        "GEMINI_API_KEY",
        "https://generativelanguage.googleapis.com/v1beta",
        "/gemini/v1beta",
        "us",
    ),
    _Vendor(
        "Bedrock", "bedrock", "BEDROCK_API_KEY", "{BEDROCK_RUNTIME_ENDPOINT}", "/bedrock", "eu"
    ),
    _Vendor(
        "Mistral", "mistral", "MISTRAL_API_KEY", "https://api.mistral.ai/v1", "/mistral/v1", "eu"
    ),
    _Vendor("Cohere", "cohere", "COHERE_API_KEY", "https://api.cohere.com", "/cohere", "us"),
)


# For the stand-ins alone: what was agreed with a real provider the demo cannot know.
_MADE_UP_TERMS: dict[str, Any] = {
    "made-up-eu": {
        "agreements": {"dpa": {"since": "2026-01-01", "reference": "made up"}},
        "data_processing": {"retention_days": 0, "trains_on_data": False, "sub_processors": []},
    },
    "made-up-us": {
        "data_processing": {"retention_days": 30, "trains_on_data": False},
    },
}


def offered(sandbox_url: str, environment: Mapping[str, str]) -> Offer:
    """Build the catalogue; a provider whose key is set is the real one.

    Read are the variables in the table above. Azure's deployment is to be named `gpt-4o`.
    """
    at: dict[str, dict[str, Any]] = {}
    credentials: dict[str, str] = {}
    real: list[str] = []
    for vendor in _VENDORS:
        url = vendor.real_url(environment)
        name = vendor.provider
        credentials[name] = environment[vendor.key] if url else SANDBOX_KEY
        at[name] = {
            "provider": name,
            "credential": name,
            "base_url": url or f"{sandbox_url}{vendor.path}",
            "region": vendor.region,
        }
        if url:
            real.append(vendor.label)
        else:
            at[name]["terms"] = f"made-up-{vendor.region}"
    at["azure_openai"] |= {"api_version": "2024-10-21", "price_provider": "openai"}
    models = {"providers": _MADE_UP_TERMS, "models": _models(at)}
    return Offer(models, credentials, tuple(real))


def _models(at: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    gpt_4o = {"model": "gpt-4o", "price_model": "gpt-4o", "max_output_tokens": 16384}
    embeddings = {"model": "text-embedding-3-small", "operations": ["embeddings"]}
    claude = {"model": "claude-sonnet-4-6", "max_output_tokens": 64000}
    dear = {"model": "claude-opus-4-1", "max_output_tokens": 32000}
    claude_on_bedrock = {
        "model": "eu.anthropic.claude-sonnet-4-6",
        "max_output_tokens": 64000,
    }
    return [
        _model("gpt-4o-mini", {**at["openai"], "model": "gpt-4o-mini", "max_output_tokens": 16384}),
        _model("gpt-4o", {**at["openai"], **gpt_4o}, {**at["azure_openai"], **gpt_4o}),
        _model("claude-sonnet-4-6", {**at["anthropic"], **claude}),
        # Dear: it is on compliance's list of models that need an approval.
        _model("claude-opus-4-1", {**at["anthropic"], **dear}),
        _model(
            "claude-in-the-eu",
            {**at["bedrock"], **claude_on_bedrock},
            {**at["anthropic"], **claude},
        ),
        _model(
            "gemini-2.5-flash",
            {**at["gemini"], "model": "gemini-2.5-flash", "max_output_tokens": 65536},
        ),
        _model(
            "mistral-medium",
            {**at["mistral"], "model": "mistral-medium-latest", "max_output_tokens": 16384},
        ),
        _model(
            "command-a",
            {**at["cohere"], "model": "command-a-03-2025", "max_output_tokens": 8192},
        ),
        _model("text-embedding-3-small", {**at["openai"], **embeddings}),
    ]


def _model(alias: str, *deployments: dict[str, Any]) -> dict[str, Any]:
    return {
        "alias": alias,
        "deployments": [
            {"id": f"{one['provider'].replace('_', '-')}-{alias}", **one} for one in deployments
        ],
    }
