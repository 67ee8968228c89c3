import asyncio
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.caller import Caller, ProofOfIdentity
from llm_core.policy.limits import Limit, Measure
from policy_service.adapters.sql.callers import SqlCallers
from policy_service.adapters.sql.engine import reading
from policy_service.adapters.sql.keys import ApiKeys
from policy_service.adapters.sql.organisation import Holder, Organisation, OrganisationError
from policy_service.adapters.sql.tables import Base
from policy_service.keys import new_key
from policy_service.ports.callers import Identified, Unknown
from tests.integration.sql.usage_rows import NOW


@pytest.fixture
async def organisation(engine: AsyncEngine) -> Organisation:
    """acme > research > search > ranking, where everything may use everything."""
    organisation = Organisation(engine, clock=lambda: NOW)
    await organisation.put_organisation("acme", allowed_models=["*"])
    await organisation.put_department("research", organisation="acme")
    await organisation.put_team("search", department="research")
    await organisation.put_project("ranking", team="search")
    return organisation


@pytest.fixture
def keys(engine: AsyncEngine) -> ApiKeys:
    return ApiKeys(engine, clock=lambda: NOW)


@pytest.fixture
def callers(engine: AsyncEngine) -> SqlCallers:
    return SqlCallers(engine, clock=lambda: NOW)


def known(found: Identified | Unknown) -> Caller:
    assert isinstance(found, Identified)
    return found.caller


async def caller_of(callers: SqlCallers, text: str) -> Caller:
    return known(await callers.by_key(text))


async def test_a_key_leads_to_its_caller(
    organisation: Organisation, keys: ApiKeys, callers: SqlCallers
):
    holder = Holder(
        team="search",
        project="ranking",
        user="alice",
        application="ranker",
        roles=("developer", "approver"),
        groups=("eu",),
        clearance="internal",
        allowed_models=("small",),
    )
    issued = await keys.issue_key("laptop", holder)
    assert await caller_of(callers, issued.text) == Caller(
        organisation="acme",
        department="research",
        team="search",
        proof=ProofOfIdentity.API_KEY,
        project="ranking",
        user="alice",
        application="ranker",
        key_id=issued.record.id,
        roles=("developer", "approver"),
        groups=("eu",),
        clearance="internal",
        allowed_models=("small",),
    )


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", Unknown.UNKNOWN),
        ("gk-" + "0" * 43, Unknown.UNKNOWN),
        pytest.param(new_key(), Unknown.UNKNOWN, id="never issued"),
        ("x" * 100_000, Unknown.UNKNOWN),
        ("\x00", Unknown.UNKNOWN),
        ("\udc00", Unknown.UNKNOWN),
        ("'", Unknown.UNKNOWN),
        ("gk-", Unknown.MISTYPED),
        ("gk-" + "0" * 49, Unknown.MISTYPED),
        ("gk-\udc00", Unknown.MISTYPED),
    ],
)
async def test_what_is_no_key_leads_to_nobody(
    organisation: Organisation, keys: ApiKeys, callers: SqlCallers, key: str, why: Unknown
):
    await keys.issue_key("laptop", Holder("search"))
    assert await callers.by_key(key) is why


async def test_a_revoked_key_leads_to_nobody(
    organisation: Organisation, keys: ApiKeys, callers: SqlCallers
):
    issued = await keys.issue_key("laptop", Holder("search"))
    other = await keys.issue_key("other", Holder("search"))
    assert await keys.revoke_key(issued.record.id)
    assert await callers.by_key(issued.text) is Unknown.REVOKED
    assert isinstance(await callers.by_key(other.text), Identified)
    assert not await keys.revoke_key(issued.record.id)
    assert [key.revoked_at for key in await keys.list_keys()] == [NOW, None]


