from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from llm_core.errors import InvalidKey, PermissionDenied, PolicyUnavailable
from llm_core.policy.claims import Claims
from llm_core.policy.roles import PLATFORM, Actor, Grant, Role
from policy_service.keys import new_key
from policy_service.ports.administrators import Holder
from policy_service.ports.callers import Unknown
from policy_service.ports.tokens import NotProven
from policy_service.services import administrators as module
from policy_service.services.administrators import ADMIN_MARK, ROOT, Administrators
from tests.fakes.administrators import FakeAdminTokens, FakeGrants, FakeTokens
from tests.fakes.clock import FakeClock

ROOT_TOKEN = "root-0123456789abcdef"
SEARCH = (Grant(Role.TEAM_OWNER, "team:search"),)
NO_PROOF = NotProven(Unknown.NO_PROOF, "its signature is wrong")


def claims(subject: str = "u1", roles: tuple[str, ...] = ()) -> Claims:
    return Claims(
        "https://id.test", subject, datetime(2027, 1, 1, tzinfo=UTC), roles=roles, is_home=True
    )


class Setting:
    """Administrators over fakes."""

    def __init__(self, *, root: str | None = ROOT_TOKEN, heeds_claimed_roles: bool = False) -> None:
        self.clock = FakeClock()
        self.admin_tokens = FakeAdminTokens(self.clock)
        self.grants = FakeGrants()
        self.tokens = FakeTokens(otherwise=NO_PROOF)
        self.administrators = Administrators(
            root,
            self.admin_tokens,
            self.grants,
            self.clock,
            self.tokens,
            heeds_claimed_roles,
        )

    async def issued(self, expires_at: datetime | None = None) -> str:
        return (await self.admin_tokens.issue(ROOT, "ci", SEARCH, expires_at)).text


async def test_the_root_token_may_do_everything() -> None:
    actor = await Setting().administrators.actor_of(ROOT_TOKEN)
    assert actor == Actor("root_token", "root_token", (Grant(Role.PLATFORM_ADMIN, PLATFORM),))


async def test_without_a_root_token_none_is_taken_for_it() -> None:
    setting = Setting(root=None)
    for text in ("", "None", ROOT_TOKEN):
        with pytest.raises(InvalidKey):
            await setting.administrators.actor_of(text)


async def test_the_root_token_is_compared_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr(module.hmac, "compare_digest", compare)
    with pytest.raises(InvalidKey):
        await Setting().administrators.actor_of(ROOT_TOKEN)
    assert compared == [(ROOT_TOKEN.encode(), ROOT_TOKEN.encode())]


async def test_a_token_in_odd_characters_is_refused_like_any_other() -> None:
    with pytest.raises(InvalidKey):
        await Setting().administrators.actor_of("g\u00e4-\U0001f511")


async def test_an_admin_token_gives_its_own_grants_and_no_more() -> None:
    setting = Setting()
    text = await setting.issued()
    actor = await setting.administrators.actor_of(text)
    assert actor == Actor("admin_token:ci", "admin_token", SEARCH)


async def test_a_revoked_admin_token_is_refused_at_once() -> None:
    setting = Setting()
    text = await setting.issued()
    await setting.administrators.actor_of(text)
    await setting.admin_tokens.revoke(ROOT, "adt_0")
    with pytest.raises(InvalidKey, match="revoked"):
        await setting.administrators.actor_of(text)


async def test_an_admin_token_ends_at_its_moment() -> None:
    setting = Setting()
    text = await setting.issued(setting.clock() + timedelta(seconds=10))
    setting.clock.advance(9)
    await setting.administrators.actor_of(text)
    setting.clock.advance(1)
    with pytest.raises(InvalidKey, match="expired"):
        await setting.administrators.actor_of(text)


async def test_a_mistyped_admin_token_is_told_without_asking_the_database() -> None:
    setting = Setting()
    text = await setting.issued()
    with pytest.raises(InvalidKey, match="mistyped"):
        await setting.administrators.actor_of(text[:-1])
    assert setting.admin_tokens.searches == 0


async def test_an_admin_token_that_nobody_issued_is_refused() -> None:
    with pytest.raises(InvalidKey, match="Nobody knows"):
        await Setting().administrators.actor_of(new_key(ADMIN_MARK))


async def test_the_use_of_an_admin_token_is_noted_once_a_minute() -> None:
    setting = Setting()
    text = await setting.issued()
    for _ in range(3):
        await setting.administrators.actor_of(text)
    setting.clock.advance(60)
    await setting.administrators.actor_of(text)
    assert setting.admin_tokens.used == ["adt_0", "adt_0"]


