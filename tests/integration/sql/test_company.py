import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.operation import Operation
from llm_core.policy.caller import Caller
from llm_core.policy.limits import Priority
from llm_core.policy.roles import Actor
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.callers import SqlCallers
from policy_service.adapters.sql.company import (
    Company,
    CompanyStore,
    line_of,
    read_company,
    seed_company,
    to_yaml,
)
from policy_service.adapters.sql.engine import reading
from policy_service.adapters.sql.keys import ApiKeys
from policy_service.adapters.sql.organisation import Organisation
from policy_service.adapters.sql.tables import ApiKey
from policy_service.adapters.yaml_file import InvalidFile
from policy_service.ports.callers import Identified
from policy_service.ports.organisation import Applied, Holder, OrganisationError

ACME = """\
id: acme
name: Acme Inc.
time_zone: Europe/Berlin
allowed_models: ["*"]
limits: {usd_per_month: 5000}
model_groups: {frontier: [large, huge]}
model_limits: {frontier: {usd_per_day: 100}}
cost_centres: [{id: cc-100, name: Research}]
roles: [{role: org_admin, group: gatehouse-admins}]
users:
  - {id: alice, email: alice@acme.example, team: search, limits: {requests_per_minute: 60}}
departments:
  - id: research
    cost_centre: cc-100
    limits: {usd_per_month: 1000}
    teams:
      - id: search
        allowed_models: [small, large]
        limits:
          usd_per_month: 200.5
          tokens_per_minute: {amount: 100000, interactive_share: 0.3}
        model_limits: {small: {tokens_per_day: 7}}
        roles: [{role: team_owner, user: alice}]
        groups: [{source: kong, name: searchers, roles: [developer]}]
        keys:
          - name: search-laptop
            user: alice
            roles: [developer]
            operations: [chat.completions]
            networks: [10.0.0.0/8]
            limits: {usd_per_month: 0.01}
        projects:
          - id: ranking
            allowed_models: [small]
            applications:
              - id: ranker
                keys: [{name: ranking-batch, priority: batch, expires_at: 2030-01-01T00:00:00Z}]
        consumers:
          - {username: search-service, application: search}
  - id: sales
    teams: [{id: emea}]
"""
CI = Actor("admin_token:ci", "admin_token")
Variant = Callable[..., Company]


@pytest.fixture
def variant(tmp_path: Path) -> Variant:
    """The company with texts replaced."""

    def changed(*replaced: tuple[str, str]) -> Company:
        text = ACME
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "company.yaml").write_text(text)
        return read_company(tmp_path / "company.yaml")

    return changed


@pytest.fixture
def acme(variant: Variant) -> Company:
    return variant()


def lines(applied: Applied) -> list[str]:
    return [line_of(change) for change in applied.changes]


async def caller_of(engine: AsyncEngine, key: str) -> Caller:
    found = await SqlCallers(engine).by_key(key)
    assert isinstance(found, Identified)
    return found.caller


async def test_a_company_is_there_with_its_keys_after_seeding(engine: AsyncEngine, acme: Company):
    keys = await seed_company(engine, acme)
    alice = await caller_of(engine, keys["search-laptop"])
    ranker = await caller_of(engine, keys["ranking-batch"])
    service = await SqlCallers(engine).by_consumer(username="search-service", custom_id=None)
    assert isinstance(service, Identified)
    assert (alice.user, alice.roles, alice.allowed_models, alice.cost_centre) == (
        "alice",
        ("developer",),
        ("small", "large"),
        "cc-100",
    )
    assert (alice.operations, alice.networks) == ((Operation.CHAT_COMPLETIONS,), ("10.0.0.0/8",))
    assert {(limit.key, limit.amount) for limit in alice.limits} == {
        ("organisation:acme:usd_per_month", 5000),
        ("organisation:acme:group:frontier:usd_per_day", 100),
        ("department:research:usd_per_month", 1000),
        ("team:search:tokens_per_minute", 100000),
        ("team:search:usd_per_month", Decimal("200.5")),
        ("team:search:model:small:tokens_per_day", 7),
        ("user:alice:requests_per_minute", 60),
        (f"key:{alice.key_id}:usd_per_month", Decimal("0.01")),
    }
    assert (ranker.project, ranker.application, ranker.allowed_models, ranker.priority) == (
        "ranking",
        "ranker",
        ("small",),
        Priority.BATCH,
    )
    assert (service.caller.team, service.caller.application) == ("search", "search")


