"""Two processes of the service on a real PostgreSQL and a real Redis, for each test its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.postgres_server import PostgresServer, start_postgres
from tests.fixtures.redis_group import RedisGroup, start_cluster, start_sentinels
from tests.fixtures.redis_server import RedisServer, start_redis
from tests.fixtures.service_group import ServiceGroup, start_services
from tests.integration.outages.load import LEASE_S, MODELS, PRICES, Books

CALL_TOKENS = 150
TIGHT_CALLS = 60


def _team(name: str, **limits: Any) -> dict[str, Any]:
    return {"id": name, "limits": limits, "keys": [{"name": name}]}


COMPANY = {
    "id": "acme",
    "allowed_models": ["*"],
    "limits": {"usd_per_month": 1000},
    "departments": [
        {
            "id": "engineering",
            "limits": {"usd_per_30_days": 1000, "usd_per_day": 1000},
            "teams": [
                _team("wide", usd_per_month=100, tokens_per_day=10**9, tokens_per_24_hours=10**9),
                _team("tight", tokens_per_day=TIGHT_CALLS * CALL_TOKENS),
                _team("shared", usd_per_month="0.02", requests_per_minute=100_000),
            ],
        }
    ],
}


@dataclass
class World:
    """Everything real."""

    services: ServiceGroup
    redis: RedisServer | RedisGroup
    postgres: PostgresServer

    @property
    def books(self) -> Books:
        """What the ledger and the counters say."""
        return Books(self.services, self.redis.url, self.postgres)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with start_postgres() as server:
        yield server


@pytest.fixture
def world(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer
) -> Iterator[World]:
    """A world of its own; its parameter, if any, says whether Redis keeps its data."""
    keeps_data: bool = getattr(request, "param", False)
    with (
        start_redis(keeps_data=keeps_data) as redis,
        _services(tmp_path, redis, postgres) as services,
    ):
        yield World(services, redis, postgres)


@pytest.fixture(params=[start_sentinels, start_cluster])
def replicated_world(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer
) -> Iterator[World]:
    """A world whose Redis has a replica."""
    with (
        request.param() as redis,
        _services(tmp_path, redis, postgres) as services,
    ):
        yield World(services, redis, postgres)


@contextmanager
def _services(
    tmp_path: Path, redis: RedisServer | RedisGroup, postgres: PostgresServer
) -> Iterator[ServiceGroup]:
    prices = tmp_path / "prices"
    prices.mkdir()
    (prices / "exact.yaml").write_text(PRICES)
    settings = {
        "POLICY_PRICES_DIR": str(prices),
        "POLICY_LEASE_S": str(LEASE_S),
        "POLICY_SWEEP_INTERVAL_S": "0.5",
    }
    with start_services(
        tmp_path / "services",
        count=2,
        postgres=postgres,
        redis=redis,
        companies=[COMPANY],
        models=MODELS,
        settings=settings,
    ) as services:
        yield services
