"""The month at a glance: what it cost so far, what it will come to, and what moved."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from llm_core.costs import calendar
from llm_core.costs.forecast import HISTORY_DAYS, Forecast, burn_per_day, month_end
from llm_core.costs.movers import movers
from policy_service.ports.costs import Costs, Dimension, Names, Scope, Sums
from policy_service.ports.organisation import Administration, OrganisationError

_WHERE = (Dimension.DEPARTMENT, Dimension.TEAM)
_NODES = (Dimension.PROJECT, Dimension.TEAM, Dimension.DEPARTMENT, Dimension.ORGANISATION)
_WEEK_DAYS = 7
_MOST_MOVERS = 10


@dataclass(frozen=True, slots=True)
class Mover:
    """A team whose spend of the last seven days differs from that of the seven before."""

    department: str | None
    team: str | None
    usd: Decimal
    before_usd: Decimal
    change_usd: Decimal


@dataclass(frozen=True, slots=True)
class Summary:
    """The month at a glance.

    Args:
        month: As the zone's clocks show it, `2026-11`.
        last_month_to_date_usd: Up to the same day and time.
        budget_usd: Of the one node that is looked at, in force now; `None` where it is not one, or
            has none.
        burn_usd_per_day: The mean of the last seven full days.
        saved_by_routing_usd: What the dearest way that each call could have taken would have cost
            more; see `Sums`.
        users: So many used anything this month.
    """

    as_of: datetime
    tz: str
    month: str
    month_to_date: Sums
    last_month_to_date_usd: Decimal
    last_month_usd: Decimal
    budget_usd: Decimal | None
    forecast: Forecast | None
    burn_usd_per_day: Decimal
    saved_by_cache_usd: Decimal
    saved_by_routing_usd: Decimal
    movers: tuple[Mover, ...]
    users: int
    teams: int


async def summary(  # noqa: PLR0917 - who is asked, about what, when
    costs: Costs,
    administration: Administration,
    scope: Scope,
    now: datetime,
    zone: ZoneInfo,
    tz: str,
) -> Summary:
    """Make it.

    Raises:
        PolicyUnavailable: The database failed.
    """
    today = now.astimezone(zone).date()
    month = calendar.month_start(today, zone)
    sums, last_month, history, moved, active, budget = await asyncio.gather(
        costs.sums(scope, (month, now)),
        _last_month(costs, scope, now, zone),
        _history(costs, scope, today, zone),
        _movers(costs, scope, now, zone),
        costs.active(scope, (month, now)),
        _budget(costs, administration, scope, now),
    )
    to_date = total_of([one.sums for one in sums])
    last_to_date, last = last_month
    whole = active[0]
    return Summary(
        as_of=now,
        tz=tz,
        month=f"{today:%Y-%m}",
        month_to_date=to_date,
        last_month_to_date_usd=last_to_date,
        last_month_usd=last,
        budget_usd=budget,
        forecast=_forecast(to_date.usd, history, now, zone),
        burn_usd_per_day=burn_per_day(history, today),
        saved_by_cache_usd=to_date.saved_usd,
        saved_by_routing_usd=to_date.routing_saved_usd,
        movers=moved,
        users=whole.users,
        teams=whole.teams,
    )


def total_of(several: Sequence[Sums]) -> Sums:
    """All together."""
    names = [field.name for field in fields(Sums)]
    empty = Sums()
    return Sums(**{n: sum((getattr(one, n) for one in several), getattr(empty, n)) for n in names})


async def _last_month(
    costs: Costs, scope: Scope, now: datetime, zone: ZoneInfo
) -> tuple[Decimal, Decimal]:
    """Its spend up to the same day and time, and all of it."""
    today = now.astimezone(zone).date()
    edges = (
        calendar.month_start(calendar.last_month(today), zone),
        calendar.a_month_before(now, zone),
        calendar.month_start(today, zone),
    )
    found = await costs.usd(scope, edges)
    to_date = found.get((0, ()), Decimal(0))
    return to_date, to_date + found.get((1, ()), Decimal(0))


async def _history(
    costs: Costs, scope: Scope, today: date, zone: ZoneInfo
) -> Mapping[date, Decimal]:
    """Spend of full days, by day."""
    days = [today - timedelta(days=back) for back in range(HISTORY_DAYS, -1, -1)]
    found = await costs.usd(scope, [calendar.day_start(day, zone) for day in days])
    return {days[span]: usd for (span, _), usd in found.items()}


async def _movers(costs: Costs, scope: Scope, now: datetime, zone: ZoneInfo) -> tuple[Mover, ...]:
    edges = [calendar.days_before(now, _WEEK_DAYS * back, zone) for back in (2, 1)]
    weeks: tuple[dict[Names, Decimal], dict[Names, Decimal]] = ({}, {})
    for (span, names), usd in (await costs.usd(scope, [*edges, now], _WHERE)).items():
        weeks[span][names] = usd
    return tuple(
        Mover(one.key[0], one.key[1], one.usd, one.before_usd, one.change_usd)
        for one in movers(weeks[1], weeks[0], _MOST_MOVERS)
    )


def _forecast(
    spent: Decimal, history: Mapping[date, Decimal], now: datetime, zone: ZoneInfo
) -> Forecast | None:
    today = now.astimezone(zone).date()
    ends = calendar.day_start(today + timedelta(days=1), zone)
    left = (ends - now) / (ends - calendar.day_start(today, zone))
    last_day = calendar.next_month(today) - timedelta(days=1)
    return month_end(spent, history, today, last_day, left)


async def _budget(
    costs: Costs, administration: Administration, scope: Scope, now: datetime
) -> Decimal | None:
    """The budget of the one node that is looked at, if the reader may see all of it."""
    node = await _one_node(costs, scope)
    if node is None:
        return None
    try:
        path = await administration.path_of(node)
    except OrganisationError:
        return None
    if scope.nodes is not None and scope.nodes.isdisjoint(path):
        return None
    return await costs.monthly_budget(node, now)


async def _one_node(costs: Costs, scope: Scope) -> str | None:
    if set(scope.filters) - set(_NODES):
        return None
    for dimension in _NODES:
        values = scope.filters.get(dimension)
        if values is not None:
            return f"{dimension}:{values[0]}" if len(values) == 1 and values[0] else None
    nodes = scope.nodes
    if nodes is None:
        nodes = frozenset(f"organisation:{one.organisation}" for one in await costs.zones())
    return next(iter(nodes)) if len(nodes) == 1 else None
