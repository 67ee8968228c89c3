"""Both databases, as in `tests/integration/sql`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.postgres_server import PostgresServer, start_postgres
from tests.fixtures.redis_server import RedisServer, start_redis


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with start_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def kept_redis() -> Iterator[RedisServer]:
    """A Redis that has everything it was ever told on disk."""
    with start_redis(keeps_data=True) as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'gatehouse.db'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.create_database()
