"""Which models the demo offers: the sandbox's, or a real provider's when its key is set."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SANDBOX_KEY = "sk-sandbox-demo"


@dataclass(frozen=True, slots=True)
class Offer:
    """The demo's catalogue and the credentials it needs, by name."""

    models: dict[str, Any]
    credentials: dict[str, str]
    real: tuple[str, ...]


def offered(sandbox_url: str, environment: Mapping[str, str]) -> Offer:
    """Build the catalogue; a provider whose key is set is the real one.

    Read are `OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, and `AZURE_OPENAI_API_KEY` together with
    `AZURE_OPENAI_ENDPOINT`; Azure's deployment is to be named `gpt-4o`.
    """
    openai_key = environment.get("OPENAI_API_KEY")
    anthropic_key = environment.get("ANTHROPIC_API_KEY")
    azure_endpoint = environment.get("AZURE_OPENAI_ENDPOINT", "").rstrip("/")
    azure_key = environment.get("AZURE_OPENAI_API_KEY") if azure_endpoint else None
    openai_url = "https://api.openai.com/v1" if openai_key else f"{sandbox_url}/openai/v1"
    anthropic_url = "https://api.anthropic.com" if anthropic_key else f"{sandbox_url}/anthropic"
    openai = {"provider": "openai", "credential": "openai", "base_url": openai_url, "region": "us"}
    anthropic = {
        "provider": "anthropic",
        "credential": "anthropic",
        "base_url": anthropic_url,
        "region": "eu",
    }
    azure = {
        "provider": "azure_openai",
        "credential": "azure_openai",
        "base_url": azure_endpoint if azure_key else f"{sandbox_url}/azure",
        "api_version": "2024-10-21",
        "price_provider": "openai",
        "region": "eu",
    }
    models = {
        "models": [
            _model("gpt-4o-mini", {**openai, "model": "gpt-4o-mini", "max_output_tokens": 16384}),
            _model(
                "gpt-4o",
                {**openai, "model": "gpt-4o", "max_output_tokens": 16384},
                {**azure, "model": "gpt-4o", "price_model": "gpt-4o", "max_output_tokens": 16384},
            ),
            _model(
                "claude-sonnet-4-5",
                {**anthropic, "model": "claude-sonnet-4-5", "max_output_tokens": 64000},
            ),
        ]
    }
    credentials = {
        "openai": openai_key or SANDBOX_KEY,
        "anthropic": anthropic_key or SANDBOX_KEY,
        "azure_openai": azure_key or SANDBOX_KEY,
    }
    names = (("OpenAI", openai_key), ("Anthropic", anthropic_key), ("Azure OpenAI", azure_key))
    return Offer(models, credentials, tuple(name for name, key in names if key))


def _model(alias: str, *deployments: dict[str, Any]) -> dict[str, Any]:
    return {
        "alias": alias,
        "deployments": [
            {"id": f"{one['provider'].replace('_', '-')}-{alias}", **one} for one in deployments
        ],
    }
