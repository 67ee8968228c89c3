import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.limits import Limit, Measure, Raise
from llm_core.policy.roles import PLATFORM, Actor, Grant, Role
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.keys import ApiKeys
from policy_service.adapters.sql.organisation import Holder, Organisation, OrganisationError
from tests.integration.sql.usage_rows import NOW

ANNA = Actor("user:anna", "oidc")
TEAM_USD = Limit("team:search", Measure.USD_PER_MONTH, Decimal(200))


@pytest.fixture
async def organisation(engine: AsyncEngine) -> Organisation:
    """acme > research > search > ranking, in Berlin's time."""
    organisation = Organisation(engine, clock=lambda: NOW)
    await organisation.put_organisation("acme", time_zone="Europe/Berlin")
    await organisation.put_cost_centre("cc", organisation="acme")
    await organisation.put_model_group("frontier", organisation="acme", models=["large", "huge"])
    await organisation.put_department("research", organisation="acme", cost_centre="cc")
    await organisation.put_team("search", department="research")
    await organisation.put_project("ranking", team="search")
    await organisation.put_user("alice", organisation="acme", team="search", project="ranking")
    await organisation.put_application("ranker", team="search")
    return organisation


async def test_the_path_of_a_node_leads_to_its_organisation(
    engine: AsyncEngine, organisation: Organisation
):
    above = ("team:search", "department:research", "organisation:acme")
    issued = await ApiKeys(engine).issue_key("laptop", Holder("search", project="ranking"))
    await organisation.put_group("kong", "some folks", Holder("search"))
    await organisation.put_user("bob", organisation="acme")
    paths = {
        "organisation:acme": (),
        "department:research": ("organisation:acme",),
        "team:search": above[1:],
        "project:ranking": above,
        "user:alice": ("project:ranking", *above),
        "user:bob": ("organisation:acme",),
        "application:ranker": above,
        "group:kong some folks": above,
        f"key:{issued.record.id}": ("project:ranking", *above),
        "cost_centre:cc": ("organisation:acme",),
        "model_group:acme:frontier": ("organisation:acme",),
        PLATFORM: (),
    }
    for node, rest in paths.items():
        assert await organisation.path_of(node) == (node, *rest)


@pytest.mark.parametrize(
    "node",
    ["team:nobody", "organisation:x", "user:x", "key:x", "x:y", "", "team", "model_group:x:y"],
)
async def test_what_is_not_there_has_no_path(organisation: Organisation, node: str):
    with pytest.raises(OrganisationError):
        await organisation.path_of(node)


async def test_limits_are_complete(engine: AsyncEngine, organisation: Organisation):
    limits = (
        Limit(
            "team:search",
            Measure.TOKENS_PER_MINUTE,
            Decimal(1000),
            interactive_share=Decimal("0.3"),
        ),
        TEAM_USD,
        replace(TEAM_USD, scope="group:frontier", models=("large", "huge")),
        replace(TEAM_USD, scope="model:small", models=("small",)),
        Limit("user:only-keys-know-me", Measure.REQUESTS_PER_MINUTE, Decimal(5)),
    )
    for limit in limits:
        await organisation.put_limit(limit, ANNA)
    until = NOW + timedelta(days=3)
    await organisation.raise_limit(
        "team:search",
        "group:frontier",
        Measure.USD_PER_MONTH,
        Decimal(50),
        until=until,
        author=ANNA,
        reason="A launch",
    )
    found = await organisation.limits()
    expected = {replace(limit, time_zone="Europe/Berlin") for limit in limits}
    assert {replace(limit, raises=()) for limit in found} == expected
    raised = {limit.key: limit.raises for limit in found if limit.raises}
    assert raised == {"team:search:group:frontier:usd_per_month": (Raise(Decimal(50), NOW, until),)}
    # With a second organisation, whose node is whose has to be looked up.
    await organisation.put_organisation("other", time_zone="Asia/Tokyo")
    await organisation.put_limit(Limit("organisation:other", Measure.USD_PER_DAY, Decimal(1)), ANNA)
    zones = {limit.node: limit.time_zone for limit in await organisation.limits()}
    assert zones == {
        "team:search": "Europe/Berlin",
        "organisation:other": "Asia/Tokyo",
        "user:only-keys-know-me": "UTC",
    }


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"amount": Decimal(-1)}, "no amount"),
        ({"amount": Decimal("NaN")}, "no amount"),
        ({"amount": Decimal("Infinity")}, "no amount"),
        ({"amount": Decimal("1E+1000000")}, "no amount"),
        ({"amount": Decimal("0.0000001")}, "no amount"),
        ({"interactive_share": Decimal("1.1")}, "no share"),
        ({"scope": "group:unheard"}, "no model group 'unheard'"),
        ({"scope": "large"}, "no scope"),
        ({"scope": "model:"}, "no scope"),
        ({"node": "team:nobody"}, "does not exist"),
        ({"node": "cost_centre:cc"}, "has no limits"),
        ({"node": "planet:earth"}, "no kind of node"),
    ],
)
async def test_a_limit_that_makes_no_sense_is_refused(
    organisation: Organisation, changed: dict[str, object], says: str
):
    with pytest.raises(OrganisationError, match=says):
        await organisation.put_limit(replace(TEAM_USD, **changed), ANNA)  # type: ignore[arg-type]
    assert await organisation.limits() == ()