async def test_a_key_expires_at_its_moment(
    engine: AsyncEngine, organisation: Organisation, keys: ApiKeys
):
    issued = await keys.issue_key("laptop", Holder("search"), expires_at=NOW)
    just_before = SqlCallers(engine, clock=lambda: NOW - timedelta(microseconds=1))
    found = await just_before.by_key(issued.text)
    assert isinstance(found, Identified)
    assert found.valid_until == NOW
    assert await SqlCallers(engine, clock=lambda: NOW).by_key(issued.text) is Unknown.EXPIRED


async def test_the_text_of_a_key_is_nowhere_in_the_database(
    engine: AsyncEngine, organisation: Organisation, keys: ApiKeys
):
    issued = await keys.issue_key("laptop", Holder("search"))
    async with reading(engine) as connection:
        rows = (await connection.execute(select(Base.metadata.tables["api_keys"]))).all()
    assert issued.text not in repr(rows)
    assert issued.text[11:] not in repr(rows)
    assert issued.text not in repr(issued)
    assert await keys.list_keys(team="search") == (issued.record,)
    assert await keys.list_keys(team="other") == ()


async def test_what_every_level_allows_is_what_is_allowed(
    organisation: Organisation, keys: ApiKeys, callers: SqlCallers
):
    await organisation.put_organisation("acme", allowed_models=["small", "large", "huge"])
    await organisation.put_team("search", department="research", allowed_models=["huge", "large"])
    issued = await keys.issue_key(
        "laptop", Holder("search", project="ranking", allowed_models=("large", "small", "other"))
    )

    async def allowed() -> Sequence[str] | None:
        return (await caller_of(callers, issued.text)).allowed_models

    assert await allowed() == ("large",)
    await organisation.put_project("ranking", team="search", allowed_models=[])
    assert await allowed() == ()


async def test_where_no_level_has_a_word_nothing_is_allowed(
    organisation: Organisation, keys: ApiKeys, callers: SqlCallers
):
    await organisation.put_organisation("acme", allowed_models=None)
    issued = await keys.issue_key("laptop", Holder("search"))
    caller = await caller_of(callers, issued.text)
    assert caller.allowed_models == ()


async def test_limits_come_from_the_organisation_down_to_the_key(
    organisation: Organisation, keys: ApiKeys, callers: SqlCallers
):
    issued = await keys.issue_key(
        "laptop",
        Holder("search", project="ranking", user="alice"),
        limits={Measure.USD_PER_MONTH: Decimal("0.000001")},
    )
    key = f"key:{issued.record.id}"
    nodes = ["user:alice", "project:ranking", "team:search", "department:research"]
    for node in [*nodes, "organisation:acme"]:
        await organisation.put_limit(Limit(node, Measure.USD_PER_MONTH, Decimal("10.5")))
    await organisation.put_limit(Limit("user:alice", Measure.REQUESTS_PER_MINUTE, Decimal(7)))
    await organisation.put_limit(Limit("user:bob", Measure.REQUESTS_PER_MINUTE, Decimal(1)))
    caller = await caller_of(callers, issued.text)
    assert [limit.key for limit in caller.limits] == [
        "organisation:acme:usd_per_month",
        "department:research:usd_per_month",
        "team:search:usd_per_month",
        "project:ranking:usd_per_month",
        "user:alice:requests_per_minute",
        "user:alice:usd_per_month",
        f"{key}:usd_per_month",
    ]
    assert caller.limits[0].amount == Decimal("10.5")
    assert caller.limits[-1].amount == Decimal("0.000001")


async def test_a_limit_can_be_changed_and_lifted(organisation: Organisation):
    limit = Limit("team:search", Measure.USD_PER_MONTH, Decimal("999999999999.999999"))
    await organisation.put_limit(Limit(limit.node, limit.measure, Decimal(1)))
    await organisation.put_limit(limit)
    assert await organisation.limits() == (limit,)
    assert await organisation.remove_limit(limit.node, limit.measure)
    assert not await organisation.remove_limit(limit.node, limit.measure)
    assert await organisation.limits() == ()