async def test_seeding_again_keeps_the_keys_and_takes_the_changes(
    engine: AsyncEngine, acme: Company, variant: Variant
):
    keys = await seed_company(engine, acme)
    assert await seed_company(engine, variant(("200.5", "300"))) == {}
    caller = await caller_of(engine, keys["search-laptop"])
    amounts = {limit.key: limit.amount for limit in caller.limits}
    assert amounts["team:search:usd_per_month"] == 300
    await ApiKeys(engine).revoke_key(caller.key_id or "")
    again = await seed_company(engine, acme)
    assert set(again) == {"search-laptop"}
    await caller_of(engine, again["search-laptop"])
    assert not isinstance(await SqlCallers(engine).by_key(keys["search-laptop"]), Identified)


async def test_applying_again_changes_nothing(engine: AsyncEngine, acme: Company):
    store = CompanyStore(engine)
    first = await store.apply_company(acme)
    assert len(first.changes) > 20
    for prune in (False, True):
        again = await store.apply_company(acme, prune=prune)
        assert (again.changes, again.left_alone, again.keys) == ((), (), {})


async def test_an_export_says_what_was_applied(engine: AsyncEngine, acme: Company, tmp_path: Path):
    store = CompanyStore(engine)
    await store.apply_company(acme)
    document = await store.export("acme")
    assert (await store.apply(document, CI, prune=True)).changes == ()
    (tmp_path / "export.yaml").write_text(to_yaml(document))
    exported = read_company(tmp_path / "export.yaml")
    assert (await store.apply_company(exported, prune=True)).changes == ()
    team = document["departments"][0]["teams"][0]
    assert team["limits"] == {
        "usd_per_month": "200.5",
        "tokens_per_minute": {"amount": "100000", "interactive_share": "0.3"},
    }
    assert "gk-" not in to_yaml(document)


async def test_a_dry_run_tells_and_does_nothing(engine: AsyncEngine, acme: Company):
    store = CompanyStore(engine)
    told = await store.apply_company(acme, dry_run=True)
    assert told.keys is None
    assert lines(told)[0] == "+ organisation acme: name Acme Inc., time zone Europe/Berlin, " + (
        "allowed models [*]"
    )
    assert await Organisation(engine).parts() == ()
    assert (await store.apply_company(acme)).changes == told.changes


async def test_what_the_file_does_not_name_goes_only_when_pruned(
    engine: AsyncEngine, acme: Company
):
    store = CompanyStore(engine)
    keys = (await store.apply_company(acme)).keys or {}
    alice = acme.users[0].model_copy(update={"team": None})
    without = acme.model_copy(update={"departments": (), "users": (alice,)})
    kept = await store.apply_company(without)
    assert lines(kept) == ["~ user alice: team search -> none"]
    left = [line_of(change) for change in kept.left_alone]
    assert set(left) == {
        "- role team_owner on team:search for user:alice",
        "- limit team:search tokens_per_day on model:small",
        "- limit team:search tokens_per_minute",
        "- limit team:search usd_per_month",
        "- limit key:search:search-laptop usd_per_month",
        "- limit department:research usd_per_month",
        "- key ranking-batch of team search: revoked",
        "- key search-laptop of team search: revoked",
        "- consumer username=search-service",
        "- group kong searchers",
        "- application ranker",
        "- project ranking",
        "- team emea",
        "- team search",
        "- department research",
        "- department sales",
    }
    await caller_of(engine, keys["ranking-batch"])
    gone = await store.apply_company(without, CI, prune=True)
    assert lines(gone) == left
    assert not isinstance(await SqlCallers(engine).by_key(keys["ranking-batch"]), Identified)
    async with reading(engine) as connection:
        rows = (await connection.execute(select(ApiKey.revoked_at, ApiKey.revoked_by))).all()
    assert len(rows) == 2
    assert all(row.revoked_at is not None and row.revoked_by == "admin_token:ci" for row in rows)
    assert (await store.apply_company(without, prune=True)).changes == ()


