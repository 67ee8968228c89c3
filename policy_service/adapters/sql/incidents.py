"""Incidents in SQL: a unique key sees to it that each is opened once, over all processes.

A notice is written in the transaction of what it tells of, one row for each channel.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import RowMapping, Select, false, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.alerts.incident import (
    Incident,
    IncidentKind,
    NoticeEvent,
    Severity,
    Trouble,
)
from llm_core.alerts.routing import Routes
from policy_service.adapters.sql.engine import insert_into, reading, writing
from policy_service.adapters.sql.tables import Base
from policy_service.adapters.sql.visible_nodes import at_or_below
from policy_service.ids import new_id

INCIDENTS = Base.metadata.tables["incidents"]
OUTBOX = Base.metadata.tables["alert_outbox"]
_FIELDS = tuple(field.name for field in fields(Incident))
_COLUMNS = tuple(INCIDENTS.c[name] for name in _FIELDS)


class SqlIncidents:
    """Implements `ports.Incidents` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def open_ones(self, kind: IncidentKind) -> Mapping[str, Incident]:
        """See `Incidents.open_ones`."""
        query = select(*_COLUMNS).where(
            INCIDENTS.c.kind == kind.value, INCIDENTS.c.recovered_at.is_(None)
        )
        async with reading(self._engine) as connection:
            found = (await connection.execute(query)).mappings().all()
        return {row["subject"]: _incident_of(row) for row in found}

    async def see(
        self,
        troubles: Sequence[Trouble],
        now: datetime,
        routes: Routes,
        *,
        again_after: timedelta | None = None,
        tells_every_stage: bool = False,
    ) -> Sequence[Incident]:
        """See `Incidents.see`; in the order of their keys, so that two processes do not lock."""
        new: list[Incident] = []
        for trouble in sorted(troubles, key=_key_of):
            async with writing(self._engine) as connection:
                opened = await _open(connection, trouble, now)
                if opened is not None:
                    due = routes.due(trouble.kind, trouble.severity, now)
                    event, step = NoticeEvent.OPENED, _stage_step(trouble.stage)
                    await _note(connection, opened, event, step, due=due, now=now)
                    new.append(opened)
                    continue
                await _seen_again(
                    connection,
                    trouble,
                    now,
                    routes,
                    again_after=again_after,
                    tells_every_stage=tells_every_stage,
                )
        return new

    async def recover(
        self, incidents: Sequence[Incident], now: datetime, routes: Routes
    ) -> Sequence[Incident]:
        """See `Incidents.recover`."""
        ended: list[Incident] = []
        for incident in sorted(incidents, key=lambda one: one.id):
            async with writing(self._engine) as connection:
                statement = (
                    update(INCIDENTS)
                    .where(INCIDENTS.c.id == incident.id, INCIDENTS.c.recovered_at.is_(None))
                    .values(recovered_at=now, open_key=None)
                    .returning(*_COLUMNS)
                )
                row = (await connection.execute(statement)).mappings().first()
                if row is None:
                    continue
                over = _incident_of(row)
                told = await connection.execute(
                    select(OUTBOX.c.channel).where(OUTBOX.c.incident_id == over.id).distinct()
                )
                due = {name: routes.due_at(name, over.severity, now) for name in told.scalars()}
                await _note(connection, over, NoticeEvent.RECOVERED, "recovered", due=due, now=now)
                ended.append(over)
        return ended

    async def listed(
        self,
        *,
        is_open: bool,
        nodes: Collection[str] | None = None,
        sees_platform: bool = True,
        before: str | None = None,
        most: int = 100,
    ) -> tuple[Incident, ...]:
        """See `Incidents.listed`."""
        query: Select[Any] = select(*_COLUMNS).order_by(INCIDENTS.c.id.desc()).limit(most)
        if is_open:
            query = query.where(INCIDENTS.c.recovered_at.is_(None))
        is_platform = INCIDENTS.c.node.is_(None)
        if nodes is not None:
            seen = is_platform if sees_platform else false()
            query = query.where(or_(at_or_below(nodes, INCIDENTS.c.node), seen))
        elif not sees_platform:
            query = query.where(~is_platform)
        if before is not None:
            query = query.where(INCIDENTS.c.id < before)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        return tuple(_incident_of(row) for row in rows)


