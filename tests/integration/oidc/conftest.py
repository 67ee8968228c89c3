"""A small issuer, and who verifies its tokens."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from policy_service.adapters.oidc import Issuer, OidcTokens
from tests.fixtures.oidc_issuer import IssuerServer, MovingClock, start_issuer

Verifying = Callable[..., OidcTokens]


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
async def issuer() -> AsyncIterator[IssuerServer]:
    async with start_issuer() as server:
        yield server


@pytest.fixture
async def verifying(issuer: IssuerServer, clock: MovingClock) -> AsyncIterator[Verifying]:
    """Makes verifiers: of the small issuer, set up as asked, or of others."""
    async with AsyncExitStack() as stack:

        def one(*others: Issuer, **options: object) -> OidcTokens:
            tokens = OidcTokens(others or (issuer.trusted(**options),), clock)
            stack.push_async_callback(tokens.close)
            return tokens

        yield one


@pytest.fixture
def tokens(verifying: Verifying) -> OidcTokens:
    return verifying()
