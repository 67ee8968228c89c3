"""What a team's members expect to see with nothing but their API key: usage, and who changed what.

Administrators get the same of all that their roles reach.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from fastapi.security import HTTPBearer

from llm_core.errors import MalformedRequest
from llm_core.policy.roles import Permission
from policy_service.api.idempotency import AdminRoute
from policy_service.api.organisation import audited_organisations
from policy_service.api.paging import AskedPage, Pages
from policy_service.api.viewers import CurrentViewer
from policy_service.api.wire import Opened, json_answer
from policy_service.ports.organisation import AuditRecord
from policy_service.ports.team_usage import TeamUsed
from policy_service.resources import Resources

MOST_DAYS = 92
_DAYS = 30
_USAGE = Pages("admin-usage", tuple[date, str, str, str])
_ENTRIES = Pages("admin-audit-log", tuple[int])
_described = HTTPBearer(
    scheme_name="api_key",
    description="An API key (`gk-...`) of the team; or whatever opens the admin API.",
    auto_error=False,
)
router = APIRouter(prefix="/admin", route_class=AdminRoute, dependencies=[Depends(_described)])


@dataclass(frozen=True, slots=True)
class DayOfTeam:
    """What a team used of one model on one day; the model as it was asked for."""

    day: date
    department: str
    team: str
    model: str
    requests: int
    failed: int
    cache_hits: int
    input_tokens: int
    output_tokens: int
    usd: Decimal
    saved_usd: Decimal


@dataclass(frozen=True, slots=True)
class TeamTotal:
    """The sums over all days, teams and models, also those of other pages."""

    requests: int
    failed: int
    cache_hits: int
    input_tokens: int
    output_tokens: int
    usd: Decimal
    saved_usd: Decimal


class UsageOfTeam(msgspec.Struct, frozen=True, rename={"first": "from", "until": "to"}):
    """Usage by day, team and model.

    Args:
        team: Of whose key it was asked; `None` for an administrator.
        first: `from` in JSON: the first day.
        until: `to` in JSON: the day after the last one.
        tz: Whose clocks days begin by.
    """

    team: str | None
    first: date
    until: date
    tz: str
    rows: Sequence[DayOfTeam]
    total: TeamTotal
    next: str | None


@dataclass(frozen=True, slots=True)
class AuditLogOfTeam:
    """Who changed what, the newest first."""

    team: str | None
    rows: Sequence[AuditRecord]
    next: str | None


@router.get("/usage")
async def usage(
    opened: Opened,
    viewer: CurrentViewer,
    page: AskedPage,
    *,
    first: Annotated[
        date | None, Query(alias="from", description="The first day; 30 days ago by default.")
    ] = None,
    until: Annotated[
        date | None, Query(alias="to", description="The day after the last one; tomorrow.")
    ] = None,
    tz: Annotated[str | None, Query(max_length=60, description="An IANA name.")] = None,
) -> Response:
    """Usage by day, team and model: of your API key's team, or as far as your roles reach."""
    nodes = viewer.nodes(Permission.USAGE_READ)
    zone = await _zone(opened, viewer, tz)
    days = _days(first, until, opened.clock().astimezone(zone).date())
    edges = [datetime(one.year, one.month, one.day, tzinfo=zone).astimezone(UTC) for one in days]
    found = [_day(one, days) for one in await opened.team_usage.used(edges, nodes=nodes)]
    rows, following = _USAGE.page_of(
        found, page, lambda one: (one.day, one.department, one.team, one.model)
    )
    team = None if viewer.caller is None else viewer.caller.team
    return json_answer(
        UsageOfTeam(team, days[0], days[-1], zone.key, rows, _total(found), following)
    )


@router.get("/audit-log")
async def audit_log(opened: Opened, viewer: CurrentViewer, page: AskedPage) -> Response:
    """Who changed what: about your API key's team, its keys and limits; or all that you audit."""
    place = _ENTRIES.after(page) or (None,)
    if viewer.caller is not None:
        team = viewer.caller.team
        found = await opened.audit.about_team(team, before_seq=place[0], limit=page.wanted)
    else:
        team = None
        nodes = viewer.nodes(Permission.AUDIT_READ)
        organisations = None if nodes is None else audited_organisations(nodes)
        found = await opened.audit.entries(
            before_seq=place[0], organisations=organisations, limit=page.wanted
        )
    rows, following = _ENTRIES.cut(found, page, lambda one: (one.seq,))
    return json_answer(AuditLogOfTeam(team, rows, following))


async def _zone(opened: Resources, viewer: CurrentViewer, asked: str | None) -> ZoneInfo:
    name = asked or ("UTC" if viewer.caller is None else viewer.caller.time_zone)
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as unknown:
        raise MalformedRequest(
            f"There is no time zone {name[:60]!r}: write an IANA name, such as `Europe/Berlin`.",
            param="tz",
        ) from unknown


def _days(first: date | None, until: date | None, today: date) -> list[date]:
    """Every day asked for, and the one after the last."""
    try:
        end = until or max(today, first or today) + timedelta(days=1)
        start = first or end - timedelta(days=_DAYS)
    except OverflowError as fault:
        raise MalformedRequest("There are no such days.", param="from") from fault
    if not 1 <= (end - start).days <= MOST_DAYS:
        raise MalformedRequest(
            f"`to` comes after `from`, by {MOST_DAYS} days at most; write both as 2026-11-30.",
            param="from",
        )
    if start.year <= 1 or end.year >= date.max.year:
        raise MalformedRequest("There are no such days.", param="from")
    return [start + timedelta(days=index) for index in range((end - start).days + 1)]


def _day(used: TeamUsed, days: Sequence[date]) -> DayOfTeam:
    return DayOfTeam(
        day=days[used.span],
        department=used.department,
        team=used.team,
        model=used.model,
        requests=used.requests,
        failed=used.failed,
        cache_hits=used.cache_hits,
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        usd=used.usd,
        saved_usd=used.saved_usd,
    )


def _total(rows: Iterable[DayOfTeam]) -> TeamTotal:
    found = tuple(rows)
    return TeamTotal(
        requests=sum(one.requests for one in found),
        failed=sum(one.failed for one in found),
        cache_hits=sum(one.cache_hits for one in found),
        input_tokens=sum(one.input_tokens for one in found),
        output_tokens=sum(one.output_tokens for one in found),
        usd=sum((one.usd for one in found), Decimal(0)),
        saved_usd=sum((one.saved_usd for one in found), Decimal(0)),
    )
