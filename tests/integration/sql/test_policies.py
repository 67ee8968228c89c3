"""Policies in the database: what is kept, live, shadow, and counted; the same on both."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.errors import ChangedMeanwhile
from llm_core.policy.roles import Actor
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.policies import MOST_DIFFERENCES, SqlPolicies
from policy_service.ports.policies import (
    BundleRecord,
    PolicyRefused,
    ShadowCount,
    ShadowDifference,
    Standing,
)
from tests.fakes.clock import FakeClock

NOW = datetime(2026, 11, 29, 8, 30, tzinfo=UTC)
HOUR = NOW.replace(minute=0)
ALICE = Actor("user:alice", "oidc")
BUNDLE = BundleRecord(
    digest="ab" * 32,
    revision="2026-11-29.1+abababab",
    key_id="0123456789abcdef",
    tests="9 passed on opa",
    uploaded_by="user:alice",
    uploaded_at=NOW,
)
OTHER = replace(BUNDLE, digest="abcd" + "0" * 60, revision="2026-11-30.1+abcd0000")
DIFFERENCE = ShadowDifference(
    at=NOW,
    live_revision="2026-11-29.1+abababab",
    organisation="acme",
    team="search",
    operation="chat.completions",
    asked_model="chat",
    kinds=("denied", "codes"),
    before={"allow": True, "permitted": ["a"], "codes": [], "obligations": {}},
    after={"allow": False, "permitted": [], "codes": ["outside_eu"], "obligations": {}},
)


@pytest.fixture
def policies(engine: AsyncEngine) -> SqlPolicies:
    return SqlPolicies(engine, FakeClock(NOW))


async def test_a_bundle_is_kept_once_and_found_by_digest_beginning_and_revision(
    policies: SqlPolicies, engine: AsyncEngine
) -> None:
    assert await policies.keep(ALICE, BUNDLE, b"tar") == BUNDLE
    again = replace(BUNDLE, uploaded_by="user:bob")
    assert await policies.keep(ALICE, again, b"other") == BUNDLE
    await policies.keep(ALICE, OTHER, b"tar 2")
    for name in (BUNDLE.digest, "abababab", BUNDLE.revision, "2026-11-29.1"):
        assert await policies.find(name) == BUNDLE
    assert await policies.tarball(BUNDLE.digest) == b"tar"
    assert {one.digest for one in await policies.bundles()} == {BUNDLE.digest, OTHER.digest}
    for name in ("ab", "abababa%", "nothing", ""):
        with pytest.raises(PolicyRefused):
            await policies.find(name)
    uploads = await AuditLog(engine).entries(action="policy.upload")
    assert [one.subject for one in uploads] == [f"policy:{OTHER.digest}", f"policy:{BUNDLE.digest}"]


async def test_what_is_live_and_what_is_shadow_is_the_newest_word(
    policies: SqlPolicies, engine: AsyncEngine
) -> None:
    assert await policies.standing() == Standing()
    await policies.keep(ALICE, BUNDLE, b"tar")
    await policies.keep(ALICE, OTHER, b"tar 2")
    await policies.activate(ALICE, BUNDLE.digest, "first")
    await policies.shadow(ALICE, OTHER.digest)
    assert await policies.standing() == Standing(BUNDLE.digest, OTHER.digest, 1, 1)
    await policies.activate(ALICE, OTHER.digest, "second")
    # The live policy is nobody's shadow.
    assert await policies.standing() == Standing(OTHER.digest, None, 2, 2)
    [ended, _] = await AuditLog(engine).entries(action="policy.shadow")
    assert (ended.before, ended.after) == ({"shadow": OTHER.digest}, None)
    with pytest.raises(PolicyRefused, match="no shadow"):
        await policies.shadow(ALICE, None)
    assert await policies.before_live() == BUNDLE.digest
    with pytest.raises(PolicyRefused, match="at this moment"):
        await policies.rollback(ALICE, "back", None)
    await policies.rollback(ALICE, "back", BUNDLE.digest)
    [newest, *_] = await policies.history()
    assert (newest.action, newest.revision, newest.reason) == ("rollback", BUNDLE.revision, "back")
    [entry] = await AuditLog(engine).entries(action="policy.rollback")
    assert entry.before == {"live": OTHER.digest}
    assert entry.after == {"live": BUNDLE.digest, "revision": BUNDLE.revision, "reason": "back"}


async def test_of_two_who_have_seen_the_same_standing_one_is_first(policies: SqlPolicies) -> None:
    for bundle in (BUNDLE, OTHER):
        await policies.keep(ALICE, bundle, b"tar")

    def untouched(standing: Standing | None) -> None:
        if standing != Standing():
            raise ChangedMeanwhile("It has changed.")

    done = await asyncio.gather(
        policies.activate(ALICE, BUNDLE.digest, "first", check=untouched),
        policies.activate(ALICE, OTHER.digest, "second", check=untouched),
        policies.shadow(ALICE, OTHER.digest, check=untouched),
        return_exceptions=True,
    )
    assert sum(isinstance(one, ChangedMeanwhile) for one in done) == 2
    assert len([one for one in done if not isinstance(one, Exception)]) == 1


async def test_what_a_shadow_came_to_is_added_up_by_hour_and_team(policies: SqlPolicies) -> None:
    assert (await policies.shadow_report()).bundle is None
    await policies.keep(ALICE, BUNDLE, b"tar")
    await policies.shadow(ALICE, BUNDLE.digest)
    search = ShadowCount(HOUR, "acme", "search", evaluated=3, differing=1)
    ads = ShadowCount(HOUR, "zeta", "ads", evaluated=2, failed=1, dropped=5)
    for counts in ((search,), (search, ads)):
        await policies.count_shadow(1, counts, [DIFFERENCE])
    report = await policies.shadow_report()
    assert (report.bundle, report.since) == (BUNDLE, NOW)
    assert set(report.counts) == {replace(search, evaluated=6, differing=2), ads}
    assert report.differences == (DIFFERENCE, DIFFERENCE)
    theirs = await policies.shadow_report(frozenset({"organisation:zeta"}))
    assert (theirs.counts, theirs.differences) == ((ads,), ())
    await policies.shadow(ALICE, BUNDLE.digest)
    assert (await policies.shadow_report()).counts == ()


async def test_only_the_newest_differences_are_kept(policies: SqlPolicies) -> None:
    await policies.keep(ALICE, BUNDLE, b"tar")
    await policies.shadow(ALICE, BUNDLE.digest)
    for start in range(0, MOST_DIFFERENCES + 100, 100):
        some = [replace(DIFFERENCE, team=str(start + number)) for number in range(100)]
        await policies.count_shadow(1, (), some)
    kept = (await policies.shadow_report()).differences
    assert len(kept) == MOST_DIFFERENCES
    assert kept[0].team == str(MOST_DIFFERENCES + 99)
