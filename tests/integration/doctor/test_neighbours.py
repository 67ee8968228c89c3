"""What `gatehouse doctor` says of real neighbours: Redis, OPA and PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from policy_service.adapters.policy_bundle import load_bundle
from policy_service.adapters.sql import schema
from policy_service.cli.doctor.findings import Finding, State
from policy_service.cli.doctor.neighbours import database_findings, opa_findings, redis_findings
from policy_service.settings import Settings
from tests.fixtures.opa_server import start_opa_with
from tests.fixtures.postgres_server import PostgresServer

pytestmark = pytest.mark.integration
REGO = Path(__file__).parents[3] / "rego"


def settings(tmp_path: Path, **more: Any) -> Settings:
    return Settings.model_validate(
        {
            "internal_secret": "internal-0123456789abcdef",
            "ticket_secret": "ticket-0123456789abcdef",
            "models_file": tmp_path / "models.yaml",
            **more,
        }
    )


async def told(findings: AsyncIterator[Finding], state: State) -> list[str]:
    return [one.what for one in [each async for each in findings] if one.state is state]


@pytest.fixture
def evicting(redis_url: str) -> Iterator[str]:
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        yield redis_url
        client.config_set("maxmemory-policy", "noeviction")


async def test_a_redis_that_evicts_is_broken(tmp_path: Path, evicting: str) -> None:
    found = redis_findings(settings(tmp_path, redis_url=evicting))
    assert await told(found, State.BROKEN) == [
        "It evicts keys (maxmemory-policy allkeys-lru), counters among them."
    ]


async def test_a_redis_that_keeps_nothing_is_warned_of(tmp_path: Path, redis_url: str) -> None:
    of_redis = settings(tmp_path, redis_url=redis_url)
    assert await told(redis_findings(of_redis), State.BROKEN) == []
    assert "append-only" in (await told(redis_findings(of_redis), State.WARNING))[0]
    assert "Ours and Redis' agree." in await told(redis_findings(of_redis), State.GOOD)


async def test_an_opa_that_has_the_policy_is_good(tmp_path: Path) -> None:
    with start_opa_with(load_bundle(REGO)) as server:
        found = await told(opa_findings(settings(tmp_path, opa_url=server.url)), State.GOOD)
    assert found[0].startswith("It answers, revision ")


async def test_an_opa_without_a_policy_is_broken(tmp_path: Path) -> None:
    with start_opa_with(None) as server:
        found = await told(opa_findings(settings(tmp_path, opa_url=server.url)), State.BROKEN)
    assert len(found) == 1


async def test_a_postgresql_is_good_once_it_is_migrated(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    url = postgres_server.create_database()
    of_postgres = settings(tmp_path, database_url=url)
    assert await told(database_findings(of_postgres), State.BROKEN) == [
        "Its tables are not this version's."
    ]
    await schema.migrate(url)
    good = await told(database_findings(of_postgres), State.GOOD)
    assert good == [
        "PostgreSQL answers, and its tables are this version's.",
        "Ours and the database's agree.",
    ]