async def test_a_raise_holds_until_it_ends_or_is_withdrawn(
    engine: AsyncEngine, organisation: Organisation
):
    await organisation.put_limit(TEAM_USD)
    made = [
        await organisation.raise_limit(
            "team:search",
            "",
            Measure.USD_PER_MONTH,
            Decimal("12.5"),
            until=NOW + timedelta(days=days),
            author=ANNA,
            reason="A launch",
        )
        for days in (1, 2)
    ]
    assert await organisation.raises() == tuple(made)
    assert await organisation.raises("team:other") == ()
    assert await organisation.withdraw_raise(made[0].id, ANNA)
    assert not await organisation.withdraw_raise(made[0].id, ANNA)
    assert not await organisation.withdraw_raise("raise_x", ANNA)
    [limit] = await organisation.limits()
    assert [one.until for one in limit.raises] == [made[1].until]
    later = Organisation(engine, clock=lambda: NOW + timedelta(days=2))
    assert await later.raises() == ()
    assert (await later.limits())[0].raises == ()
    past = await later.raises("team:search", with_past=True)
    assert [one.withdrawn_at for one in past] == [NOW, None]
    assert await organisation.find_raise(made[1].id) == made[1]
    entries = await AuditLog(engine).entries(subject="limit:team:search:usd_per_month", limit=4)
    assert [one.action for one in entries] == [
        "limit.withdraw",
        "limit.raise",
        "limit.raise",
        "limit.add",
    ]
    assert (entries[1].actor, (entries[1].after or {})["reason"]) == ("user:anna", "A launch")


@pytest.mark.parametrize(
    ("amount", "days", "reason", "measure"),
    [
        ("0", 1, "why", Measure.USD_PER_MONTH),
        ("-1", 1, "why", Measure.USD_PER_MONTH),
        ("NaN", 1, "why", Measure.USD_PER_MONTH),
        ("1", 0, "why", Measure.USD_PER_MONTH),
        ("1", 367, "why", Measure.USD_PER_MONTH),
        ("1", 1, " ", Measure.USD_PER_MONTH),
        ("1", 1, "why", Measure.USD_PER_DAY),
    ],
)
async def test_a_raise_that_makes_no_sense_is_refused(
    organisation: Organisation, amount: str, days: int, reason: str, measure: Measure
):
    await organisation.put_limit(TEAM_USD)
    with pytest.raises(OrganisationError):
        await organisation.raise_limit(
            "team:search",
            "",
            measure,
            Decimal(amount),
            until=NOW + timedelta(days=days),
            author=ANNA,
            reason=reason,
        )
    assert await organisation.raises(with_past=True) == ()


async def test_a_lifted_limit_takes_its_raises_along(organisation: Organisation):
    await organisation.put_limit(TEAM_USD)
    await organisation.raise_limit(
        "team:search",
        "",
        Measure.USD_PER_MONTH,
        Decimal(1),
        until=NOW + timedelta(days=1),
        author=ANNA,
        reason="why",
    )
    assert await organisation.remove_limit("team:search", Measure.USD_PER_MONTH, actor=ANNA)
    assert not await organisation.remove_limit("team:search", Measure.USD_PER_MONTH, actor=ANNA)
    assert (await organisation.limits(), await organisation.raises()) == ((), ())


async def test_what_is_put_as_it_was_leaves_no_trace(
    engine: AsyncEngine, organisation: Organisation
):
    await organisation.put_limit(TEAM_USD)
    before = await AuditLog(engine).entries(limit=1)
    await organisation.put_limit(TEAM_USD)
    await organisation.put_team("search", department="research")
    await organisation.put_model_group("frontier", organisation="acme", models=["large", "huge"])
    assert await AuditLog(engine).entries(limit=1) == before