async def test_administrators_who_change_things_at_once_wait_for_each_other(
    organisation: Organisation,
):
    """On SQLite, two who read first and write afterwards would both fail."""
    await asyncio.gather(
        *(
            organisation.put_limit(Limit("team:search", Measure.USD_PER_MONTH, Decimal(n)))
            for n in range(20)
        )
    )
    assert len(await organisation.limits()) == 1


@pytest.mark.parametrize(
    ("node", "amount"),
    [
        ("team:nobody", "1"),
        ("project:search", "1"),
        ("planet:earth", "1"),
        ("team:", "1"),
        ("search", "1"),
        ("team:search", "-1"),
        ("team:search", "0.0000001"),
        ("team:search", "1000000000000"),
        ("team:search", "1E+40"),
        ("team:search", "NaN"),
        ("team:search", "Infinity"),
    ],
)
async def test_a_limit_that_makes_no_sense_is_refused(
    organisation: Organisation, node: str, amount: str
):
    with pytest.raises(OrganisationError):
        await organisation.put_limit(Limit(node, Measure.USD_PER_MONTH, Decimal(amount)))
    assert await organisation.limits() == ()


async def test_a_key_cannot_name_a_project_of_another_team(
    organisation: Organisation, keys: ApiKeys
):
    await organisation.put_team("ads", department="research")
    with pytest.raises(OrganisationError, match="has no project"):
        await keys.issue_key("laptop", Holder("ads", project="ranking"))
    with pytest.raises(OrganisationError, match="does not exist"):
        await keys.issue_key("laptop", Holder("nobody"))
    assert await keys.list_keys() == ()


@pytest.mark.parametrize("unit", ["", " a", "a:b", "a\n", "x" * 121])
async def test_an_id_that_could_not_stand_in_a_node_is_refused(
    organisation: Organisation, unit: str
):
    with pytest.raises(OrganisationError, match="is no id"):
        await organisation.put_team(unit, department="research")


async def test_a_unit_below_one_that_does_not_exist_is_refused(organisation: Organisation):
    with pytest.raises(OrganisationError, match="department 'nobody' does not exist"):
        await organisation.put_team("x", department="nobody")


async def test_a_kong_consumer_leads_to_its_caller_and_its_custom_id_wins(
    organisation: Organisation, callers: SqlCallers
):
    await organisation.bind_consumer(Holder("search", user="by-name"), username="web")
    await organisation.bind_consumer(Holder("search", project="ranking"), custom_id="42")
    by_name = known(await callers.by_consumer(username="web", custom_id=None))
    by_custom_id = known(await callers.by_consumer(username="web", custom_id="42"))
    assert (by_name.user, by_name.project, by_name.key_id) == ("by-name", None, None)
    assert (by_custom_id.user, by_custom_id.project) == (None, "ranking")
    assert by_custom_id.proof is ProofOfIdentity.KONG_CONSUMER
    assert by_custom_id.allowed_models == ("*",)
    assert known(await callers.by_consumer(username="web", custom_id="other")) == by_name
    for username, custom_id in (("42", "web"), (None, None), ("", "")):
        found = await callers.by_consumer(username=username, custom_id=custom_id)
        assert found is Unknown.UNPLACED


async def test_a_consumer_bound_again_stands_for_the_new_holder(
    organisation: Organisation, callers: SqlCallers
):
    await organisation.bind_consumer(Holder("search", user="old"), username="web", custom_id="1")
    await organisation.bind_consumer(Holder("search", user="new"), username="web", custom_id="2")
    assert await callers.by_consumer(username=None, custom_id="1") is Unknown.UNPLACED
    found = known(await callers.by_consumer(username="web", custom_id=None))
    assert found.user == "new"
    with pytest.raises(OrganisationError, match="named"):
        await organisation.bind_consumer(Holder("search"))
