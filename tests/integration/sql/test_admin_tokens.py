from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.roles import PLATFORM, Actor, Grant, Role
from policy_service.adapters.sql.admin_tokens import SqlAdminTokens
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.engine import reading, writing
from policy_service.adapters.sql.tables import Base
from policy_service.keys import digest_of
from tests.fakes.clock import FakeClock

CAROL = Actor("user:carol", "oidc")
GRANTS = (Grant(Role.ORG_ADMIN, "organisation:acme"), Grant(Role.AUDITOR, PLATFORM))


async def test_a_token_is_found_by_its_text_and_kept_as_a_digest(engine: AsyncEngine) -> None:
    clock = FakeClock()
    tokens = SqlAdminTokens(engine, clock)
    expires_at = clock() + timedelta(days=90)
    issued = await tokens.issue(CAROL, "ci", GRANTS, expires_at)
    assert issued.text.startswith("ga-")
    assert issued.text not in repr(issued)
    found = await tokens.find(issued.text)
    assert found == issued.record
    assert (found.grants, found.expires_at, found.created_by) == (GRANTS, expires_at, "user:carol")
    assert await tokens.find(issued.text[:-1]) is None
    assert await tokens.find("x" * 10_000) is None
    async with reading(engine) as connection:
        rows = (await connection.execute(select(Base.metadata.tables["admin_tokens"]))).all()
    assert issued.text not in repr(rows)
    assert digest_of(issued.text) in repr(rows)


async def test_a_token_is_revoked_once(engine: AsyncEngine) -> None:
    clock = FakeClock()
    tokens = SqlAdminTokens(engine, clock)
    issued = await tokens.issue(CAROL, "ci", GRANTS, None)
    assert await tokens.revoke(CAROL, issued.record.id)
    assert not await tokens.revoke(CAROL, issued.record.id)
    assert not await tokens.revoke(CAROL, "adt_none")
    found = await tokens.find(issued.text)
    assert found is not None
    assert found.revoked_at == clock()


async def test_every_change_is_audited_without_secrets(engine: AsyncEngine) -> None:
    tokens = SqlAdminTokens(engine)
    issued = await tokens.issue(CAROL, "ci", GRANTS, None)
    await tokens.revoke(CAROL, issued.record.id)
    revoked, made = await AuditLog(engine).entries()
    assert (made.action, revoked.action) == ("admin_token.issue", "admin_token.revoke")
    assert made.subject == revoked.subject == f"admin_token:{issued.record.id}"
    assert (made.actor, made.proof) == ("user:carol", "oidc")
    assert made.after is not None
    assert made.after["grants"] == ["org_admin organisation:acme", f"auditor {PLATFORM}"]
    for secret in (issued.text, digest_of(issued.text)):
        assert secret not in repr((made, revoked))


async def test_a_name_is_that_of_one_living_token(engine: AsyncEngine) -> None:
    clock = FakeClock()
    tokens = SqlAdminTokens(engine, clock)
    first = await tokens.issue(CAROL, "ci", GRANTS, None)
    with pytest.raises(ValueError, match="revoke it first"):
        await tokens.issue(CAROL, "ci", GRANTS, None)
    await tokens.revoke(CAROL, first.record.id)
    second = await tokens.issue(CAROL, "ci", GRANTS, clock() + timedelta(seconds=1))
    clock.advance(1)
    third = await tokens.issue(CAROL, "ci", GRANTS, None)
    listed = [one.id for one in await tokens.list_tokens()]
    assert sorted(listed) == sorted(one.record.id for one in (first, second, third))


@pytest.mark.parametrize(
    ("name", "grants", "lasts_s", "told"),
    [
        ("", GRANTS, None, "name"),
        ("a\nb", GRANTS, None, "name"),
        ("a" * 181, GRANTS, None, "name"),
        ("ci", (), None, "grant"),
        ("ci", GRANTS, 0, "later than now"),
        ("ci", GRANTS, -1, "later than now"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    engine: AsyncEngine, name: str, grants: tuple[Grant, ...], lasts_s: int | None, told: str
) -> None:
    clock = FakeClock()
    expires_at = None if lasts_s is None else clock() + timedelta(seconds=lasts_s)
    with pytest.raises(ValueError, match=told):
        await SqlAdminTokens(engine, clock).issue(CAROL, name, grants, expires_at)


async def test_its_last_use_is_kept(engine: AsyncEngine) -> None:
    clock = FakeClock()
    tokens = SqlAdminTokens(engine, clock)
    issued = await tokens.issue(CAROL, "ci", GRANTS, None)
    clock.advance(5)
    await tokens.note_used(issued.record.id)
    [listed] = await tokens.list_tokens()
    assert listed.last_used_at == clock()


async def test_a_role_that_only_a_newer_version_knows_gives_nothing(engine: AsyncEngine) -> None:
    tokens = SqlAdminTokens(engine)
    issued = await tokens.issue(CAROL, "ci", GRANTS, None)
    table = Base.metadata.tables["admin_tokens"]
    stored = ["emperor platform:*", "auditor", "auditor team:search"]
    async with writing(engine) as connection:
        await connection.execute(table.update().values(grants=stored))
    found = await tokens.find(issued.text)
    assert found is not None
    assert found.grants == (Grant(Role.AUDITOR, "team:search"),)
