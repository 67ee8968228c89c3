"""Scheduled reports in SQL: a claim is a row, so each report is sent by one process."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, Select, delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.policy.roles import Actor
from policy_service.adapters.sql.audit import record
from policy_service.adapters.sql.callers import utc_now
from policy_service.adapters.sql.engine import (
    insert_into,
    reading,
    reading_one_moment,
    writing,
)
from policy_service.adapters.sql.organisation.changing import queue
from policy_service.adapters.sql.tables import Base, DepartmentUnit, OrganisationUnit
from policy_service.adapters.sql.usage_sums import UsageSum, usage_between
from policy_service.ports.clock import Clock
from policy_service.ports.organisation import Check
from policy_service.ports.report_schedules import (
    Cadence,
    NewRun,
    ReportFigures,
    ReportKind,
    ReportRun,
    ReportSchedule,
    RunState,
    UsedBy,
)

_SCHEDULES = Base.metadata.tables["report_schedules"]
_RUNS = Base.metadata.tables["report_runs"]
_STORED = tuple(field.name for field in fields(ReportSchedule) if field.name != "time_zone")
_RUN = tuple(field.name for field in fields(ReportRun))
_LEASE = timedelta(minutes=10)
_UNTOLD = "(none)"


class SqlReportSchedules:
    """Implements `ports.report_schedules.ReportSchedules` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine
        self._clock = clock

    async def all(self, organisations: frozenset[str] | None = None) -> Sequence[ReportSchedule]:
        """Every schedule; see the port."""
        query = _schedules().order_by(_SCHEDULES.c.id)
        if organisations is not None:
            query = query.where(_SCHEDULES.c.organisation.in_(sorted(organisations)))
        async with reading(self._engine) as connection:
            return [_schedule(row) for row in await connection.execute(query)]

    async def find(self, schedule_id: str) -> ReportSchedule | None:
        """One of them; see the port."""
        async with reading(self._engine) as connection:
            return await _found(connection, schedule_id)

    async def put(
        self, actor: Actor, schedule: ReportSchedule, *, check: Check[ReportSchedule] | None = None
    ) -> ReportSchedule:
        """Add it, or change the one of its id; see the port."""
        row = {name: value for name, value in asdict(schedule).items() if name in _STORED}
        row |= {
            **_recipients(schedule),
            "since": self._clock(),
            "set_by": actor.name,
        }
        async with writing(self._engine) as connection:
            await queue(connection)
            before = await _found(connection, schedule.id)
            if check is not None:
                check(before)
            if before is not None and _what(before) == _what(schedule):
                row["since"] = before.since  # so that what failed is tried again
            changed = {_SCHEDULES.c[name]: value for name, value in row.items() if name != "id"}
            statement = insert_into(connection, _SCHEDULES).values(row)
            await connection.execute(
                statement.on_conflict_do_update(index_elements=["id"], set_=changed)
            )
            made = await _found(connection, schedule.id)
            assert made is not None  # noqa: S101 - it was written just now
            await _record(connection, actor, "report.set", before, made)
        return made

    async def remove(
        self, actor: Actor, schedule: ReportSchedule, *, check: Check[ReportSchedule] | None = None
    ) -> bool:
        """Take it away; see the port."""
        async with writing(self._engine) as connection:
            await queue(connection)
            if check is not None:
                check(await _found(connection, schedule.id))
            gone = delete(_SCHEDULES).where(_SCHEDULES.c.id == schedule.id)
            if (await connection.execute(gone.returning(_SCHEDULES.c.id))).first() is None:
                return False
            await _record(connection, actor, "report.remove", schedule, None)
        return True

    async def claim(self, run_id: str, report: NewRun) -> ReportRun | None:
        """Take a report upon oneself; see the port."""
        now = self._clock()
        row = {
            "id": run_id,
            **asdict(report),
            "state": RunState.SENDING.value,
            "attempts": 1,
            "at": now,
            "next_at": now + _LEASE,
            "error": "",
        }
        again = (
            update(_RUNS)
            .where(_RUNS.c.id == run_id, _RUNS.c.next_at <= now)
            .where(_RUNS.c.state.in_([RunState.SENDING.value, RunState.WAITING.value]))
            .values(
                state=RunState.SENDING.value,
                attempts=_RUNS.c.attempts + 1,
                next_at=now + _LEASE,
            )
        )
        columns = [_RUNS.c[name] for name in _RUN]
        async with writing(self._engine) as connection:
            first = insert_into(connection, _RUNS).values(row).on_conflict_do_nothing()
            found = (await connection.execute(first.returning(*columns))).first()
            if found is None:
                found = (await connection.execute(again.returning(*columns))).first()
        return None if found is None else _run(found)

    async def settle(self, run: ReportRun, state: RunState, next_at: datetime, error: str) -> None:
        """Say how it went; see the port."""
        sent_at = self._clock() if state is RunState.SENT else None
        statement = (
            update(_RUNS)
            .where(_RUNS.c.id == run.id, _RUNS.c.attempts == run.attempts)
            .where(_RUNS.c.state == RunState.SENDING.value)
            .values(state=state.value, next_at=next_at, error=error, sent_at=sent_at)
        )
        async with writing(self._engine) as connection:
            await connection.execute(statement)

    async def runs(
        self,
        schedule_id: str,
        *,
        most: int,
        after: tuple[datetime, str] | None = None,
        ending: str = "",
    ) -> Sequence[ReportRun]:
        """What was sent; see the port."""
        query = (
            select(*(_RUNS.c[name] for name in _RUN))
            .where(_RUNS.c.schedule == schedule_id, _RUNS.c.id.endswith(ending, autoescape=True))
            .order_by(_RUNS.c.at.desc(), _RUNS.c.id.desc())
        )
        if after is not None:
            query = query.where(tuple_(_RUNS.c.at, _RUNS.c.id) < after)
        async with reading(self._engine) as connection:
            return [_run(row) for row in await connection.execute(query.limit(most))]

    async def zone(self, organisation: str) -> str:
        """The organisation's time zone; see the port."""
        query = select(OrganisationUnit.time_zone).where(OrganisationUnit.id == organisation)
        async with reading(self._engine) as connection:
            return (await connection.execute(query)).scalar_one_or_none() or "UTC"

    async def departments(self, organisation: str) -> Sequence[str]:
        """The departments that it has now; see the port."""
        query = select(DepartmentUnit.id).where(DepartmentUnit.organisation_id == organisation)
        async with reading(self._engine) as connection:
            return (await connection.execute(query.order_by(DepartmentUnit.id))).scalars().all()

    async def spenders(self, organisation: str, start: datetime, end: datetime) -> Sequence[str]:
        """The departments that used something then; see the port."""
        async with reading_one_moment(self._engine) as connection:
            found = await usage_between(
                connection, start, end, by=("department",), only={"organisation": organisation}
            )
        return sorted(name for one in found if (name := one.keys["department"]))

    async def figures(
        self,
        node: str,
        organisation: str,
        days: Sequence[tuple[str, datetime, datetime]],
        before: datetime,
    ) -> ReportFigures:
        """What a node used; see the port."""
        start, end = days[0][1], days[-1][2]
        only, nodes = {"organisation": organisation}, frozenset({node})

        async def used(first: datetime, last: datetime, *by: str) -> list[UsageSum]:
            return await usage_between(connection, first, last, by=by, only=only, nodes=nodes)

        async with reading_one_moment(self._engine) as connection:
            teams = await used(start, end, "department", "team")
            earlier = await used(before, start, "department", "team")
            models = await used(start, end, "model")
            earlier_models = await used(before, start, "model")
            untagged = [
                one for one in await used(start, end, "cost_centre") if not one.keys["cost_centre"]
            ]
            by_day = [(name, await used(first, last)) for name, first, last in days]
        return ReportFigures(
            requests=sum(one.requests for one in teams),
            usd=_usd(teams),
            before_usd=_usd(earlier),
            untagged_usd=_usd(untagged),
            days=tuple(
                UsedBy(name, sum(one.requests for one in some), _usd(some)) for name, some in by_day
            ),
            teams=_ranked(teams, earlier),
            models=_ranked(models, earlier_models),
        )


