"""A policy service over each database, as the tests of the SQL adapters have them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.running_service import Api, running_service
from tests.integration.sql.conftest import database_url, postgres_server

__all__ = ["database_url", "postgres_server"]


@pytest.fixture
async def api(tmp_path: Path, database_url: str) -> AsyncIterator[Api]:
    async with running_service(tmp_path, database_url=database_url) as running:
        yield running
