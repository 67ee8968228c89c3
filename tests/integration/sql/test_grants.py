from datetime import UTC, datetime

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.claims import Claims
from llm_core.policy.roles import PLATFORM, Actor, Grant, Role
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.engine import writing
from policy_service.adapters.sql.grants import SqlGrants
from policy_service.adapters.sql.tables import Base
from tests.fakes.clock import FakeClock

ISSUER = "https://id.test"
ORGANISATION = {"id": "acme", "name": "acme"}
DEPARTMENT = {"id": "research", "organisation_id": "acme", "name": "research"}
TEAM = {"id": "search", "department_id": "research", "name": "search"}
USERS = [
    {"id": "alice", "email": "alice@acme.test", "subject": "s-alice", "is_active": True},
    {"id": "ann", "email": None, "subject": f"{ISSUER}#s-shared", "is_active": True},
    {"id": "bert", "email": None, "subject": "s-shared", "is_active": True},
    {"id": "olga", "email": "olga@acme.test", "subject": None, "is_active": False},
]
APPLICATIONS = [
    {"id": "ranker", "team_id": "search", "name": "ranker", "is_active": True},
    {"id": "old", "team_id": "search", "name": "old", "is_active": False},
]
ROLES = [
    ("user:alice", "team_owner", "team:search"),
    ("user:alice", "emperor", PLATFORM),
    ("user:olga", "org_admin", "organisation:acme"),
    ("group:/data", "auditor", "organisation:acme"),
    ("group:alice", "org_admin", "organisation:acme"),
    ("application:ranker", "member", "team:search"),
]


@pytest.fixture
async def grants(engine: AsyncEngine) -> SqlGrants:
    tables = Base.metadata.tables
    async with writing(engine) as connection:
        for name, rows in (
            ("organisations", [ORGANISATION]),
            ("departments", [DEPARTMENT]),
            ("teams", [TEAM]),
            ("users", [{**one, "name": one["id"], "organisation_id": "acme"} for one in USERS]),
            ("applications", APPLICATIONS),
            (
                "role_grants",
                [dict(zip(("subject", "role", "node"), r, strict=True)) for r in ROLES],
            ),
        ):
            await connection.execute(insert(tables[name]), rows)
    return SqlGrants(engine, FakeClock())


def claims(subject: str, **more: object) -> Claims:
    fields: dict[str, object] = {
        "expires_at": datetime(2027, 1, 1, tzinfo=UTC),
        "is_home": True,
        **more,
    }
    return Claims(ISSUER, subject, **fields)  # type: ignore[arg-type]


async def test_a_person_is_found_by_subject_by_id_and_by_address(grants: SqlGrants) -> None:
    for one in (
        claims("s-alice"),
        claims("x", user="alice"),
        claims("x", user="x", email="alice@acme.test"),
    ):
        holder = await grants.of_claims(one)
        assert (holder.name, holder.grants) == (
            "user:alice",
            (Grant(Role.TEAM_OWNER, "team:search"),),
        )


async def test_a_subject_that_is_stored_with_its_issuer_goes_first(grants: SqlGrants) -> None:
    assert (await grants.of_claims(claims("s-shared"))).name == "user:ann"


async def test_groups_add_their_grants_also_for_people_nobody_knows(grants: SqlGrants) -> None:
    auditor = Grant(Role.AUDITOR, "organisation:acme")
    known = await grants.of_claims(claims("s-alice", groups=("/data",)))
    assert set(known.grants) == {auditor, Grant(Role.TEAM_OWNER, "team:search")}
    unknown = await grants.of_claims(claims("s-9", groups=("/data", "/other")))
    assert (unknown.name, unknown.grants) == (f"subject:{ISSUER}#s-9", (auditor,))


async def test_a_group_is_no_user_of_the_same_name(grants: SqlGrants) -> None:
    assert (await grants.of_claims(claims("s-9", groups=("user:alice",)))).grants == ()
    assert (await grants.of_claims(claims("s-alice"))).grants == (
        Grant(Role.TEAM_OWNER, "team:search"),
    )


async def test_who_was_switched_off_holds_nothing(grants: SqlGrants) -> None:
    for one in (
        claims("x", email="olga@acme.test", groups=("/data",)),
        claims("x", application="old"),
        claims("s-alice", application="old"),
    ):
        holder = await grants.of_claims(one)
        assert (holder.is_active, holder.grants) == (False, ())


async def test_software_has_the_grants_of_its_application(grants: SqlGrants) -> None:
    holder = await grants.of_claims(claims("x", application="ranker"))
    assert (holder.name, holder.grants) == (
        "application:ranker",
        (Grant(Role.MEMBER, "team:search"),),
    )
    assert (await grants.of_claims(claims("x", application="nobody"))).grants == ()


async def test_an_issuer_that_is_not_the_companys_home_makes_nobody_an_administrator_of_ours(
    grants: SqlGrants,
) -> None:
    for one in (
        claims("s-alice", is_home=False),
        claims("x", is_home=False, user="alice"),
        claims("x", is_home=False, email="alice@acme.test"),
        claims("x", is_home=False, application="ranker"),
        claims("x", is_home=False, groups=("/data", "alice")),
    ):
        holder = await grants.of_claims(one)
        assert (holder.name, holder.grants) == (f"subject:{ISSUER}#{one.subject}", ())
    assert (await grants.of_claims(claims("s-shared", is_home=False))).name == "user:ann"


async def test_groups_of_such_an_issuer_have_grants_of_their_own(
    engine: AsyncEngine, grants: SqlGrants
) -> None:
    row = {"subject": f"group:{ISSUER}#/data", "role": "auditor", "node": "organisation:acme"}
    async with writing(engine) as connection:
        await connection.execute(insert(Base.metadata.tables["role_grants"]), [row])
    guest = await grants.of_claims(claims("x", is_home=False, groups=("/data",)))
    assert guest.grants == (Grant(Role.AUDITOR, "organisation:acme"),)


async def test_a_sign_in_is_in_the_audit_trail(engine: AsyncEngine, grants: SqlGrants) -> None:
    await grants.note_sign_in(Actor("user:alice", "oidc", (Grant(Role.TEAM_OWNER, "team:search"),)))
    [entry] = await AuditLog(engine).entries()
    assert (entry.action, entry.actor, entry.proof) == ("sign_in", "user:alice", "oidc")
    assert entry.subject == "user:alice"
    assert entry.after == {"grants": ["team_owner team:search"]}
    assert entry.at == FakeClock()()
