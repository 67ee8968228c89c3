"""What was spent and used: any cut of it, the month at a glance, when, and by how many."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from msgspec import Struct
from pydantic import Field

from llm_core.costs.calendar import Interval, edges
from policy_service.api.admins import CurrentActor
from policy_service.api.idempotency import AdminRoute
from policy_service.api.reading import (
    Asked,
    Filters,
    TimeAndFilters,
    cursor_of,
    groups,
    offset_of,
    read,
    zone_and_scope,
)
from policy_service.api.wire import Opened, json_answer
from policy_service.ports.costs import Active, Costs, Dimension, Group, Keys, Order, Page, Sums
from policy_service.services.cost_summary import summary, total_of

router = APIRouter(prefix="/admin/v1", route_class=AdminRoute)
_EMPTY = Sums()


class CostsQuery(TimeAndFilters):
    """The query of `GET /admin/v1/costs`."""

    group_by: list[str] = Field(
        default_factory=list, description="Dimensions, with commas between; all in one by default."
    )
    interval: Interval = Interval.NONE
    order: Order = Order.USD
    limit: Annotated[int, Field(ge=1, le=10_000)] = 1000
    cursor: Annotated[str | None, Field(description="`next` of the page before.")] = None


class AdoptionQuery(TimeAndFilters):
    """The query of `GET /admin/v1/usage/adoption`."""

    interval: Literal[Interval.NONE, Interval.DAY, Interval.MONTH] = Interval.DAY


class ValuesQuery(TimeAndFilters):
    """The query of `GET /admin/v1/costs/values`."""

    dimension: Dimension = Dimension.TEAM
    limit: Annotated[int, Field(ge=1, le=10_000)] = 10_000


@dataclass(frozen=True, slots=True)
class CostRow(Sums):
    """Sums of one group.

    Args:
        start: When its interval begins; null without intervals.
        keys: By dimension; null for what is not tagged.
    """

    start: datetime | None = None
    keys: Keys = field(default_factory=dict)


class ListedCosts(Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """A page of costs; `total` is that of all pages, and `next` the cursor of the next one."""

    start: datetime
    end: datetime
    tz: str
    interval: Interval
    group_by: tuple[Dimension, ...]
    rows: list[CostRow]
    total: Sums
    next: str | None


@dataclass(frozen=True, slots=True)
class SpentOn:
    """What was spent on a value of a dimension; null is what is not tagged."""

    value: str | None
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Values:
    """A dimension's values with calls, the dearest first, and how many more there are."""

    rows: tuple[SpentOn, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class HourOfWeek:
    """What was used in an hour of the week; weekday 0 is Monday."""

    weekday: int
    hour: int
    requests: int
    tokens: int
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of the week with calls, Monday's first hour first."""

    rows: tuple[HourOfWeek, ...]


@dataclass(frozen=True, slots=True)
class AdoptionRow:
    """How many used anything in a day or month."""

    start: datetime
    users: int
    applications: int
    teams: int
    requests: int


@dataclass(frozen=True, slots=True)
class AdoptionTotal:
    """How many used anything, each counted once."""

    users: int
    applications: int
    teams: int


@dataclass(frozen=True, slots=True)
class Adoption:
    """Days or months with calls, and the whole time.

    Args:
        tz: Whose days and months.
    """

    rows: tuple[AdoptionRow, ...]
    total: AdoptionTotal
    tz: str


@router.get("/costs")
async def costs(
    opened: Opened, actor: CurrentActor, query: Annotated[CostsQuery, Query()]
) -> Response:
    """What was spent and used, by any dimensions and interval, as far as your roles reach."""
    asked = await read(opened, actor, query, query.interval)
    by = groups(query.group_by, Dimension)
    offset = offset_of(query, query.cursor)
    rows = await _rows(opened.costs, asked, by, query, offset)
    has_more = len(rows) > query.limit
    rows = rows[: query.limit]
    if has_more or offset:
        whole = await opened.costs.sums(asked.scope, (asked.start, asked.end))
        total = whole[0].sums if whole else _EMPTY
    else:
        total = total_of(rows)
    return json_answer(
        ListedCosts(
            start=asked.start,
            end=asked.end,
            tz=asked.tz,
            interval=query.interval,
            group_by=by,
            rows=rows,
            total=total,
            next=cursor_of(query, offset + query.limit) if has_more else None,
        )
    )


@router.get("/costs/values")
async def costs_values(
    opened: Opened, actor: CurrentActor, query: Annotated[ValuesQuery, Query()]
) -> Response:
    """A dimension's values with calls, and what was spent on each: what can be filtered by.

    It takes a third of what the same costs with all their sums take.
    """
    asked = await read(opened, actor, query)
    spent = await opened.costs.usd(asked.scope, (asked.start, asked.end), (query.dimension,))
    rows = [SpentOn(value, usd) for (_, (value,)), usd in spent.items()]
    rows.sort(key=lambda one: (-one.usd, one.value or ""))
    kept = tuple(rows[: query.limit])
    return json_answer(Values(kept, len(rows) - len(kept)))


@router.get("/costs/summary")
async def costs_summary(
    opened: Opened, actor: CurrentActor, query: Annotated[Filters, Query()]
) -> Response:
    """The month at a glance: so far, at its end, against budget and last month, and who moved."""
    zone, tz, scope = await zone_and_scope(opened, actor, query)
    now = opened.clock()
    return json_answer(await summary(opened.costs, opened.administration, scope, now, zone, tz))


@router.get("/usage/hours")
async def usage_hours(
    opened: Opened, actor: CurrentActor, query: Annotated[TimeAndFilters, Query()]
) -> Response:
    """When it was used: by weekday and hour, as the zone's clocks show them.

    A full hour of UTC counts where it begins, also in a zone with a half-hour offset.
    """
    asked = await read(opened, actor, query)
    week: dict[tuple[int, int], tuple[int, int, Decimal]] = {}
    for one in await opened.costs.hours(asked.scope, asked.start, asked.end):
        here = one.start.astimezone(asked.zone)
        key = (here.weekday(), here.hour)
        requests, tokens, usd = week.get(key, (0, 0, Decimal(0)))
        week[key] = (requests + one.requests, tokens + one.tokens, usd + one.usd)
    return json_answer(
        Hours(tuple(HourOfWeek(day, hour, *week[day, hour]) for day, hour in sorted(week)))
    )


@router.get("/usage/adoption")
async def usage_adoption(
    opened: Opened, actor: CurrentActor, query: Annotated[AdoptionQuery, Query()]
) -> Response:
    """How many people, applications and teams used anything."""
    asked = await read(opened, actor, query, query.interval)
    at = edges(asked.start, asked.end, query.interval, asked.zone)
    whole, *spans = await opened.costs.active(asked.scope, at)
    return json_answer(
        Adoption(
            tuple(_adopted(at, one) for one in spans),
            AdoptionTotal(whole.users, whole.applications, whole.teams),
            asked.tz,
        )
    )


def _adopted(at: list[datetime], one: Active) -> AdoptionRow:
    return AdoptionRow(at[one.span], one.users, one.applications, one.teams, one.requests)


async def _rows(
    costs: Costs, asked: Asked, by: tuple[Dimension, ...], query: CostsQuery, offset: int
) -> list[CostRow]:
    """One more than the page holds, if there are more."""
    page = Page(query.order, query.limit + 1, offset)
    if query.interval is Interval.HOUR:
        hours = await costs.hourly_sums(asked.scope, asked.start, asked.end, by, page)
        return [_row(group, max(hour, asked.start)) for hour, group in hours]
    at = edges(asked.start, asked.end, query.interval, asked.zone)
    found = await costs.sums(asked.scope, at, by, page)
    is_cut = query.interval is not Interval.NONE
    return [_row(group, at[group.span] if is_cut else None) for group in found]


def _row(group: Group, start: datetime | None) -> CostRow:
    amounts = {name: getattr(group.sums, name) for name in Sums.__slots__}
    return CostRow(start=start, keys=group.keys, **amounts)
