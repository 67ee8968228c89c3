"""A PostgreSQL and a Redis for the module's tests; services are started by each test."""

from collections.abc import Iterator

import pytest

from tests.fixtures.postgres_server import PostgresServer, start_postgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with start_postgres() as server:
        yield server
