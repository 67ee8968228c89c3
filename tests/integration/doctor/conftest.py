"""A PostgreSQL for the doctor to look at."""

from collections.abc import Iterator

import pytest

from tests.fixtures.postgres_server import PostgresServer, start_postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with start_postgres() as server:
        yield server
