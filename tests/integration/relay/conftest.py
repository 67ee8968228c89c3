"""The sandbox, once for all tests of the relay."""

from collections.abc import Iterator

import pytest

from sandbox.server import running
from sandbox.settings import SandboxSettings


@pytest.fixture(scope="session")
def sandbox_url() -> Iterator[str]:
    with running(SandboxSettings(most_calls=5000)) as url:
        yield url
