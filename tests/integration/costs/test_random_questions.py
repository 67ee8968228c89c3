"""Whatever is asked, from days, hours or rows, is the ledger, to the last digit."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.costs.calendar import Interval, edges
from policy_service.adapters.sql.costs import SqlCosts, SqlReliability, active
from policy_service.adapters.sql.costs.days import days_of
from policy_service.adapters.sql.costs.facts import daily_table
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.ports.costs import Active, Dimension, Scope
from policy_service.ports.ledger import UsageRow
from tests.integration.costs.random_usage import PERIODS, TEAMS, random_rows
from tests.integration.costs.test_sums import AMOUNTS, MONEY, amounts_of, value
from tests.integration.sql.conftest import engine

__all__ = ["engine"]

ROWS, QUESTIONS = 3_000, 60
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/Los_Angeles",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
)
FILTERS: Mapping[Dimension, Sequence[str]] = {
    Dimension.TEAM: [*TEAMS],
    Dimension.USER: ["ada", "bob", ""],
    Dimension.PROJECT: ["search-1", ""],
    Dimension.COST_CENTRE: ["cc-1", ""],
    Dimension.MODEL: ["gpt-4o", "gemini"],
    Dimension.PROVIDER: ["openai", ""],
    Dimension.ERROR_CLASS: ["timeout", "none"],
}
NODES = (
    None,
    None,
    frozenset({"organisation:acme"}),
    frozenset({"department:sales"}),
    frozenset({"team:ads", "department:sales"}),
)
NIGHT = datetime(2026, 3, 1, tzinfo=UTC)
Question = tuple[Scope, list[datetime], tuple[Dimension, ...]]


def question(chance: random.Random) -> Question:
    """Some of who and what, of some days and hours."""
    zone = ZoneInfo(chance.choice(ZONES))
    first, length = chance.choice(PERIODS)
    start = first + timedelta(minutes=chance.randrange(5 * 24 * 60))
    if chance.random() < 0.5:
        start = start.replace(minute=0)
    end = start + timedelta(minutes=chance.randrange(60, length // timedelta(minutes=1) * 2))
    interval = chance.choice([Interval.NONE, Interval.DAY, Interval.DAY, Interval.MONTH])
    filtered = chance.sample(list(FILTERS), chance.choice([0, 0, 1, 2]))
    filters = {one: tuple(chance.sample(FILTERS[one], 2)) for one in filtered}
    by = tuple(chance.sample(list(Dimension), chance.choice([0, 1, 1, 2])))
    return Scope(chance.choice(NODES), filters), edges(start, end, interval, zone), by


def is_meant(row: UsageRow, scope: Scope) -> bool:
    places = {f"{kind}:{getattr(row, kind)}" for kind in ("organisation", "department", "team")}
    return (scope.nodes is None or not places.isdisjoint(scope.nodes)) and all(
        (value(row, name) or "") in values for name, values in scope.filters.items()
    )


def truth(rows: Sequence[UsageRow], asked: Question) -> dict[Any, tuple[int, ...]]:
    scope, at, by = asked
    found: defaultdict[Any, list[tuple[int, ...]]] = defaultdict(list)
    for row in rows:
        if at[0] <= row.at < at[-1] and is_meant(row, scope):
            span = sum(row.at >= edge for edge in at[1:-1])
            found[span, tuple(value(row, name) for name in by)].append(amounts_of(row))
    return {key: tuple(map(sum, zip(*several, strict=True))) for key, several in found.items()}


async def answer(costs: SqlCosts, asked: Question) -> dict[Any, tuple[int, ...]]:
    scope, at, by = asked
    return {
        (one.span, tuple(one.keys[name] for name in by)): tuple(
            int(amount.scaleb(12)) if name in MONEY else amount
            for name in AMOUNTS
            for amount in [getattr(one.sums, name)]
        )
        for one in await costs.sums(scope, at, by)
    }


async def test_what_was_written_and_corrected_is_what_is_told(engine: AsyncEngine) -> None:
    rows = random_rows(ROWS)
    ledger, costs, reliable = SqlLedger(engine), SqlCosts(engine), SqlReliability(engine)
    for start in range(0, ROWS, 500):
        await ledger.record(rows[start : start + 500])
    # Figures that come late, for hours and days that have been summed up long since.
    late = [_true(row) for row in rows if row.source == "estimated"][::3]
    await ledger.record(late)
    known = {row.decision_id: row for row in (*rows, *late)}
    chance = random.Random(16)
    tables = set()
    for _ in range(QUESTIONS):
        asked = scope, at, by = question(chance)
        table = daily_table(scope, by, AMOUNTS)
        tables.add(None if table is None else table.name)
        true = truth([*known.values()], asked)
        assert await answer(costs, asked) == true, asked
        usd = AMOUNTS.index("usd")
        assert {key: int(one.scaleb(12)) for key, one in (await costs.usd(*asked)).items()} == {
            key: sums[usd] for key, sums in true.items()
        }
        assert await costs.active(scope, at) == _active([*known.values()], asked)
        groups, _ = await reliable.reliability(scope, at[0], at[-1], by)
        whole = truth([*known.values()], (scope, [at[0], at[-1]], by))
        assert {tuple(one.keys.values()): (one.requests, one.failed) for one in groups} == {
            key[1]: sums[:2] for key, sums in whole.items()
        }
    assert tables == {None, "usage_daily_callers", "usage_daily_models"}


async def test_who_was_active_in_a_long_time_is_looked_for_and_is_the_same(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows lie within few weeks, so a few days are long here."""
    rows = random_rows(ROWS)
    ledger, costs = SqlLedger(engine), SqlCosts(engine)
    for start in range(0, ROWS, 500):
        await ledger.record(rows[start : start + 500])
    monkeypatch.setattr(active, "_LONG", timedelta(days=1))
    chance, looked_for = random.Random(21), 0
    for nodes in (None, frozenset({"organisation:acme"})):
        for _ in range(QUESTIONS // 2):
            scope, (first, *_, last), _ = question(chance)
            if chance.random() < 0.3:
                first, last = (one.replace(hour=0, minute=0) for one in (first, last))
            asked = scope, at, _ = Scope(nodes), [first, max(last, first + timedelta(days=1))], ()
            looked_for += active.full_days(scope, at) is not None
            assert await costs.active(scope, at) == _active(rows, asked), asked
    assert looked_for >= QUESTIONS // 4


@pytest.mark.parametrize(
    ("start", "end", "scope", "found"),
    [
        (NIGHT, NIGHT + timedelta(90), Scope(None), (NIGHT, NIGHT + timedelta(90))),
        (
            NIGHT - timedelta(hours=1),
            NIGHT + timedelta(days=89, hours=23),
            Scope(frozenset({"organisation:acme"})),
            (NIGHT + timedelta(2), NIGHT + timedelta(87)),
        ),
        (NIGHT, NIGHT + timedelta(44), Scope(None), None),
        (NIGHT, NIGHT + timedelta(90), Scope(frozenset({"team:ads"})), None),
        (NIGHT, NIGHT + timedelta(90), Scope(None, {Dimension.USER: ("ada",)}), None),
    ],
)
def test_names_are_looked_for_in_the_full_days_of_a_long_time(
    start: datetime, end: datetime, scope: Scope, found: tuple[datetime, datetime] | None
) -> None:
    assert active.full_days(scope, (start, end)) == found
    if found:
        around = [(start, found[0]), (found[1], end)]
        assert all(first == last or days_of((first, last)) for first, last in around)


def _true(row: UsageRow) -> UsageRow:
    return replace(row, source="provider", usd=row.usd * 2, error_class="none")


def _active(rows: Sequence[UsageRow], asked: Question) -> tuple[Active, ...]:
    scope, at, _ = asked
    spans: defaultdict[int, list[UsageRow]] = defaultdict(list)
    for row in rows:
        if at[0] <= row.at < at[-1] and is_meant(row, scope):
            spans[-1].append(row)
            spans[sum(row.at >= edge for edge in at[1:-1])].append(row)
    spans.setdefault(-1, [])
    return tuple(
        Active(
            span,
            *(
                len({getattr(row, name) for row in found} - {None})
                for name in ("user", "application", "team")
            ),
            len(found),
        )
        for span, found in sorted(spans.items())
    )


@pytest.mark.parametrize(
    ("by", "filters", "table"),
    [
        ((), {}, "usage_daily_models"),
        ((Dimension.SERVED_MODEL, Dimension.DEPARTMENT), {}, "usage_daily_models"),
        ((Dimension.USER,), {Dimension.COST_CENTRE: ("cc-1",)}, "usage_daily_callers"),
        ((Dimension.MODEL,), {Dimension.TEAM: ("ads",)}, None),
    ],
)
def test_the_smallest_table_that_keeps_it_answers(
    by: tuple[Dimension, ...], filters: Mapping[Dimension, Sequence[str]], table: str | None
) -> None:
    found = daily_table(Scope(None, filters), by, AMOUNTS)
    assert (None if found is None else found.name) == table
    of_team = daily_table(Scope(frozenset({"team:ads"})), (Dimension.MODEL,), AMOUNTS)
    assert of_team is None
