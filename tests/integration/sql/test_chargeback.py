"""Statements against both databases: equal to the ledger, frozen once, audited, unchangeable."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.chargeback.rules import Allocation, Currency, Rules, SharedCost
from llm_core.errors import ChangedMeanwhile, GatewayFault
from llm_core.policy.roles import Actor
from policy_service.adapters.sql.audit import AuditLog
from policy_service.adapters.sql.audit_chain import SqlAuditChain
from policy_service.adapters.sql.chargeback import SqlChargebacks
from policy_service.adapters.sql.engine import writing
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.organisation import Organisation
from policy_service.adapters.sql.tables import Chargeback
from policy_service.ports.audit import AuditFilter
from policy_service.ports.chargeback import AlreadyClosed, ChargebackRefused
from policy_service.ports.ledger import UsageRow
from policy_service.services.chargeback import ChargebackDesk, NotOver
from tests.integration.sql.usage_rows import usage_row

FINANCE = Actor("user:fin", "oidc")
TEAMS = {"search": "research", "ads": "research", "emea": "sales", "platform": "it"}
# Whole hours, a half, three quarters, and clocks that change within the month.
ZONES = ["UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe"]
PERIOD = "2026-11"


async def company(engine: AsyncEngine, zone: str = "UTC") -> None:
    organisation = Organisation(engine)
    await organisation.put_organisation("acme", time_zone=zone)
    for team, department in TEAMS.items():
        await organisation.put_department(department, organisation="acme")
        await organisation.put_team(team, department=department)
    for number in range(3):
        await organisation.put_user(f"u{number}", organisation="acme", team="search")
    await organisation.put_user("u3", organisation="acme", team="emea")


def random_rows(seed: int, around: Sequence[datetime], count: int) -> list[UsageRow]:
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        team = chance.choice(sorted(TEAMS))
        edge = chance.choice(around)
        at = edge + timedelta(seconds=chance.randint(-5400, 5400))
        rows.append(
            usage_row(
                f"dec_{number}",
                at=at,
                department=TEAMS[team],
                team=team,
                project=chance.choice([None, "p"]),
                cost_centre=chance.choice([None, "CC-1", "CC-2"]),
                provider=chance.choice([None, "openai", "anthropic"]),
                served_model=chance.choice([None, "m1", "m2"]),
                routed_model=chance.choice([None, "m3"]),
                input_tokens=chance.choice([None, 7]),
                usd=Decimal(chance.randint(0, 10**11)).scaleb(-12),
            )
        )
    return rows


def month_of(zone: str, period: str) -> tuple[datetime, datetime]:
    year, month = map(int, period.split("-"))
    first = datetime(year, month, 1, tzinfo=ZoneInfo(zone))
    following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=ZoneInfo(zone))
    return first.astimezone(UTC), following.astimezone(UTC)


@pytest.mark.parametrize("zone", ZONES)
async def test_a_statement_is_the_ledgers_sum_in_the_organisations_own_month(
    engine: AsyncEngine, zone: str
) -> None:
    await company(engine, zone)
    periods = ["2026-03", "2026-04", "2026-11"]
    edges = [edge for period in periods for edge in month_of(zone, period)]
    rows = random_rows(7, edges, 400)
    await SqlLedger(engine).record(rows)
    await SqlLedger(engine).record([usage_row("dec_other", at=edges[0], organisation="other")])
    store = SqlChargebacks(engine)
    platform = SharedCost("platform", {"team": "platform"}, Allocation.HEADS)
    await store.put_rules(FINANCE, "acme", Rules((platform,)))
    for period in periods:
        first, end = month_of(zone, period)
        mine = [row for row in rows if first <= row.at < end]
        document = await store.preview("acme", period)
        statement = document.statement
        lines_only = await store.preview("acme", period, lines_only=True)
        assert lines_only.statement == statement
        assert lines_only.charges == tuple(one for one in document.charges if one.shared)
        assert (statement.starts_at, statement.ends_at, statement.tz) == (first, end, zone)
        assert statement.total_usd == sum((row.usd for row in mine), Decimal(0))
        assert statement.total_usd == sum((line.usd for line in statement.lines), Decimal(0))
        assert statement.total_usd == await store.spent("acme", period)
        assert sum(line.requests for line in statement.lines) == len(mine)
        assert sum(line.input_tokens for line in statement.lines) == sum(
            row.input_tokens or 0 for row in mine
        )
        [shared] = statement.shared
        assert shared.usd == sum((row.usd for row in mine if row.team == "platform"), Decimal(0))
        models = await store.by_model("acme", period, "openai")
        assert sum(models.values()) == sum(row.usd for row in mine if row.provider == "openai")


async def closed_month(
    engine: AsyncEngine,
) -> tuple[SqlChargebacks, ChargebackDesk, list[UsageRow]]:
    await company(engine)
    rows = random_rows(1, [datetime(2026, 11, 20, 12, tzinfo=UTC)], 60)
    await SqlLedger(engine).record(rows)
    now = datetime(2026, 12, 1, tzinfo=UTC)
    store = SqlChargebacks(engine, lambda: now)
    return store, ChargebackDesk(store, lambda: now), rows


async def test_a_closed_month_stays_while_the_ledger_the_rules_and_the_teams_move_on(
    engine: AsyncEngine,
) -> None:
    store, desk, rows = await closed_month(engine)
    document = await desk.close(FINANCE, "acme", PERIOD)
    assert document.statement.total_usd == sum(row.usd for row in rows)
    closed_id = document.statement.id
    assert closed_id is not None
    await SqlLedger(engine).record([usage_row("dec_late", usd=Decimal("1.5"))])
    everything = SharedCost("all", {"operation": "chat.completions"}, Allocation.HEADS)
    await store.put_rules(FINANCE, "acme", Rules((everything,), Currency("EUR", Decimal("0.9"))))
    await Organisation(engine).remove("team:ads", FINANCE)
    assert await store.find(closed_id) == document
    assert await store.closed("acme", PERIOD) == document
    seen = (await desk.with_adjustments(document)).statement
    assert seen.adjustments_usd == Decimal("1.5")
    assert msgspec.structs.replace(seen, adjustments_usd=None) == document.statement
    part = (await desk.with_adjustments(document, {"department:sales"})).statement
    assert (part.adjustments_usd, part.within) == (None, ("department:sales",))
    assert {line.department for line in part.lines} == {"sales"}


async def test_of_any_number_who_close_at_once_one_does(engine: AsyncEngine) -> None:
    _, desk, _ = await closed_month(engine)
    tried = await asyncio.gather(
        *(desk.close(FINANCE, "acme", PERIOD) for _ in range(4)), return_exceptions=True
    )
    assert sum(not isinstance(one, BaseException) for one in tried) == 1
    assert sum(isinstance(one, AlreadyClosed) for one in tried) == 3
    [listed] = await desk.store.listed({"acme"}, most=10)
    assert (listed.period, listed.closed_by) == (PERIOD, "user:fin")


async def test_closing_is_in_the_audit_chain_with_the_digest(engine: AsyncEngine) -> None:
    store, desk, _ = await closed_month(engine)
    document = await desk.close(FINANCE, "acme", PERIOD)
    statement = document.statement
    with pytest.raises(AlreadyClosed):
        await desk.close(FINANCE, "acme", PERIOD)
    [entry] = await AuditLog(engine).entries(action="chargeback.close")
    assert entry.after is not None
    assert (entry.after["digest"], entry.organisation) == (statement.digest, "acme")
    assert Decimal(entry.after["total_usd"]) == statement.total_usd
    chain = SqlAuditChain(engine, store.clock)
    await chain.append(())
    [event] = await chain.rows(AuditFilter(kind="chargeback.close"))
    assert (event.chain, event.subject) == ("org:acme", f"chargeback:{statement.id}")


async def test_a_statement_that_somebody_changed_in_the_database_is_not_handed_out(
    engine: AsyncEngine,
) -> None:
    store, desk, _ = await closed_month(engine)
    statement = (await desk.close(FINANCE, "acme", PERIOD)).statement
    async with writing(engine) as connection:
        kept = (await connection.execute(text("SELECT kept FROM chargebacks"))).scalar_one()
        forged = bytes(kept).replace(b'"search"', b'"ads"', 1)
        await connection.execute(update(Chargeback).values(kept=forged))
    with pytest.raises(GatewayFault, match="is not what was closed"):
        await store.find(statement.id or "")


async def test_a_month_is_closed_when_it_is_over_where_the_organisation_is(
    engine: AsyncEngine,
) -> None:
    await company(engine, "America/St_Johns")
    store = SqlChargebacks(engine)
    end = datetime(2026, 12, 1, 3, 30, tzinfo=UTC)
    early = ChargebackDesk(store, lambda: end - timedelta(seconds=1))
    with pytest.raises(NotOver, match="not over before 2026-12-01T03:30:00Z"):
        await early.close(FINANCE, "acme", PERIOD)
    made = await ChargebackDesk(store, lambda: end).close(FINANCE, "acme", PERIOD)
    assert (made.statement.total_usd, made.statement.lines) == (0, ())


async def test_what_does_not_exist_is_told(engine: AsyncEngine) -> None:
    await company(engine)
    store = SqlChargebacks(engine)
    with pytest.raises(ChargebackRefused, match="no organisation 'nobody'"):
        await store.rules("nobody")
    with pytest.raises(ChargebackRefused, match="'2026-13' is no month"):
        await store.preview("acme", "2026-13")
    assert await store.find("chb_none") is None
    assert await store.closed("acme", PERIOD) is None
    gone = SharedCost("p", {"team": "ads"}, Allocation.FIXED, {"team:gone": Decimal(1)})
    await store.put_rules(FINANCE, "acme", Rules((gone,)))
    await SqlLedger(engine).record([usage_row(team="ads")])
    with pytest.raises(ChargebackRefused, match="team:gone has a fixed share"):
        await store.preview("acme", PERIOD)


async def test_rules_are_kept_and_audited_and_the_same_again_is_no_change(
    engine: AsyncEngine,
) -> None:
    await company(engine)
    store = SqlChargebacks(engine)
    assert await store.rules("acme") == Rules()
    fixed = SharedCost("p", {"team": "ads"}, Allocation.FIXED, {"team:ads": Decimal("1.0")})
    rules = Rules((fixed,), Currency("EUR", Decimal("0.92")))
    await store.put_rules(FINANCE, "acme", rules)
    await store.put_rules(FINANCE, "acme", rules)
    assert await store.rules("acme") == rules
    [entry] = await AuditLog(engine).entries(action="chargeback.rules")
    assert entry.after is not None
    assert entry.after["currency"] == {"code": "EUR", "usd_rate": "0.92"}


async def test_of_those_who_have_seen_the_same_rules_one_is_first(engine: AsyncEngine) -> None:
    await company(engine)
    store = SqlChargebacks(engine)

    def unchanged(rules: Rules | None) -> None:
        if rules != Rules():
            raise ChangedMeanwhile("It has changed.")

    wanted = [Rules((), Currency(code, Decimal("1.5"))) for code in ("CHF", "EUR", "GBP", "SEK")]
    done = await asyncio.gather(
        *(store.put_rules(FINANCE, "acme", one, check=unchanged) for one in wanted),
        return_exceptions=True,
    )
    [kept] = [one for one in done if isinstance(one, Rules)]
    assert await store.rules("acme") == kept
    assert sum(isinstance(one, ChangedMeanwhile) for one in done) == len(wanted) - 1
