"""One policy service for the tests of a module: starting one takes a quarter of a second."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fakes.running_service import Api, running_service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_service(tmp_path_factory.mktemp("service")) as running:
        yield running
