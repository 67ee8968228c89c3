"""The same against Keycloak, as companies run it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from llm_core.errors import PolicyUnavailable
from llm_core.policy.claims import ClaimNames, Claims
from policy_service.adapters.oidc import Issuer, OidcTokens
from policy_service.adapters.oidc.issuers import discovery_url
from policy_service.ports.callers import Unknown
from policy_service.ports.tokens import NotProven
from tests.fixtures.keycloak import Keycloak

pytestmark = pytest.mark.integration

Verifying = Callable[..., OidcTokens]


@pytest.fixture
def entry(keycloak: Keycloak) -> Issuer:
    return Issuer(
        issuer=keycloak.issuer,
        audience=(keycloak.audience,),
        discovery_url=discovery_url(keycloak.issuer),
        claims=ClaimNames(user="preferred_username", application="client_id"),
        allow_http=True,
    )


@pytest.fixture
async def verifying(entry: Issuer) -> AsyncIterator[Verifying]:
    async with AsyncExitStack() as stack:

        def one(*, later: timedelta = timedelta(0), **options: object) -> OidcTokens:
            tokens = OidcTokens(
                (replace(entry, **options),),  # type: ignore[arg-type]
                lambda: datetime.now(UTC) + later,
            )
            stack.push_async_callback(tokens.close)
            return tokens

        yield one


async def test_alices_token_says_who_she_is(keycloak: Keycloak, verifying: Verifying) -> None:
    found = await verifying().verify(keycloak.token("alice"))
    assert isinstance(found, Claims)
    assert (found.user, found.team, found.email) == ("alice", "search", "alice@acme.example")
    assert (found.groups, found.roles) == (("/data-science",), ("team_owner",))
    assert (found.issuer, found.application) == (keycloak.issuer, None)
    assert found.expires_at > datetime.now(UTC)


async def test_bobs_token_is_good_and_names_no_team(
    keycloak: Keycloak, verifying: Verifying
) -> None:
    found = await verifying().verify(keycloak.token("bob", client="gatehouse-cli"))
    assert isinstance(found, Claims)
    assert (found.user, found.team, found.groups) == ("bob", None, ())


async def test_a_service_accounts_token_names_its_application(
    keycloak: Keycloak, verifying: Verifying
) -> None:
    found = await verifying().verify(keycloak.service_token())
    assert isinstance(found, Claims)
    assert (found.application, found.team) == ("gatehouse-api", None)


async def test_roles_can_come_from_a_nested_claim(keycloak: Keycloak, verifying: Verifying) -> None:
    tokens = verifying(claims=ClaimNames(roles="realm_access.roles"))
    found = await tokens.verify(keycloak.token("carol"))
    assert isinstance(found, Claims)
    assert found.roles == ("platform_admin",)


async def test_a_token_for_an_other_audience_is_refused(
    keycloak: Keycloak, verifying: Verifying
) -> None:
    found = await verifying(audience=("payroll",)).verify(keycloak.token("alice"))
    assert isinstance(found, NotProven)
    assert found.why is Unknown.NO_PROOF


async def test_a_refresh_token_is_no_access_token(keycloak: Keycloak, verifying: Verifying) -> None:
    refresh = keycloak.tokens("alice")["refresh_token"]
    found = await verifying().verify(refresh)
    assert isinstance(found, NotProven)
    assert found.why is Unknown.NO_PROOF


async def test_an_expired_token_is_told_apart(keycloak: Keycloak, verifying: Verifying) -> None:
    found = await verifying(later=timedelta(hours=1)).verify(keycloak.token("alice"))
    assert isinstance(found, NotProven)
    assert found.why is Unknown.EXPIRED


async def test_a_token_from_the_future_is_told_apart(
    keycloak: Keycloak, verifying: Verifying
) -> None:
    found = await verifying(later=timedelta(hours=-1)).verify(keycloak.token("alice"))
    assert isinstance(found, NotProven)
    assert found.why is Unknown.NOT_YET_VALID


async def test_the_master_realm_is_another_issuer(keycloak: Keycloak, verifying: Verifying) -> None:
    tokens = verifying(issuer=f"{keycloak.url}/realms/master")
    found = await tokens.verify(keycloak.token("alice"))
    assert isinstance(found, NotProven)


async def test_when_keys_rotate_both_are_good_and_the_old_one_goes_with_its_key(
    keycloak: Keycloak, verifying: Verifying
) -> None:
    tokens = verifying(refresh_s=0.2)
    old = keycloak.token("alice")
    task = asyncio.create_task(tokens.run())
    try:
        assert isinstance(await tokens.verify(old), Claims)
        keycloak.rotate_keys()
        new = keycloak.token("alice")
        assert isinstance(await tokens.verify(new), Claims)
        assert isinstance(await tokens.verify(old), Claims)
        keycloak.drop_old_keys()
        async with asyncio.timeout(60):
            while True:
                if isinstance(await tokens.verify(old), NotProven):
                    break
                await asyncio.sleep(0.05)
        assert isinstance(await tokens.verify(new), Claims)
    finally:
        task.cancel()


async def test_keycloak_away_and_back_again(keycloak: Keycloak, verifying: Verifying) -> None:
    knows, starts_without = verifying(), verifying()
    token = keycloak.token("alice")
    assert isinstance(await knows.verify(token), Claims)
    task = asyncio.create_task(starts_without.run())
    try:
        with keycloak.stopped():
            assert isinstance(await knows.verify(token), Claims)
            with pytest.raises(PolicyUnavailable):
                await starts_without.verify(token)
        async with asyncio.timeout(180):
            while True:
                try:
                    assert isinstance(await starts_without.verify(token), Claims)
                    break
                except PolicyUnavailable:
                    await asyncio.sleep(0.1)
    finally:
        task.cancel()