async def test_a_key_that_was_rotated_goes_with_its_team_at_once(
    engine: AsyncEngine, acme: Company
):
    store, keys = CompanyStore(engine), ApiKeys(engine)
    texts = (await store.apply_company(acme)).keys or {}
    old = await caller_of(engine, texts["search-laptop"])
    new = await keys.rotate_key(old.key_id or "", overlap=timedelta(hours=24))
    assert (await store.apply_company(acme, prune=True)).changes == ()
    await caller_of(engine, texts["search-laptop"])
    alice = acme.users[0].model_copy(update={"team": None})
    gone = acme.model_copy(update={"departments": (), "users": (alice,)})
    await store.apply_company(gone, prune=True)
    for text in (texts["search-laptop"], new.text):
        assert not isinstance(await SqlCallers(engine).by_key(text), Identified)
    async with reading(engine) as connection:
        revoked = (await connection.execute(select(ApiKey.revoked_at))).scalars().all()
    assert None not in revoked


async def test_moves_and_new_names_are_told_and_keys_move_along(
    engine: AsyncEngine, acme: Company, variant: Variant
):
    store = CompanyStore(engine)
    keys = (await store.apply_company(acme)).keys or {}
    # The project moves to the other department's team, with its application and its key.
    project = ACME.split("        projects:\n", 1)[1].split("        consumers", maxsplit=1)[0]
    moved = variant(
        ("        projects:\n" + project, ""),
        (
            "    teams: [{id: emea}]\n",
            "    teams:\n      - id: emea\n        projects:\n" + project,
        ),
        ("name: Acme Inc.", "name: Acme SE"),
        ("{username: search-service,", "{username: search-service, custom_id: '7',"),
        ("team: search, limits", "team: emea, limits"),
    )
    done = await store.apply_company(moved, prune=True)
    assert done.keys == {}
    assert lines(done) == [
        "~ organisation acme: name Acme Inc. -> Acme SE",
        "~ project ranking: team search -> emea",
        "~ user alice: team search -> emea",
        "~ application ranker: team search -> emea",
        "~ consumer username=search-service custom_id=7: custom id none -> 7",
        "~ key ranking-batch of team emea: team search -> emea",
    ]
    caller = await caller_of(engine, keys["ranking-batch"])
    assert (caller.department, caller.team, caller.project) == ("sales", "emea", "ranking")
    assert (await store.apply_company(moved, prune=True)).changes == ()


async def test_what_a_file_does_not_name_moves_with_its_project(engine: AsyncEngine, acme: Company):
    organisation = Organisation(engine)
    await seed_company(engine, acme)
    issued = await ApiKeys(engine).issue_key("by-hand", Holder("search", project="ranking"))
    await organisation.put_project("ranking", team="emea")
    caller = await caller_of(engine, issued.text)
    assert (caller.team, caller.project, caller.department) == ("emea", "ranking", "sales")


async def test_addresses_can_be_swapped_and_not_be_taken(
    engine: AsyncEngine, acme: Company, variant: Variant
):
    both = "users:\n  - {id: bob, email: bob@acme.example}\n"
    store = CompanyStore(engine)
    await store.apply_company(variant(("users:\n", both)))
    swapped = variant(
        ("alice@acme.example", "bob@acme.example"),
        ("users:\n", both.replace("bob@", "alice@")),
    )
    assert len((await store.apply_company(swapped)).changes) == 2
    assert (await store.apply_company(swapped)).changes == ()
    with pytest.raises(OrganisationError, match=r"another user already whose email is 'alice@"):
        await store.apply_company(acme)
    # Nothing of it was done.
    assert (await store.apply_company(swapped)).changes == ()


async def test_a_team_of_another_organisation_is_not_taken(engine: AsyncEngine, acme: Company):
    store = CompanyStore(engine)
    await store.apply_company(acme)
    other = {"id": "other", "departments": [{"id": "d", "teams": [{"id": "search"}]}]}
    with pytest.raises(OrganisationError, match="another team already whose id is 'search'"):
        await store.apply(other, CI)
    other["departments"][0]["teams"][0]["id"] = "elsewhere"  # type: ignore[index]
    await store.apply(other, CI, prune=True)
    assert (await store.apply_company(acme, prune=True)).changes == ()
    with pytest.raises(OrganisationError, match="say which organisation is meant"):
        await store.export()
    assert (await store.export("other"))["departments"][0]["id"] == "d"


