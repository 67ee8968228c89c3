"""Fixtures: a folder whose name is short enough for a Unix socket, and an upstream."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.devkong import harness


@pytest.fixture
def prefix() -> Iterator[Path]:
    with harness.short_folder() as folder:
        yield folder


@pytest.fixture
async def upstream() -> AsyncIterator[harness.Upstream]:
    async with harness.upstream() as running:
        yield running
