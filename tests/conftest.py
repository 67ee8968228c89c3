"""What all folders share: a server that takes long to start is started once."""

from collections.abc import Iterator

import pytest

from tests.fixtures.both_gateways import embedded, full, gateway, start
from tests.fixtures.keycloak import Keycloak, start_keycloak

__all__ = ["embedded", "full", "gateway", "start"]


@pytest.fixture(scope="session")
def keycloak() -> Iterator[Keycloak]:
    """The one Keycloak of the session; who stops it or changes its realm puts it back."""
    with start_keycloak() as server:
        yield server