async def test_every_change_is_audited_with_who_made_it(
    engine: AsyncEngine, acme: Company, variant: Variant
):
    store, log = CompanyStore(engine), AuditLog(engine)
    applied = await store.apply_company(acme, CI)
    entries = await log.entries(limit=1000)
    assert len(entries) == len(applied.changes)
    assert {(one.actor, one.proof, one.organisation) for one in entries} == {
        ("admin_token:ci", "admin_token", "acme")
    }
    await store.apply_company(variant(("200.5", "300")))
    [newest] = await log.entries(limit=1)
    assert (newest.action, newest.subject) == ("limit.change", "limit:team:search:usd_per_month")
    assert newest.before is not None
    assert newest.after is not None
    assert (newest.before["amount"], newest.after["amount"]) == ("200.5", "300")
    keys = await log.entries(subject="key:")
    assert {one.action for one in keys} == {"key.issue"}
    assert await log.entries(subject=keys[0].subject) == (keys[0],)
    assert await log.entries(before_seq=entries[-1].seq) == ()
    assert await log.entries(organisations=frozenset({"other"})) == ()
    text = repr(await log.entries(limit=1000))
    assert "digest" not in text
    for key in (applied.keys or {}).values():
        assert key not in text


async def test_two_files_at_once_end_in_one_of_the_two(
    engine: AsyncEngine, acme: Company, variant: Variant
):
    store = CompanyStore(engine)
    other = variant(
        ("200.5", "300"), ("name: Acme Inc.", "name: Other"), ("    teams: [{id: emea}]\n", "")
    )
    for _ in range(3):
        await asyncio.gather(
            *(store.apply_company(one, prune=True) for one in (acme, other, acme, other))
        )
        left = [
            (await store.apply_company(one, prune=True, dry_run=True)).changes
            for one in (acme, other)
        ]
        assert left.count(()) == 1
    live = [key for key in await ApiKeys(engine).list_keys() if key.revoked_at is None]
    assert sorted(key.name for key in live) == ["ranking-batch", "search-laptop"]


async def test_a_key_that_had_expired_is_neither_issued_nor_asked_for(
    engine: AsyncEngine, acme: Company
):
    later = CompanyStore(engine, clock=lambda: datetime(2031, 1, 1, tzinfo=UTC))
    applied = await later.apply_company(acme)
    assert set(applied.keys or {}) == {"search-laptop"}
    assert (await later.apply_company(acme)).changes == ()
    earlier = CompanyStore(engine)
    assert set((await earlier.apply_company(acme)).keys or {}) == {"ranking-batch"}
    assert (await later.apply_company(acme, prune=True)).changes == ()
    assert "ranking-batch" not in to_yaml(await later.export())
    exported = await later.export()
    assert (await later.apply(exported, CI, prune=True)).changes == ()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("usd_per_month: 5000", "usd_per_year: 5000", ":5: limits.usd_per_year"),
        ("usd_per_month: 5000", "usd_per_month: -1", ":5: limits.usd_per_month"),
        ("usd_per_month: 5000", "usd_per_month: [1]", ":5: limits.usd_per_month"),
        ("interactive_share: 0.3", "interactive_share: 1.1", "interactive_share"),
        ("user: alice\n", "key: gk-mine\n", "departments[0].teams[0].keys[0].key"),
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00", "keys[0].expires_at"),
        ("name: ranking-batch", "name: search-laptop", "these come twice: ['search-laptop']"),
        ("Europe/Berlin", "Europe/Berlim", ":3: time_zone: there is no time zone 'Europe/Berlim'"),
        ("10.0.0.0/8", "10.0.0.1/8", "networks[0]: 10.0.0.1/8 has host bits set"),
        ("role: team_owner", "role: team_boss", "roles[0].role"),
        ("user: alice}]", "user: alice, group: x}]", "one `user`, one `application` or one"),
        ("user: alice}]", "user: bob}]", "user:bob, who is not in this file"),
        ("role: team_owner", "role: platform_admin", "by `platform_roles` only"),
        ("team: search,", "team: serach,", "'alice' is in 'serach', which is not in this file"),
        ("cost_centre: cc-100", "cost_centre: cc-1", "cost centre 'cc-1' of 'research'"),
        ("id: sales", "id: research", "no department comes twice"),
        ("id: emea", "id: 'e:mea'", "is no id"),
        ("name: Acme Inc.", "name: 5", ":2: name"),
        ("model_limits: {small:", "model_limits: {'model:small': {}, small:", "given twice"),
        ("operations: [chat.completions]", "operations: [chat]", "operations[0]"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, old: str, new: str, says: str):
    assert old in ACME
    (tmp_path / "company.yaml").write_text(ACME.replace(old, new))
    with pytest.raises(InvalidFile) as caught:
        read_company(tmp_path / "company.yaml")
    assert says in str(caught.value)