async def test_an_api_key_is_told_that_it_is_one() -> None:
    with pytest.raises(InvalidKey, match="API key"):
        await Setting().administrators.actor_of(new_key())


async def test_a_person_has_the_grants_that_the_database_gives() -> None:
    setting = Setting()
    setting.tokens.known["a.b.c"] = claims()
    setting.grants.holders["u1"] = Holder("user:alice", SEARCH)
    assert await setting.administrators.actor_of("a.b.c") == Actor("user:alice", "oidc", SEARCH)


async def test_a_person_whom_nobody_gave_a_role_is_known_and_may_nothing() -> None:
    setting = Setting()
    setting.tokens.known["a.b.c"] = claims("u9")
    assert (await setting.administrators.actor_of("a.b.c")).grants == ()


async def test_somebody_who_was_switched_off_is_refused() -> None:
    setting = Setting(heeds_claimed_roles=True)
    setting.tokens.known["a.b.c"] = claims(roles=("platform_admin",))
    setting.grants.holders["u1"] = Holder("user:alice", SEARCH, is_active=False)
    with pytest.raises(PermissionDenied, match="switched off"):
        await setting.administrators.actor_of("a.b.c")


async def test_roles_in_a_token_count_only_where_settings_say_so() -> None:
    roles = ("platform_admin", "auditor", "org_admin", "team_owner", "PLATFORM_ADMIN")
    for heeded, expected in ((False, ()), (True, (Role.PLATFORM_ADMIN, Role.AUDITOR))):
        setting = Setting(heeds_claimed_roles=heeded)
        setting.tokens.known["a.b.c"] = claims(roles=roles)
        actor = await setting.administrators.actor_of("a.b.c")
        assert actor.grants == tuple(Grant(role, PLATFORM) for role in expected)
        setting.tokens.known["a.b.d"] = replace(claims(roles=roles), is_home=False)
        assert (await setting.administrators.actor_of("a.b.d")).grants == ()


async def test_a_token_that_proves_nothing_is_refused_with_the_reason() -> None:
    setting = Setting()
    setting.tokens.known["e.x.p"] = NotProven(Unknown.EXPIRED, "exp")
    with pytest.raises(InvalidKey, match="sign in again"):
        await setting.administrators.actor_of("e.x.p")
    with pytest.raises(InvalidKey, match="signature is wrong"):
        await setting.administrators.actor_of("f.a.ke")


async def test_an_issuer_that_is_away_is_no_refusal() -> None:
    setting = Setting()
    setting.tokens.otherwise = None
    with pytest.raises(PolicyUnavailable):
        await setting.administrators.actor_of("a.b.c")


async def test_a_sign_in_is_told_once_an_hour_for_each_actor() -> None:
    setting = Setting()
    setting.tokens.known["a.b.c"] = claims()
    setting.tokens.known["a.b.d"] = claims()
    setting.grants.holders["u1"] = Holder("user:alice", SEARCH)
    for text in ("a.b.c", "a.b.d", ROOT_TOKEN, "a.b.c"):
        await setting.administrators.actor_of(text)
    assert [actor.name for actor in setting.grants.sign_ins] == ["user:alice", "root_token"]
    setting.clock.advance(3600)
    await setting.administrators.actor_of("a.b.c")
    assert [actor.name for actor in setting.grants.sign_ins][2:] == ["user:alice"]


async def test_a_refused_token_is_no_sign_in() -> None:
    setting = Setting()
    with pytest.raises(InvalidKey):
        await setting.administrators.actor_of("wrong")
    assert not setting.grants.sign_ins


async def test_operators_come_in_while_the_database_is_away_and_are_told_of_later() -> None:
    setting = Setting()
    setting.grants.is_down = True
    assert await setting.administrators.actor_of(ROOT_TOKEN) == ROOT
    setting.grants.is_down = False
    setting.clock.advance(30)
    await setting.administrators.actor_of(ROOT_TOKEN)
    assert setting.grants.sign_ins == [ROOT]


async def test_what_was_told_is_not_remembered_without_end() -> None:
    recently = module._Recently(timedelta(hours=1), most=3)
    now = datetime(2026, 11, 20, tzinfo=UTC)
    for number in range(10):
        recently.note(str(number), now)
    assert len(recently._until) <= 3
    assert recently.was("9", now)
