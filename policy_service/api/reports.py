"""Reports that are sent by themselves, in the admin API.

Whoever holds `reports.write` on a part of the organisation, and may read its usage, says who gets
its reports. Who holds `reports.read` there sees who gets them, and changes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from http import HTTPStatus

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from llm_core.errors import Conflict, MalformedRequest, NotServed
from llm_core.policy.roles import Actor, Permission, may
from policy_service.api.admins import CurrentActor, nodes_for, require
from policy_service.api.chargeback import told_refusals
from policy_service.api.etags import IfMatch, etag_of
from policy_service.api.idempotency import AdminRoute
from policy_service.api.organisation import told_faults
from policy_service.api.paging import AskedLongPage, AskedPage, Pages
from policy_service.api.wire import Opened, json_answer, read_json
from policy_service.ports.organisation import OrganisationError
from policy_service.ports.report_schedules import (
    Cadence,
    ReportKind,
    ReportRun,
    ReportSchedule,
)
from policy_service.resources import Resources
from policy_service.services.report_making import DEPARTMENT
from policy_service.services.report_sender import ScheduleRefused

router = APIRouter(prefix="/admin/v1/reports", route_class=AdminRoute)
_SCHEDULES = Pages("report_schedules", tuple[str])
_RUNS = Pages("report_runs", tuple[datetime, str])
_TO_CHANGE = (Permission.REPORTS_WRITE, Permission.USAGE_READ)
_TO_READ = (Permission.REPORTS_READ, Permission.USAGE_READ)
_KINDS = ("organisation", "department", "team", "project")
_HOUR = 7


class WantedSchedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /admin/v1/reports/schedules/{id}`; see `ReportSchedule`."""

    node: str
    kind: ReportKind
    cadence: Cadence
    to: tuple[str, ...]
    hour: int = _HOUR
    per_department: bool = False
    department_to: dict[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSchedule(ReportSchedule):
    """A schedule, with its ETag."""

    etag: str


@dataclass(frozen=True, slots=True)
class ListedSchedules:
    """Schedules, by id."""

    rows: list[ShownSchedule]
    next: str | None


@dataclass(frozen=True, slots=True)
class ListedRuns:
    """Reports that were sent, or are to be, the newest first."""

    rows: Sequence[ReportRun]
    next: str | None


@router.get("/schedules")
async def listed(opened: Opened, actor: CurrentActor, page: AskedLongPage) -> Response:
    """Every schedule that you may see, by id."""
    nodes_for(actor, Permission.REPORTS_READ)
    found = await opened.reporting.store.all()
    theirs = [one for one in found if await _may(opened, actor, one, _TO_READ)]
    rows, following = _SCHEDULES.page_of(theirs, page, lambda one: (one.id,))
    return json_answer(ListedSchedules([_shown(one) for one in rows], following))


@router.get("/schedules/{schedule_id}")
async def show(schedule_id: str, opened: Opened, actor: CurrentActor) -> Response:
    """One schedule."""
    return _answered(await _found(opened, actor, schedule_id, _TO_READ))


@router.put("/schedules/{schedule_id}")
async def put(
    schedule_id: str, request: Request, opened: Opened, actor: CurrentActor, match: IfMatch
) -> Response:
    """Send a report from now on, or send it otherwise."""
    asked = await read_json(request, WantedSchedule)
    wanted = await _wanted(opened, actor, asked, schedule_id, _TO_CHANGE)
    known = await opened.reporting.store.find(schedule_id)
    if known is not None and not await _may(opened, actor, known, _TO_CHANGE):
        raise Conflict("There is a schedule of that id already; choose another.")
    try:
        opened.reporting.refuse_bad(wanted)
    except ScheduleRefused as fault:
        raise MalformedRequest(f"{str(fault)[:1].upper()}{str(fault)[1:]}.") from fault
    made = await opened.reporting.store.put(actor, wanted, check=match.check(_tagged))
    return _answered(made, HTTPStatus.OK if known else HTTPStatus.CREATED)


@router.delete("/schedules/{schedule_id}")
async def remove(schedule_id: str, opened: Opened, actor: CurrentActor, match: IfMatch) -> Response:
    """Send it no more."""
    found = await _found(opened, actor, schedule_id, _TO_CHANGE)
    if not await opened.reporting.store.remove(actor, found, check=match.check(_tagged)):
        raise _unknown()
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post("/schedules/{schedule_id}/send")
async def send(schedule_id: str, opened: Opened, actor: CurrentActor) -> Response:
    """Send the report of the newest period that is over, now; the answer says how it went."""
    found = await _found(opened, actor, schedule_id, _TO_CHANGE)
    return json_answer(ListedRuns(await opened.reporting.send_now(found), None))


@router.get("/schedules/{schedule_id}/runs")
async def runs(schedule_id: str, opened: Opened, actor: CurrentActor, page: AskedPage) -> Response:
    """What was sent, the newest first."""
    schedule = await _found(opened, actor, schedule_id, _TO_READ)
    after = _RUNS.after(page)
    found = await opened.reporting.store.runs(schedule.id, most=page.wanted, after=after)
    rows, following = _RUNS.cut(found, page, lambda one: (one.at, one.id))
    return json_answer(ListedRuns(rows, following))


@router.get("/preview", response_class=HTMLResponse)
async def preview(
    node: str,
    opened: Opened,
    actor: CurrentActor,
    kind: ReportKind = ReportKind.SUMMARY,
    cadence: Cadence = Cadence.WEEKLY,
) -> Response:
    """A report as it would be sent now, as a page of HTML."""
    asked = WantedSchedule(node, kind, cadence, ())
    wanted = await _wanted(opened, actor, asked, "preview", _TO_READ)
    with told_refusals():
        page = await opened.reporting.page(wanted)
    return HTMLResponse(page.html, headers={"content-security-policy": _POLICY})


_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


async def _wanted(
    opened: Resources,
    actor: Actor,
    asked: WantedSchedule,
    schedule_id: str,
    needed: Sequence[Permission],
) -> ReportSchedule:
    """The schedule, for who holds what is needed on its node."""
    if asked.node.partition(":")[0] not in _KINDS:
        raise MalformedRequest(
            "A report is about an organisation:, department:, team: or project: and its id.",
            param="node",
        )
    with told_faults():
        path = await opened.administration.path_of(asked.node)
    for permission in needed:
        require(actor, permission, path)
    organisation = path[-1].partition(":")[2]
    await _refuse_other_departments(opened, asked.department_to, path[-1])
    return ReportSchedule(
        id=schedule_id,
        organisation=organisation,
        node=asked.node,
        kind=asked.kind,
        cadence=asked.cadence,
        hour=asked.hour,
        to=tuple(dict.fromkeys(asked.to)),
        since=opened.clock(),
        set_by=actor.name,
        time_zone=await opened.reporting.store.zone(organisation),
        per_department=asked.per_department,
        department_to={one: tuple(dict.fromkeys(to)) for one, to in asked.department_to.items()},
    )


async def _refuse_other_departments(
    opened: Resources, named: Iterable[str], organisation: str
) -> None:
    """Let recipients be named for departments of the organisation only."""
    for one in named:
        with told_faults():
            path = await opened.administration.path_of(f"{DEPARTMENT}{one}")
        if organisation not in path:
            raise MalformedRequest(
                f"{DEPARTMENT}{one[:100]} is in another organisation.", param="department_to"
            )


async def _found(
    opened: Resources, actor: Actor, schedule_id: str, needed: Sequence[Permission]
) -> ReportSchedule:
    nodes_for(actor, needed[0])
    found = await opened.reporting.store.find(schedule_id)
    if found is None or not await _may(opened, actor, found, needed):
        raise _unknown()
    return found


async def _may(
    opened: Resources, actor: Actor, schedule: ReportSchedule, needed: Sequence[Permission]
) -> bool:
    try:
        path = await opened.administration.path_of(schedule.node)
    except OrganisationError:  # the node is gone, and its report can still be stopped
        path = (f"organisation:{schedule.organisation}",)
    return all(may(actor.grants, permission, path) for permission in needed)


def _tagged(schedule: ReportSchedule) -> list[object]:
    """What a schedule's ETag is of: what somebody has set, and not when or who."""
    one = schedule
    own = sorted((department, list(to)) for department, to in one.department_to.items())
    whom = [list(one.to), one.per_department, own]
    return [one.id, one.node, one.kind, one.cadence, one.hour, *whom]


def _shown(schedule: ReportSchedule) -> ShownSchedule:
    return ShownSchedule(**asdict(schedule), etag=etag_of(_tagged(schedule)))


def _answered(schedule: ReportSchedule, status: HTTPStatus = HTTPStatus.OK) -> Response:
    shown = _shown(schedule)
    return json_answer(shown, status, {"etag": shown.etag})


def _unknown() -> NotServed:
    return NotServed("There is no schedule of that id, or none that is yours.")
