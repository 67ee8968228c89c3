"""One gateway for each way it can be set up: embedded defaults, and the real services."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from policy_service.bundled import bundled
from tests.fixtures.gateway import Gateway, deployment, start_gateway
from tests.fixtures.opa_server import start_opa
from tests.fixtures.postgres_server import start_postgres
from tests.fixtures.redis_server import start_redis
from tests.fixtures.served import EMBEDDINGS, SERVED

COMPANY = {
    "id": "acme",
    "allowed_models": ["*"],
    "departments": [
        {
            "id": "engineering",
            "teams": [
                {
                    "id": "search",
                    "limits": {"usd_per_month": 100, "requests_per_minute": 100000},
                    "keys": [{"name": "team", "user": "sam"}],
                },
                {
                    "id": "narrow",
                    "allowed_models": ["gpt-4o-mini"],
                    "keys": [{"name": "narrow"}],
                },
                {
                    "id": "slow",
                    "limits": {"requests_per_minute": 2},
                    "keys": [{"name": "slow"}],
                },
                {
                    "id": "poor",
                    "limits": {"usd_per_month": "0.000001"},
                    "keys": [{"name": "poor"}],
                    "consumers": [{"username": "batch-service"}],
                },
            ],
        }
    ],
}


def models(sandbox_url: str) -> dict[str, Any]:
    """An alias a provider, one with a fallback, and some that misbehave."""

    def alias(name: str, *deployments: dict[str, Any]) -> dict[str, Any]:
        return {"alias": name, "deployments": list(deployments)}

    def openai(model: str, **more: Any) -> dict[str, Any]:
        return deployment("openai", sandbox_url, model, **more)

    def anthropic(model: str, **more: Any) -> dict[str, Any]:
        return deployment("anthropic", sandbox_url, model, **more)

    return {
        "models": [
            *(
                alias(name, deployment(kind, sandbox_url, model, id=name, **more))
                for name, (kind, model, more) in SERVED.items()
            ),
            *(
                alias(
                    f"{kind}-embeddings",
                    deployment(kind, sandbox_url, model, operations=["embeddings"]),
                )
                for kind, model in EMBEDDINGS.items()
            ),
            alias(
                "instruct",
                openai("gpt-3.5-turbo-instruct", id="instruct", native_operations=["completions"]),
            ),
            alias(
                "with-fallback",
                openai("gpt-4o-mini--fault-503"),
                deployment("azure_openai", sandbox_url, "gpt-4o-mini"),
            ),
            alias("slow-openai", openai("gpt-4o-mini--pace-20")),
            alias("slow-anthropic", anthropic("claude-sonnet-4-5--pace-20")),
            alias("rate-limited", openai("gpt-4o-mini--fault-429-7")),
            alias("broken", openai("gpt-4o-mini--fault-500")),
            alias("overloaded", anthropic("claude-sonnet-4-5--fault-529")),
            alias("silent-about-usage", openai("gpt-4o-mini--fault-no_usage")),
            alias("nonsense", openai("gpt-4o-mini--fault-malformed_json")),
            alias("cut-off", openai("gpt-4o-mini--fault-cut_mid_stream-4")),
            alias(
                "unreachable",
                openai("gpt-4o-mini", id="nobody-there", base_url="http://127.0.0.1:9/v1"),
            ),
            alias("unpriced", openai("a-model-that-nobody-has-priced", price_model=None)),
        ]
    }


Start = Callable[..., Gateway]


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts gateways; all are stopped at the end of the session."""
    with ExitStack() as stack:

        def one(name: str, **options: Any) -> Gateway:
            options = {"company": COMPANY, "models": models, **options}
            return stack.enter_context(start_gateway(tmp_path_factory.mktemp(name), **options))

        yield one


@pytest.fixture(scope="session")
def embedded(start: Start) -> Gateway:
    """SQLite, limits in the process, the embedded policy engine."""
    return start("embedded")


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """PostgreSQL, Redis and an OPA server."""
    with start_postgres() as postgres, start_redis() as redis, start_opa(bundled("rego")) as opa:
        settings = {
            "POLICY_DATABASE_URL": postgres.create_database(),
            "POLICY_REDIS_URL": redis.url,
            "POLICY_OPA_URL": opa.url,
        }
        folder = tmp_path_factory.mktemp("full")
        with start_gateway(folder, company=COMPANY, models=models, settings=settings) as running:
            yield running


@pytest.fixture(params=["embedded", "full"])
def gateway(request: pytest.FixtureRequest) -> Gateway:
    """The same case on both."""
    running: Gateway = request.getfixturevalue(request.param)
    running.forget_calls()
    return running
