"""A policy service over each database, as the tests of the SQL adapters have them."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from policy_service.adapters.sql import schema
from policy_service.adapters.sql.engine import open_engine
from tests.fakes.running_service import Api, running_service
from tests.fixtures.postgres_server import PostgresServer
from tests.integration.costs.random_usage import filling, put
from tests.integration.sql.conftest import database_url, postgres_server

__all__ = ["database_url", "postgres_server"]
_KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)]


@pytest.fixture
async def api(tmp_path: Path, database_url: str) -> AsyncIterator[Api]:
    async with running_service(tmp_path, database_url=database_url) as running:
        yield running


@pytest.fixture(scope="session", params=_KINDS)
def filled_once(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database full of random calls, to be copied: to fill one takes longer than most tests."""
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('filled')}/gatehouse.db"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.create_database()
    asyncio.run(_fill(url))
    return url


async def _fill(url: str) -> None:
    await schema.migrate(url)
    engine = open_engine(url)
    await put(engine, filling(url))
    await engine.dispose()


@pytest.fixture
def filled_url(filled_once: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A database that has the calls of `filling`."""
    if not filled_once.startswith("sqlite"):
        server: PostgresServer = request.getfixturevalue("postgres_server")
        return server.create_database(like=filled_once)
    copied = shutil.copy(filled_once.partition("///")[2], tmp_path / "gatehouse.db")
    return f"sqlite+aiosqlite:///{copied}"


@pytest.fixture
async def filled_api(tmp_path: Path, filled_url: str) -> AsyncIterator[Api]:
    """A service over it."""
    async with running_service(tmp_path, database_url=filled_url) as running:
        yield running
