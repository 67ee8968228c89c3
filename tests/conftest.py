"""What all folders share: a server that takes long to start is started once."""

from collections.abc import Iterator

import pytest

from tests.fixtures.keycloak import Keycloak, start_keycloak


@pytest.fixture(scope="session")
def keycloak() -> Iterator[Keycloak]:
    """The one Keycloak of the session; who stops it or changes its realm puts it back."""
    with start_keycloak() as server:
        yield server