async def _open(connection: AsyncConnection, trouble: Trouble, now: datetime) -> Incident | None:
    """Open an incident; `None` when one is open."""
    made = Incident(
        id=new_id("inc"),
        opened_at=now,
        last_seen_at=now,
        **_told_by(trouble),
        kind=trouble.kind,
        subject=trouble.subject,
        node=trouble.node,
    )
    statement = (
        insert_into(connection, INCIDENTS)
        .values(**asdict(made), stage=trouble.stage, told_at=now, open_key=_key_of(trouble))
        .on_conflict_do_nothing(index_elements=["open_key"])
        .returning(INCIDENTS.c.id)
    )
    return None if (await connection.execute(statement)).first() is None else made


async def _seen_again(
    connection: AsyncConnection,
    trouble: Trouble,
    now: datetime,
    routes: Routes,
    *,
    again_after: timedelta | None,
    tells_every_stage: bool,
) -> None:
    known = await connection.execute(
        select(*_COLUMNS, INCIDENTS.c.stage, INCIDENTS.c.told_at)
        .where(INCIDENTS.c.open_key == _key_of(trouble))
        .with_for_update()
    )
    row = known.mappings().first()
    if row is None:
        return  # it was ended just now; whoever looks next opens another
    is_worse = trouble.stage > row["stage"]
    told = _told_by(trouble)
    seen = replace(_incident_of(row), last_seen_at=now, **told)
    changes: dict[str, Any] = {"last_seen_at": now}
    due = routes.due(trouble.kind, trouble.severity, now)
    if is_worse or tells_every_stage:
        step = _stage_step(trouble.stage)
        await _note(connection, seen, NoticeEvent.WORSE, step, due=due, now=now)
    elif again_after is not None and row["told_at"] + again_after <= now:
        step = f"again:{now.isoformat()}"
        await _note(connection, seen, NoticeEvent.STILL_OPEN, step, due=due, now=now)
        changes["told_at"] = now
    if is_worse:
        changes.update(told, stage=trouble.stage, told_at=now)
    elif trouble.stage == row["stage"]:
        changes.update(told)
    await connection.execute(update(INCIDENTS).where(INCIDENTS.c.id == seen.id).values(**changes))


async def _note(
    connection: AsyncConnection,
    incident: Incident,
    event: NoticeEvent,
    step: str,
    *,
    due: Mapping[str, datetime],
    now: datetime,
) -> None:
    """Put a notice for each channel into the outbox, once for each step."""
    rows = [
        {
            "id": new_id("ntc"),
            "incident_id": incident.id,
            "channel": channel,
            "step": step,
            "event": event.value,
            "at": now,
            "incident": msgspec.to_builtins(incident),
            "due_at": due_at,
            "is_urgent": incident.severity is Severity.CRITICAL,
            "attempts": 0,
        }
        for channel, due_at in due.items()
    ]
    if rows:
        statement = insert_into(connection, OUTBOX).on_conflict_do_nothing(
            index_elements=["incident_id", "channel", "step"]
        )
        await connection.execute(statement, rows)


def _told_by(trouble: Trouble) -> dict[str, Any]:
    return {
        "severity": trouble.severity,
        "title": trouble.title,
        "detail": trouble.detail,
        "facts": dict(trouble.facts),
    }


def _stage_step(stage: int) -> str:
    return f"stage:{stage}"


def _key_of(trouble: Trouble) -> str:
    return f"{trouble.kind}|{trouble.subject}"


def _incident_of(row: RowMapping) -> Incident:
    values = {name: row[name] for name in _FIELDS}
    values["kind"], values["severity"] = IncidentKind(row["kind"]), Severity(row["severity"])
    return Incident(**values)
