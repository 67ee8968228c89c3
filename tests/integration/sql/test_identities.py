"""Whom a token's claims, or the groups that Kong knows, stand for."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.caller import Caller, ProofOfIdentity
from llm_core.policy.claims import Claims
from llm_core.policy.limits import Limit, Measure
from policy_service.adapters.sql.callers import SqlCallers
from policy_service.adapters.sql.organisation import Holder, Organisation
from policy_service.ports.callers import Identified, Unknown
from tests.integration.sql.usage_rows import NOW

ISSUER = "https://id.acme.test/realms/acme"
CLAIMS = Claims(ISSUER, "sub-1", NOW + timedelta(minutes=5), is_home=True)


@pytest.fixture
async def organisation(engine: AsyncEngine) -> Organisation:
    organisation = Organisation(engine, clock=lambda: NOW)
    await organisation.put_organisation("acme", allowed_models=["*"])
    await organisation.put_department("research", organisation="acme")
    for team in ("search", "vision"):
        await organisation.put_team(team, department="research")
    await organisation.put_project("ranking", team="search")
    await organisation.put_organisation("other")
    await organisation.put_department("far", organisation="other")
    await organisation.put_team("away", department="far")
    return organisation


@pytest.fixture
def callers(engine: AsyncEngine, organisation: Organisation) -> SqlCallers:
    return SqlCallers(engine, clock=lambda: NOW)


def known(found: Identified | Unknown) -> Caller:
    assert isinstance(found, Identified)
    return found.caller


@pytest.mark.parametrize(
    "claims",
    [
        CLAIMS,
        replace(CLAIMS, subject="2", user="alice"),
        replace(CLAIMS, subject="2", email="alice@acme.test"),
    ],
    ids=["subject", "our own id", "address"],
)
async def test_a_user_of_ours_stands_where_the_database_says_whatever_the_token_says(
    organisation: Organisation, callers: SqlCallers, claims: Claims
) -> None:
    await organisation.put_user(
        "alice",
        organisation="acme",
        email="alice@acme.test",
        subject="sub-1",
        team="search",
        clearance="internal",
    )
    await organisation.put_limit(Limit("user:alice", Measure.TOKENS_PER_DAY, Decimal(9)))
    claims = replace(
        claims,
        team="vision",
        project="ranking",
        clearance="top-secret",
        roles=("developer",),
        groups=("eu",),
    )
    found = await callers.by_claims(claims)
    caller = known(found)
    assert (caller.team, caller.project, caller.user) == ("search", "ranking", "alice")
    assert caller.clearance == "internal"
    assert (caller.roles, caller.groups) == (("developer",), ("eu",))
    assert caller.proof is ProofOfIdentity.OIDC
    assert [limit.node for limit in caller.limits] == ["user:alice"]
    assert isinstance(found, Identified)
    assert found.valid_until == CLAIMS.expires_at


async def test_a_subject_with_its_issuer_goes_before_the_same_subject_of_anybody(
    organisation: Organisation, callers: SqlCallers
) -> None:
    await organisation.put_user("plain", organisation="acme", subject="sub-1", team="search")
    await organisation.put_user(
        "ours", organisation="acme", subject=f"{ISSUER}#sub-1", team="vision"
    )
    assert known(await callers.by_claims(CLAIMS)).user == "ours"
    elsewhere = replace(CLAIMS, issuer="https://elsewhere.test")
    assert known(await callers.by_claims(elsewhere)).user == "plain"


async def test_an_issuer_that_is_not_the_companys_home_speaks_of_its_own_people_only(
    organisation: Organisation, callers: SqlCallers
) -> None:
    """Else it could sign itself in as anybody, by a subject, an id or an address of its choice."""
    await organisation.put_user(
        "alice", organisation="acme", email="alice@acme.test", subject="sub-1", team="search"
    )
    await organisation.put_application("ranker", team="search")
    guest = replace(CLAIMS, issuer="https://guest.test", is_home=False)
    for claims in (
        guest,
        replace(guest, subject="2", user="alice"),
        replace(guest, subject="2", email="alice@acme.test"),
        replace(guest, application="ranker"),
    ):
        assert await callers.by_claims(claims) is Unknown.UNPLACED
    placed = known(await callers.by_claims(replace(guest, user="alice", team="vision")))
    assert (placed.team, placed.user) == ("vision", "https://guest.test#sub-1")
    assert placed.application is None
    await organisation.put_user(
        "gus", organisation="acme", subject="https://guest.test#sub-1", team="vision"
    )
    assert known(await callers.by_claims(guest)).user == "gus"


async def test_an_application_of_ours_is_one_and_a_switched_off_one_is_none(
    organisation: Organisation, callers: SqlCallers
) -> None:
    await organisation.put_application("ranker", team="search", project="ranking")
    claims = replace(CLAIMS, application="ranker", user="service-account-ranker")
    caller = known(await callers.by_claims(claims))
    assert (caller.team, caller.project) == ("search", "ranking")
    assert (caller.application, caller.user) == ("ranker", None)
    await organisation.put_application("ranker", team="search", is_active=False)
    assert await callers.by_claims(claims) is Unknown.INACTIVE


async def test_a_switched_off_user_is_inactive_whatever_else_the_token_says(
    organisation: Organisation, callers: SqlCallers
) -> None:
    await organisation.put_user("alice", organisation="acme", subject="sub-1", is_active=False)
    assert await callers.by_claims(replace(CLAIMS, team="search")) is Unknown.INACTIVE


async def test_without_a_user_of_ours_the_team_that_the_claims_name_counts_if_it_exists(
    callers: SqlCallers,
) -> None:
    caller = known(await callers.by_claims(replace(CLAIMS, team="search", user="carol")))
    assert (caller.team, caller.project, caller.user) == ("search", None, "carol")
    by_project = known(await callers.by_claims(replace(CLAIMS, project="ranking")))
    assert (by_project.team, by_project.project, by_project.user) == ("search", "ranking", "sub-1")
    of_another = known(await callers.by_claims(replace(CLAIMS, team="vision", project="ranking")))
    assert (of_another.team, of_another.project) == ("vision", None)
    assert await callers.by_claims(replace(CLAIMS, team="nobody")) is Unknown.UNPLACED
    assert await callers.by_claims(CLAIMS) is Unknown.UNPLACED


async def test_another_companys_team_is_no_place_for_ours(
    organisation: Organisation, callers: SqlCallers
) -> None:
    await organisation.put_user("alice", organisation="acme", subject="sub-1")
    await organisation.put_group(ISSUER, "wanderers", Holder("away"))
    claims = replace(CLAIMS, team="away", groups=("wanderers",))
    assert await callers.by_claims(claims) is Unknown.UNPLACED


async def test_the_first_bound_group_by_name_places_whom_nothing_else_does(
    organisation: Organisation, callers: SqlCallers
) -> None:
    await organisation.put_group(
        ISSUER,
        "b-team",
        Holder("vision", roles=("seer",), clearance="internal", allowed_models=("small",)),
    )
    await organisation.put_group(ISSUER, "c-team", Holder("search"))
    await organisation.put_group("https://elsewhere.test", "a-team", Holder("search"))
    claims = replace(CLAIMS, groups=("c-team", "b-team", "a-team"), roles=("developer",))
    caller = known(await callers.by_claims(claims))
    assert (caller.team, caller.roles) == ("vision", ("developer", "seer"))
    assert (caller.clearance, caller.allowed_models) == ("internal", ("small",))
    assert caller.groups == claims.groups


async def test_kongs_groups_place_a_consumer_that_nobody_bound(
    organisation: Organisation, callers: SqlCallers
) -> None:
    await organisation.put_group("kong", "staff", Holder("search", roles=("developer",)))
    await organisation.put_group(ISSUER, "admins", Holder("vision"))
    groups = ("staff", "admins")
    found = await callers.by_consumer(username="web", custom_id=None, groups=groups)
    caller = known(found)
    assert (caller.team, caller.roles, caller.user) == ("search", ("developer",), None)
    assert caller.proof is ProofOfIdentity.KONG_CONSUMER
    other = await callers.by_consumer(username=None, custom_id=None, groups=["admins"])
    assert other is Unknown.UNPLACED
    await organisation.bind_consumer(Holder("vision", groups=("eu",)), username="web")
    bound = known(await callers.by_consumer(username="web", custom_id=None, groups=groups))
    assert (bound.team, bound.groups) == ("vision", ("eu", "staff", "admins"))


async def test_a_consumer_of_a_switched_off_user_is_inactive_though_its_groups_are_bound(
    organisation: Organisation, callers: SqlCallers
) -> None:
    await organisation.put_user("alice", organisation="acme", is_active=False)
    await organisation.bind_consumer(Holder("search", user="alice"), username="web")
    await organisation.put_group("kong", "staff", Holder("search"))
    found = await callers.by_consumer(username="web", custom_id=None, groups=["staff"])
    assert found is Unknown.INACTIVE
