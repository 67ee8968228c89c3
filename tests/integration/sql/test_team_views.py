"""A team's own usage and audit log, on both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.policy.limits import Limit, Measure
from llm_core.policy.roles import Actor
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.audit_chain import SqlAuditChain
from policy_service.adapters.sql.keys import ApiKeys
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.organisation import Organisation
from policy_service.adapters.sql.team_usage import SqlTeamUsage
from policy_service.ports.audit import AuditFilter
from policy_service.ports.organisation import Holder
from tests.fakes.audit_chains import key_pair
from tests.fakes.clock import NOON, FakeClock
from tests.integration.sql.usage_rows import usage_row

ROOT = Actor("root", "test")


async def test_roll_ups_and_rows_give_the_same_sums(engine: AsyncEngine) -> None:
    await SqlLedger(engine).record(
        [
            replace(
                usage_row(),
                decision_id=f"dec_{number}",
                at=NOON + timedelta(minutes=37 * number),
                team="a" if number % 3 else "b",
                asked_model="m",
                usd=Decimal(number) / 1000,
            )
            for number in range(100)
        ]
    )
    usage = SqlTeamUsage(engine)
    sums = {}
    for zone in ("UTC", "Asia/Kolkata", "America/New_York"):
        days = [datetime(2026, 11, 19 + day, tzinfo=ZoneInfo(zone)) for day in range(7)]
        edges = [day.astimezone(UTC) for day in days]
        found = await usage.used(edges, nodes=frozenset({"team:a"}))
        assert {one.team for one in found} == {"a"}
        assert [one.span for one in found] == sorted(one.span for one in found)
        sums[zone] = (sum(one.requests for one in found), sum(one.usd for one in found))
    expected = [number for number in range(100) if number % 3]
    assert set(sums.values()) == {(len(expected), Decimal(sum(expected)) / 1000)}


async def test_a_teams_log_is_about_the_team_and_what_is_its_own(engine: AsyncEngine) -> None:
    organisation, keys = Organisation(engine), ApiKeys(engine)
    await organisation.put_organisation("acme")
    await organisation.put_department("d", organisation="acme")
    issued = {}
    for team in ("a_b", "aXb"):
        await organisation.put_team(team, department="d")
        await organisation.put_project(f"p{team}", team=team)
        issued[team] = await keys.issue_key("k", Holder(team), actor=ROOT)
        for node in (f"team:{team}", f"project:p{team}", f"key:{issued[team].record.id}"):
            await organisation.put_limit(Limit(node, Measure.USD_PER_DAY, Decimal(1)), ROOT)
    log = AuditLog(engine)
    found = await log.about_team("a_b")
    key_id = issued["a_b"].record.id
    assert {one.subject for one in found} == {
        "team:a_b",
        "project:pa_b",
        f"key:{key_id}",
        "limit:team:a_b:usd_per_day",
        "limit:project:pa_b:usd_per_day",
        f"limit:key:{key_id}:usd_per_day",
    }
    first = await log.about_team("a_b", limit=2)
    rest = await log.about_team("a_b", before_seq=first[-1].seq)
    assert (*first, *rest) == found


async def test_the_chain_is_read_on_from_any_event(engine: AsyncEngine) -> None:
    organisation = Organisation(engine)
    for name in ("acme", "globex"):
        await organisation.put_organisation(name)
        await organisation.put_department(f"{name}-d", organisation=name)
    chain = SqlAuditChain(engine, FakeClock())
    await chain.append([])
    whole = await chain.rows(AuditFilter())
    assert len(whole) == 4
    for index, event in enumerate(whole):
        rest = await chain.rows(AuditFilter(), after=(event.chain, event.seq))
        assert rest == whole[index + 1 :]


async def test_checkpoints_are_read_on_from_any(engine: AsyncEngine) -> None:
    organisation = Organisation(engine)
    chain = SqlAuditChain(engine, FakeClock())
    signer, _ = key_pair()
    for number in range(3):
        for name in ("acme", "globex"):
            await organisation.put_organisation(name, name=str(number))
        await chain.append([])
        await chain.seal(signer, NOON + timedelta(hours=number // 2), least=1, age_s=0)
    whole = await chain.checkpoints(None)
    assert len(whole) == 6
    for index, one in enumerate(whole):
        place = (datetime.fromisoformat(one.at), one.seq, one.chain)
        assert await chain.checkpoints(None, before=place) == whole[index + 1 :]
