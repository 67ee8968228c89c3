"""What all folders share: a server that takes long to start is started once."""

import functools
from collections.abc import Iterator

import pytest
from httpx._transports import default as httpx_transports

from tests.fixtures.both_gateways import embedded, full, gateway, start
from tests.fixtures.keycloak import Keycloak, start_keycloak

__all__ = ["embedded", "full", "gateway", "start"]

# A new client of httpx reads all authorities that a machine trusts, which takes 15 ms; tests make
# thousands of clients, and while they wait for a process some make one every 20 ms.
httpx_transports.create_ssl_context = functools.cache(httpx_transports.create_ssl_context)  # type: ignore[attr-defined, misc]


@pytest.fixture(scope="session")
def keycloak() -> Iterator[Keycloak]:
    """The one Keycloak of the session; who stops it or changes its realm puts it back."""
    with start_keycloak() as server:
        yield server