async def test_a_team_goes_with_all_below_it_and_its_keys_are_closed(
    engine: AsyncEngine, organisation: Organisation
):
    keys = ApiKeys(engine)
    await keys.issue_key("one", Holder("search"), limits={Measure.USD_PER_DAY: Decimal(1)})
    await organisation.bind_consumer(Holder("search"), username="svc")
    await organisation.put_limit(TEAM_USD)
    assert await organisation.grant(Role.TEAM_OWNER, "team:search", "user:alice", ANNA)
    changes = await organisation.remove("team:search", ANNA)
    assert {(change.kind.value, change.subject) for change in changes} == {
        ("change", "user:alice"),
        ("remove", "team:search"),
        ("remove", "project:ranking"),
        ("remove", "application:ranker"),
        ("remove", "consumer:username=svc"),
        ("remove", "key:search:one"),
        ("remove", "limit:key:search:one:usd_per_day"),
        ("remove", "limit:team:search:usd_per_month"),
        ("remove", "role:team_owner@team:search user:alice"),
    }
    assert await organisation.find("user:alice") == {
        "organisation": "acme",
        "name": "alice",
        "email": None,
        "subject": None,
        "team": None,
        "project": None,
        "clearance": None,
        "is_active": True,
    }
    assert await organisation.remove("team:search", ANNA) == ()
    assert await organisation.limits() == ()


async def test_who_comes_by_a_name_later_does_not_find_old_roles(organisation: Organisation):
    await organisation.grant(Role.PLATFORM_ADMIN, PLATFORM, "user:alice", ANNA)
    await organisation.grant(Role.AUDITOR, "organisation:acme", "user:alice", ANNA)
    assert set(await organisation.grants_of("user:alice")) == {
        Grant(Role.AUDITOR, "organisation:acme"),
        Grant(Role.PLATFORM_ADMIN, PLATFORM),
    }
    await organisation.remove("user:alice", ANNA)
    await organisation.put_user("alice", organisation="acme")
    assert await organisation.grants_of("user:alice") == ()


async def test_roles_are_given_once_and_taken_once(organisation: Organisation):
    given = (Role.TEAM_OWNER, "team:search", "group:leads", ANNA)
    assert await organisation.grant(*given)
    assert not await organisation.grant(*given)
    assert await organisation.take(*given)
    assert not await organisation.take(*given)
    for role, node, subject in (
        (Role.PLATFORM_ADMIN, "team:search", "user:alice"),
        (Role.MEMBER, "team:nobody", "user:alice"),
        (Role.MEMBER, "user:alice", "user:alice"),
        (Role.MEMBER, "team:search", "user:nobody"),
        (Role.MEMBER, "team:search", "planet:earth"),
    ):
        with pytest.raises(OrganisationError):
            await organisation.grant(role, node, subject, ANNA)


@pytest.mark.parametrize(
    ("subject", "record"),
    [
        ("team:x", {"department": "nowhere"}),
        ("team:x", {}),
        ("team:x", {"department": "research", "colour": "red"}),
        ("team:x", {"department": "research", "allowed_models": "small"}),
        ("team:x", {"department": "research", "name": 5}),
        ("team:x", {"department": "research", "name": "x" * 201}),
        ("team:x:y", {"department": "research"}),
        ("team:", {"department": "research"}),
        ("team:" + "x" * 121, {"department": "research"}),
        ("team:x", {"department": "research", "cost_centre": "nowhere"}),
        ("organisation:x", {"time_zone": "Mars/Base"}),
        ("user:x", {"organisation": "acme", "team": "search", "project": "nowhere"}),
        ("user:x", {"organisation": "acme", "project": "ranking"}),
        ("user:x", {"organisation": "acme", "is_active": "yes"}),
        ("model_group:other:x", {"organisation": "acme", "models": []}),
        ("limit:x", {}),
        ("key:x", {}),
        ("planet:earth", {}),
    ],
)
async def test_a_part_that_makes_no_sense_is_refused(
    engine: AsyncEngine, organisation: Organisation, subject: str, record: dict[str, object]
):
    before = await AuditLog(engine).entries(limit=1)
    with pytest.raises(OrganisationError):
        await organisation.put(subject, record, ANNA)
    assert await AuditLog(engine).entries(limit=1) == before


async def test_a_model_group_stays_while_limits_speak_of_it(organisation: Organisation):
    await organisation.put_limit(replace(TEAM_USD, scope="group:frontier"))
    with pytest.raises(OrganisationError, match="speaks of the model group 'frontier'"):
        await organisation.remove("model_group:acme:frontier", ANNA)
    await organisation.remove_limit("team:search", Measure.USD_PER_MONTH, "group:frontier")
    assert len(await organisation.remove("model_group:acme:frontier", ANNA)) == 1


async def test_parts_can_be_had_of_some_nodes_only(organisation: Organisation):
    whole = dict(await organisation.parts())
    assert {"organisation:acme", "team:search", "user:alice", "cost_centre:cc"} <= set(whole)
    below = await organisation.parts(within={"team:search"})
    assert [subject for subject, _ in below] == [
        "team:search",
        "project:ranking",
        "user:alice",
        "application:ranker",
    ]
    assert await organisation.parts("nobody") == ()


async def test_parts_put_at_once_are_all_there(organisation: Organisation):
    await asyncio.gather(
        *(organisation.put_team(f"team-{index}", department="research") for index in range(8))
    )
    teams = [one for one, _ in await organisation.parts() if one.startswith("team:")]
    assert len(teams) == 9
