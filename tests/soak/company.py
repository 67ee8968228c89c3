"""Who asks, what is served, and what it costs."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tests.fixtures.gateway import deployment

POOR_USD = Decimal("0.002")
INPUT_USD, OUTPUT_USD = Decimal("0.000001"), Decimal("0.000002")
"""Of each token, whatever the model: so a row can be reckoned by hand."""

_MANY = {
    "usd_per_month": 1000,
    "usd_per_day": 1000,
    "tokens_per_day": 10**9,
    "requests_per_minute": 10**6,
    "concurrent_requests": 10**4,
}
COMPANY: dict[str, Any] = {
    "id": "acme",
    "allowed_models": ["*"],
    "limits": {"usd_per_month": 10_000},
    "departments": [
        {
            "id": "engineering",
            "limits": {"usd_per_30_days": 5000},
            "teams": [
                {"id": "team", "limits": _MANY, "keys": [{"name": "team", "user": "sam"}]},
                {"id": "narrow", "allowed_models": ["openai"], "keys": [{"name": "narrow"}]},
                {
                    "id": "poor",
                    "limits": {"usd_per_month": str(POOR_USD), "concurrent_requests": 100},
                    "keys": [{"name": "poor"}],
                },
            ],
        }
    ],
}
_CHAT = {
    "openai": "gpt-4o-mini",
    "azure_openai": "gpt-4o-mini",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash",
    "mistral": "mistral-medium-latest",
    "cohere": "command-a-03-2025",
    "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
}
_EMBEDDINGS = {"openai": "text-embedding-3-small", "cohere": "embed-v4.0"}


def models(sandboxes: Sequence[str]) -> dict[str, Any]:
    """The catalogue; fallbacks are at the other sandbox.

    Args:
        sandboxes: URLs of two.
    """
    first, second = sandboxes

    def chat(kind: str, url: str, wish: str = "", **more: Any) -> dict[str, Any]:
        return deployment(kind, url, _CHAT[kind] + wish, max_output_tokens=200, **more)

    def embedding(kind: str, url: str) -> dict[str, Any]:
        return deployment(kind, url, _EMBEDDINGS[kind], operations=["embeddings"])

    def alias(name: str, *deployments: dict[str, Any]) -> dict[str, Any]:
        named = [{**one, "id": f"{name}-{place}"} for place, one in enumerate(deployments, start=1)]
        return {"alias": name, "deployments": named}

    return {
        "models": [
            alias("openai", chat("openai", first)),
            alias("anthropic", chat("anthropic", second)),
            alias("gemini", chat("gemini", first)),
            alias("mistral", chat("mistral", second)),
            alias("cohere", chat("cohere", first)),
            alias("bedrock", chat("bedrock", second)),
            alias("fallback", chat("openai", first), chat("azure_openai", second)),
            alias("flaky", chat("anthropic", second, "--fault-503"), chat("openai", first)),
            alias("slow", chat("openai", first, "--pace-40--words-60"), chat("mistral", second)),
            alias("silent", chat("openai", first, "--fault-no_usage")),
            alias("embed-openai", embedding("openai", first)),
            alias("embed-cohere", embedding("cohere", second)),
        ]
    }


def prices() -> str:
    """A contract price for each model."""
    lines = ["currency: USD", "per_tokens: 1000000", "models:"]
    for kind, model in [*_CHAT.items(), *_EMBEDDINGS.items()]:
        if kind == "azure_openai":  # priced as OpenAI's
            continue
        lines.append(f'  - {{provider: {kind}, model: "{model}", prices: [{{')
        lines[-1] += "from: 2020-01-01, rates: {input: 1, output: 2}}]}"
    return "\n".join(lines) + "\n"
