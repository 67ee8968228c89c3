"""What all folders share: a server that takes long to start is started once."""

import functools
import os
from collections.abc import Iterator

import pytest
from httpx._transports import default as httpx_transports
from hypothesis import HealthCheck, settings

from tests.fixtures.both_gateways import embedded, full, gateway, start
from tests.fixtures.keycloak import Keycloak, start_keycloak

__all__ = ["embedded", "full", "gateway", "start"]

# Machines that build are shared: how long one example takes says nothing. In CI the examples are
# the same at every run; who works on the code gets others each time.
settings.register_profile(
    "gatehouse",
    deadline=None,
    derandomize="GATEHOUSE_REQUIRE_SERVICES" in os.environ,  # noqa: TID251
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("gatehouse")

# A new client of httpx reads all authorities that a machine trusts, which takes 15 ms; tests make
# thousands of clients, and while they wait for a process some make one every 20 ms.
httpx_transports.create_ssl_context = functools.cache(httpx_transports.create_ssl_context)  # type: ignore[attr-defined, misc]


@pytest.fixture(scope="session")
def keycloak() -> Iterator[Keycloak]:
    """The one Keycloak of the session; who stops it or changes its realm puts it back."""
    with start_keycloak() as server:
        yield server
