"""Keys as administrators handle them: scopes, rotation, last use, and the trail of it all."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.operation import Operation
from llm_core.policy.caller import Caller
from llm_core.policy.limits import Limit, Measure, Priority
from llm_core.policy.roles import PLATFORM, Actor
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.callers import SqlCallers, operations_of
from policy_service.adapters.sql.keys import ApiKeys
from policy_service.adapters.sql.organisation import Holder, Organisation, OrganisationError
from policy_service.keys import digest_of
from policy_service.ports.callers import Identified, Unknown
from policy_service.ports.keys import KeyState, Scopes
from tests.fakes.clock import FakeClock
from tests.integration.sql.usage_rows import NOW

ALICE = Actor("user:alice", "oidc")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
async def organisation(engine: AsyncEngine, clock: FakeClock) -> Organisation:
    organisation = Organisation(engine, clock)
    await organisation.put_organisation("acme", allowed_models=["*"])
    for department, team in (("research", "search"), ("sales", "ads")):
        await organisation.put_department(department, organisation="acme")
        await organisation.put_team(team, department=department)
    await organisation.put_project("ranking", team="search")
    return organisation


@pytest.fixture
def keys(engine: AsyncEngine, clock: FakeClock, organisation: Organisation) -> ApiKeys:
    return ApiKeys(engine, clock)


@pytest.fixture
def callers(engine: AsyncEngine, clock: FakeClock) -> SqlCallers:
    return SqlCallers(engine, clock)


async def caller_of(callers: SqlCallers, text: str) -> Caller:
    found = await callers.by_key(text)
    assert isinstance(found, Identified)
    return found.caller


async def test_what_a_key_is_good_for_travels_with_its_caller(
    keys: ApiKeys, callers: SqlCallers
) -> None:
    scopes = Scopes(
        (Operation.CHAT_COMPLETIONS, Operation.MODELS),
        ("10.0.0.0/8", "2001:db8::/32"),
        Priority.BATCH,
    )
    issued = await keys.issue_key("nightly", Holder("search"), scopes=scopes)
    caller = await caller_of(callers, issued.text)
    assert caller.operations == scopes.operations
    assert caller.networks == scopes.networks
    assert caller.priority is Priority.BATCH
    assert (await keys.find(issued.record.id)) == issued.record
    plain = await caller_of(callers, (await keys.issue_key("plain", Holder("search"))).text)
    assert (plain.operations, plain.networks, plain.priority) == ((), (), Priority.INTERACTIVE)


def test_a_key_for_operations_that_only_a_newer_version_knows_is_not_for_everything() -> None:
    assert operations_of(["videos"]) == (Operation.ME,)
    assert operations_of(["videos", "models"]) == (Operation.MODELS,)
    assert operations_of([]) == operations_of(None) == ()


@pytest.mark.parametrize(
    ("name", "networks"), [("", ()), ("x" * 201, ()), ("a\nb", ()), ("a", ("10.0.0.1/8",))]
)
async def test_a_key_that_makes_no_sense_is_refused(
    keys: ApiKeys, name: str, networks: tuple[str, ...]
) -> None:
    with pytest.raises(OrganisationError):
        await keys.issue_key(name, Holder("search"), scopes=Scopes(networks=networks))
    assert await keys.list_keys() == ()


async def test_a_rotated_key_stays_itself_and_both_texts_are_good_for_a_while(
    organisation: Organisation, keys: ApiKeys, callers: SqlCallers, clock: FakeClock
) -> None:
    """Its budgets go on: else whoever may rotate a key could empty its counters."""
    holder = Holder("search", project="ranking", user="alice", allowed_models=("small",))
    scopes = Scopes((Operation.MODELS,), ("10.0.0.0/8",), Priority.BATCH)
    old = await keys.issue_key(
        "laptop", holder, scopes=scopes, limits={Measure.USD_PER_MONTH: Decimal("7.5")}
    )
    await organisation.raise_limit(
        f"key:{old.record.id}",
        "",
        Measure.USD_PER_MONTH,
        Decimal(5),
        until=NOW + timedelta(days=2),
        author=ALICE,
        reason="a sprint",
    )
    await keys.note_used([old.record.id], NOW)
    new = await keys.rotate_key(old.record.id, overlap=timedelta(hours=24))
    assert new.text != old.text
    assert (new.record.id, new.record.last_used_at) == (old.record.id, NOW)
    assert (new.record.former_prefix, new.ended_prefix) == (old.record.prefix, None)
    assert await keys.list_keys() == (new.record,)
    by_old, by_new = [await callers.by_key(one.text) for one in (old, new)]
    assert by_old == Identified(await caller_of(callers, new.text), NOW + timedelta(hours=24))
    assert isinstance(by_new, Identified)
    assert by_new.valid_until is None
    [limit] = by_new.caller.limits
    assert (limit.node, limit.amount) == (f"key:{old.record.id}", Decimal("7.5"))
    assert [more.amount for more in limit.raises] == [Decimal(5)]
    clock.advance(24 * 3600)
    assert await callers.by_key(old.text) is Unknown.EXPIRED
    assert isinstance(await callers.by_key(new.text), Identified)


async def test_a_key_that_is_rotated_again_has_its_oldest_text_ended_and_says_so(
    keys: ApiKeys, callers: SqlCallers, clock: FakeClock
) -> None:
    first = await keys.issue_key("laptop", Holder("search"))
    key_id = first.record.id
    second = await keys.rotate_key(key_id, overlap=timedelta(hours=24))
    third = await keys.rotate_key(key_id, overlap=timedelta(hours=1))
    assert third.ended_prefix == first.record.prefix
    assert await callers.by_key(first.text) is Unknown.UNKNOWN
    for good in (second, third):
        assert isinstance(await callers.by_key(good.text), Identified)
    clock.advance(3600)
    assert (await keys.rotate_key(key_id, overlap=timedelta(0))).ended_prefix is None


async def test_two_that_rotate_a_key_at_once_do_it_one_after_the_other(
    keys: ApiKeys, callers: SqlCallers
) -> None:
    key_id = (await keys.issue_key("laptop", Holder("search"))).record.id
    overlap = timedelta(hours=1)
    made = await asyncio.gather(*(keys.rotate_key(key_id, overlap=overlap) for _ in range(2)))
    assert sorted(one.ended_prefix is None for one in made) == [False, True]
    for one in made:
        assert isinstance(await callers.by_key(one.text), Identified)


async def test_to_revoke_a_key_closes_both_of_its_texts(keys: ApiKeys, callers: SqlCallers) -> None:
    old = await keys.issue_key("laptop", Holder("search"))
    new = await keys.rotate_key(old.record.id, overlap=timedelta(hours=24))
    assert await keys.revoke_key(old.record.id)
    for one in (old, new):
        assert await callers.by_key(one.text) is Unknown.REVOKED


async def test_a_key_is_found_by_either_of_its_texts_with_that_ones_end(keys: ApiKeys) -> None:
    old = await keys.issue_key("laptop", Holder("search"))
    new = await keys.rotate_key(old.record.id, overlap=timedelta(hours=24))
    assert await keys.find_by_text(new.text) == new.record
    former = await keys.find_by_text(old.text)
    assert former is not None
    assert (former.id, former.prefix) == (old.record.id, old.record.prefix)
    assert former.expires_at == NOW + timedelta(hours=24)


async def test_rotation_never_makes_an_old_text_live_longer(
    keys: ApiKeys, callers: SqlCallers, clock: FakeClock
) -> None:
    ends = NOW + timedelta(hours=2)
    old = await keys.issue_key("laptop", Holder("search"), expires_at=ends)
    clock.advance(3600)
    new = await keys.rotate_key(old.record.id, overlap=timedelta(days=30))
    assert new.record.former_until == ends
    assert new.record.expires_at == NOW + timedelta(hours=3)  # for two hours, as the one before
    clock.advance(1800)
    again = await keys.rotate_key(old.record.id, overlap=timedelta(0))
    assert again.record.expires_at == NOW + timedelta(hours=3.5)
    assert await callers.by_key(new.text) is Unknown.EXPIRED


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=91)])
async def test_an_overlap_has_bounds(keys: ApiKeys, overlap: timedelta) -> None:
    old = await keys.issue_key("laptop", Holder("search"))
    with pytest.raises(OrganisationError, match="90 days"):
        await keys.rotate_key(old.record.id, overlap=overlap)


async def test_only_a_live_key_can_be_rotated(keys: ApiKeys) -> None:
    old = await keys.issue_key("laptop", Holder("search"))
    assert await keys.revoke_key(old.record.id)
    for key_id in (old.record.id, "key_nobody"):
        with pytest.raises(OrganisationError, match="no live key"):
            await keys.rotate_key(key_id, overlap=timedelta(0))
    assert len(await keys.list_keys()) == 1


async def test_every_change_is_audited_without_the_key_or_its_digest(
    engine: AsyncEngine, keys: ApiKeys
) -> None:
    old = await keys.issue_key("laptop", Holder("search"), actor=ALICE)
    new = await keys.rotate_key(old.record.id, overlap=timedelta(0), actor=ALICE)
    await keys.revoke_key(new.record.id, actor=ALICE)
    await keys.revoke_key(new.record.id, actor=ALICE)
    trail = await AuditLog(engine).entries(subject="key:")
    assert [(one.action, one.subject) for one in reversed(trail)] == [
        ("key.issue", f"key:{old.record.id}"),
        ("key.rotate", f"key:{old.record.id}"),
        ("key.revoke", f"key:{new.record.id}"),
    ]
    assert {(one.actor, one.proof, one.organisation) for one in trail} == {
        ("user:alice", "oidc", "acme")
    }
    told = msgspec.json.encode(trail).decode()
    for text in (old.text, new.text):
        assert text not in told
        assert text[11:] not in told
        assert digest_of(text) not in told
    revoked = await keys.find(new.record.id)
    assert revoked is not None
    assert revoked.revoked_by == "user:alice"
    assert revoked.state(NOW) is KeyState.REVOKED


@pytest.mark.parametrize(
    ("within", "names"),
    [
        (None, ["a", "b", "c"]),
        ([PLATFORM], ["a", "b", "c"]),
        (["organisation:acme"], ["a", "b", "c"]),
        (["department:research"], ["a", "b"]),
        (["team:ads", "project:ranking"], ["b", "c"]),
        (["team:nobody"], []),
        ([], []),
    ],
)
async def test_who_may_see_a_part_sees_its_keys(keys: ApiKeys, within: Any, names: list[str]):
    await keys.issue_key("a", Holder("search"))
    await keys.issue_key("b", Holder("search", project="ranking"))
    await keys.issue_key("c", Holder("ads"))
    assert [key.name for key in await keys.list_keys(within=within)] == names


async def test_a_long_list_comes_page_by_page(keys: ApiKeys) -> None:
    issued = [await keys.issue_key(f"k{number}", Holder("search")) for number in range(5)]
    first = await keys.list_keys(most=3)
    rest = await keys.list_keys(most=3, after=first[-1].id)
    assert [*first, *rest] == [one.record for one in sorted(issued, key=lambda one: one.record.id)]


async def test_when_keys_were_used_is_written_by_many_at_once(
    keys: ApiKeys, clock: FakeClock
) -> None:
    """Two that lock the same rows in another order would wait for each other."""
    issued = [await keys.issue_key(f"k{number}", Holder("search")) for number in range(20)]
    ids = [one.record.id for one in issued]
    await asyncio.gather(*(keys.note_used(ids[::step], NOW) for step in (1, -1, 2, -2, 3)))
    assert {key.last_used_at for key in await keys.list_keys()} == {NOW}


async def test_limits_come_whole_with_models_share_time_zone_and_raises(
    organisation: Organisation, keys: ApiKeys, callers: SqlCallers, clock: FakeClock
) -> None:
    await organisation.put_organisation("acme", allowed_models=["*"], time_zone="Europe/Berlin")
    await organisation.put_model_group("frontier", organisation="acme", models=["big", "huge"])
    measure = Measure.USD_PER_MONTH
    for scope in ("", "group:frontier", "model:tiny"):
        share = Decimal("0.25") if scope == "" else Decimal(0)
        limit = Limit("team:search", measure, Decimal(10), scope=scope, interactive_share=share)
        await organisation.put_limit(limit)

    async def raise_by(amount: int) -> str:
        until = NOW + timedelta(days=3)
        made = await organisation.raise_limit(
            "team:search", "", measure, Decimal(amount), until=until, author=ALICE, reason="x"
        )
        return made.id

    await raise_by(1)
    await raise_by(2)
    await organisation.withdraw_raise(await raise_by(4), ALICE)
    text = (await keys.issue_key("laptop", Holder("search", application="ranker"))).text
    limits = {limit.scope: limit for limit in (await caller_of(callers, text)).limits}
    assert {scope: limit.models for scope, limit in limits.items()} == {
        "": (),
        "group:frontier": ("big", "huge"),
        "model:tiny": ("tiny",),
    }
    assert limits[""].interactive_share == Decimal("0.25")
    assert {limit.time_zone for limit in limits.values()} == {"Europe/Berlin"}
    assert sorted(more.amount for more in limits[""].raises) == [Decimal(1), Decimal(2)]
    assert limits["model:tiny"].raises == ()
    clock.advance(3 * 86_400)
    assert {limit.raises for limit in (await caller_of(callers, text)).limits} == {()}


async def test_an_applications_limits_bind_its_keys_and_who_pays_is_the_nearest_who_says(
    organisation: Organisation, keys: ApiKeys, callers: SqlCallers
) -> None:
    await organisation.put_cost_centre("cc-1", organisation="acme")
    await organisation.put_cost_centre("cc-2", organisation="acme")
    await organisation.put_department("research", organisation="acme", cost_centre="cc-1")
    await organisation.put_application("ranker", team="search")
    limit = Limit("application:ranker", Measure.CONCURRENT_REQUESTS, Decimal(2))
    await organisation.put_limit(limit)
    holder = Holder("search", project="ranking", application="ranker")
    text = (await keys.issue_key("batch", holder)).text
    caller = await caller_of(callers, text)
    assert (caller.limits, caller.cost_centre) == ((limit,), "cc-1")
    await organisation.put_project("ranking", team="search", cost_centre="cc-2")
    assert (await caller_of(callers, text)).cost_centre == "cc-2"


async def test_keys_of_a_switched_off_user_or_application_are_inactive(
    organisation: Organisation, keys: ApiKeys, callers: SqlCallers
) -> None:
    await organisation.put_user("alice", organisation="acme", clearance="secret")
    await organisation.put_application("ranker", team="search")
    of_alice = (await keys.issue_key("a", Holder("search", user="alice"))).text
    of_ranker = (await keys.issue_key("b", Holder("search", application="ranker"))).text
    of_bob = (await keys.issue_key("c", Holder("search", user="bob"))).text
    assert (await caller_of(callers, of_alice)).clearance == "secret"
    await organisation.put_user("alice", organisation="acme", is_active=False)
    await organisation.put_application("ranker", team="search", is_active=False)
    assert await callers.by_key(of_alice) is Unknown.INACTIVE
    assert await callers.by_key(of_ranker) is Unknown.INACTIVE
    assert isinstance(await callers.by_key(of_bob), Identified)  # is in no table: nobody said so