def _schedules() -> Select[Any]:
    """Those of organisations that are there."""
    joined = _SCHEDULES.join(
        OrganisationUnit.__table__, OrganisationUnit.id == _SCHEDULES.c.organisation
    )
    columns = [_SCHEDULES.c[name].label(name) for name in _STORED]
    return select(*columns, OrganisationUnit.time_zone).select_from(joined)


async def _found(connection: AsyncConnection, schedule_id: str) -> ReportSchedule | None:
    row = (await connection.execute(_schedules().where(_SCHEDULES.c.id == schedule_id))).first()
    return None if row is None else _schedule(row)


async def _record(
    connection: AsyncConnection,
    actor: Actor,
    action: str,
    before: ReportSchedule | None,
    after: ReportSchedule | None,
) -> None:
    named = after or before
    assert named is not None  # noqa: S101 - one of them is there
    await record(
        connection,
        actor,
        action,
        f"report:{named.id}",
        _told(before),
        _told(after),
        organisation=named.organisation,
    )


def _what(schedule: ReportSchedule) -> tuple[object, ...]:
    return (schedule.node, schedule.kind, schedule.cadence, schedule.per_department)


def _recipients(schedule: ReportSchedule) -> dict[str, Any]:
    own = {one: list(some) for one, some in schedule.department_to.items()}
    return {"to": list(schedule.to), "department_to": own}


def _told(schedule: ReportSchedule | None) -> dict[str, Any] | None:
    if schedule is None:
        return None
    told = asdict(schedule)
    names = ("node", "kind", "cadence", "hour", "per_department")
    return {name: told[name] for name in names} | _recipients(schedule)


def _schedule(row: Row[Any]) -> ReportSchedule:
    values = dict(row._mapping)
    return ReportSchedule(
        **{
            **values,
            "kind": ReportKind(values["kind"]),
            "cadence": Cadence(values["cadence"]),
            "to": tuple(values["to"]),
            "department_to": {one: tuple(some) for one, some in values["department_to"].items()},
        }
    )


def _run(row: Row[Any]) -> ReportRun:
    values = {name: getattr(row, name) for name in _RUN}
    return ReportRun(**{**values, "state": RunState(values["state"])})


def _usd(sums: Collection[UsageSum]) -> Decimal:
    return sum((one.usd for one in sums), Decimal(0))


def _ranked(now: Sequence[UsageSum], before: Sequence[UsageSum]) -> tuple[UsedBy, ...]:
    earlier = {_name(one): one.usd for one in before}
    used = {_name(one): UsedBy(_name(one), one.requests, one.usd) for one in now}
    found = [
        UsedBy(
            name,
            used[name].requests if name in used else 0,
            used[name].usd if name in used else Decimal(0),
            earlier.get(name, Decimal(0)),
        )
        for name in used.keys() | earlier.keys()
    ]
    return tuple(sorted(found, key=lambda one: (-one.usd, -one.before_usd, one.name)))


def _name(one: UsageSum) -> str:
    return " / ".join(value or _UNTOLD for value in one.keys.values())
