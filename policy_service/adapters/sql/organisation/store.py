"""Administers the organisation: its units, people, limits, roles and Kong consumers.

`put_*` says how something shall be and makes it so, whatever it was before, so running the same
set-up twice changes nothing. Every change is written into the audit log by its own transaction.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.policy.roles import Actor
from policy_service.adapters.sql.engine import reading, writing
from policy_service.adapters.sql.key_changes import BY_US
from policy_service.adapters.sql.organisation.base import current
from policy_service.adapters.sql.organisation.changing import queue
from policy_service.adapters.sql.organisation.checks import (
    completed,
    require_holder,
    require_part,
)
from policy_service.adapters.sql.organisation.granting import Granting
from policy_service.adapters.sql.organisation.limiting import Limiting
from policy_service.adapters.sql.organisation.parts import (
    CONSUMERS,
    HOLDER,
    KINDS,
    STORED,
    Record,
    consumer_subject,
    held_of,
    key_values,
    kind_of,
)
from policy_service.adapters.sql.organisation.paths import nodes_above, organisation_of, path_of
from policy_service.adapters.sql.organisation.reading import read_organisation
from policy_service.adapters.sql.organisation.removal import removal
from policy_service.ports.organisation import (
    Change,
    ChangeKind,
    Holder,
    OrganisationError,
    PartCheck,
)

PUTTABLE = KINDS[: KINDS.index("consumer")]
"""Units, people and groups; keys, limits and roles have ways of their own."""

_UNLISTED = ("key", "limit")


class Organisation(Granting, Limiting):
    """Implements `ports.organisation.Administration` on PostgreSQL and SQLite."""

    async def path_of(self, node: str) -> tuple[str, ...]:
        """The node, and every node above it up to the organisation."""
        async with reading(self.engine) as connection:
            return await path_of(connection, node)

    async def parts(
        self, organisation: str | None = None, *, within: Collection[str] | None = None
    ) -> tuple[tuple[str, dict[str, Any]], ...]:
        """Subject and record of every part of one organisation, or of all, but keys and limits."""
        table = STORED["organisation"].table
        found: list[tuple[str, dict[str, Any]]] = []
        async with reading(self.engine) as connection:
            known = (await connection.execute(select(table.c.id).order_by(table.c.id))).scalars()
            for one in [one for one in known.all() if organisation in (None, one)]:
                whole = await read_organisation(connection, one, self.clock())
                found += [
                    (subject, dict(record))
                    for subject, record in whole.parts.items()
                    if kind_of(subject) not in _UNLISTED
                    and (
                        within is None
                        or not set(within).isdisjoint(nodes_above(subject, whole.parts))
                    )
                ]
        return tuple(dict(found).items())

    async def find(self, subject: str) -> dict[str, Any] | None:
        """The record of one part; `None` when it is not there."""
        if kind_of(subject) not in PUTTABLE:
            return None
        async with reading(self.engine) as connection:
            return await current(connection, subject)

    # --- units and people ------------------------------------------------------------------------

    async def put(
        self, subject: str, record: Record, actor: Actor = BY_US, *, check: PartCheck = None
    ) -> Change | None:
        """Make one part, or change it to this; `None` when it was so already."""
        if kind_of(subject) not in PUTTABLE:
            raise OrganisationError(f"{subject[:160]!r} names no kind of part")
        after = completed(subject, record)
        async with writing(self.engine) as connection:
            await queue(connection)
            organisation = await require_part(connection, subject, after)
            before = await current(connection, subject)
            if check is not None:
                check(before)
            if before is not None and kind_of(subject) not in ("organisation", "group"):
                owner = await organisation_of(connection, subject)
                if owner != organisation:
                    raise OrganisationError(f"{subject} belongs to another organisation")
            return await self.change(
                connection, organisation, subject, before=before, after=after, actor=actor
            )

    async def put_organisation(
        self,
        id: str,
        *,
        name: str | None = None,
        allowed_models: Sequence[str] | None = None,
        time_zone: str = "UTC",
        actor: Actor = BY_US,
    ) -> None:
        """Make the company, or change it to this."""
        record = {"name": name, "allowed_models": _listed(allowed_models), "time_zone": time_zone}
        await self.put(f"organisation:{id}", record, actor)

    async def put_department(
        self,
        id: str,
        *,
        organisation: str,
        name: str | None = None,
        allowed_models: Sequence[str] | None = None,
        cost_centre: str | None = None,
        actor: Actor = BY_US,
    ) -> None:
        """Make a department, or change it to this."""
        record = _unit(name, allowed_models, cost_centre) | {"organisation": organisation}
        await self.put(f"department:{id}", record, actor)

    async def put_team(
        self,
        id: str,
        *,
        department: str,
        name: str | None = None,
        allowed_models: Sequence[str] | None = None,
        cost_centre: str | None = None,
        actor: Actor = BY_US,
    ) -> None:
        """Make a team, or change it to this."""
        record = _unit(name, allowed_models, cost_centre) | {"department": department}
        await self.put(f"team:{id}", record, actor)

    async def put_project(
        self,
        id: str,
        *,
        team: str,
        name: str | None = None,
        allowed_models: Sequence[str] | None = None,
        cost_centre: str | None = None,
        actor: Actor = BY_US,
    ) -> None:
        """Make a project, or change it to this; what belongs to it moves with it."""
        record = _unit(name, allowed_models, cost_centre) | {"team": team}
        await self.put(f"project:{id}", record, actor)

    async def put_cost_centre(
        self, id: str, *, organisation: str, name: str | None = None, actor: Actor = BY_US
    ) -> None:
        """Make a cost centre, or change it to this."""
        record = {"organisation": organisation, "name": name}
        await self.put(f"cost_centre:{id}", record, actor)

    async def put_model_group(
        self, id: str, *, organisation: str, models: Sequence[str], actor: Actor = BY_US
    ) -> None:
        """Make a group of models, or change it to this."""
        record = {"organisation": organisation, "models": list(models)}
        await self.put(f"model_group:{organisation}:{id}", record, actor)

    async def put_user(
        self,
        id: str,
        *,
        organisation: str,
        name: str | None = None,
        email: str | None = None,
        subject: str | None = None,
        team: str | None = None,
        project: str | None = None,
        clearance: str | None = None,
        is_active: bool = True,
        actor: Actor = BY_US,
    ) -> None:
        """Make a person, or change them to this."""
        record = {
            "organisation": organisation,
            "name": name,
            "email": email,
            "subject": subject,
            "team": team,
            "project": project,
            "clearance": clearance,
            "is_active": is_active,
        }
        await self.put(f"user:{id}", record, actor)

    async def put_application(
        self,
        id: str,
        *,
        team: str,
        project: str | None = None,
        name: str | None = None,
        is_active: bool = True,
        actor: Actor = BY_US,
    ) -> None:
        """Make a service account, or change it to this."""
        record = {"team": team, "project": project, "name": name, "is_active": is_active}
        await self.put(f"application:{id}", record, actor)

    async def put_group(self, source: str, name: str, place: Holder, actor: Actor = BY_US) -> None:
        """Say where the members of a group belong.

        Args:
            source: `kong`, or an issuer's URL.
            name: The group's, as that source writes it.
            place: Team, project, roles, clearance and models; its other fields are not looked at.
            actor: Who says so.
        """
        record = {
            "team": place.team,
            "project": place.project,
            "roles": list(place.roles),
            "clearance": place.clearance,
            "allowed_models": _listed(place.allowed_models),
        }
        await self.put(f"group:{source} {name}", record, actor)

    async def remove(
        self, subject: str, actor: Actor = BY_US, *, check: PartCheck = None
    ) -> tuple[Change, ...]:
        """Take one part away with everything below it; its keys are revoked."""
        if kind_of(subject) not in (*PUTTABLE, "consumer"):
            raise OrganisationError(f"{subject[:160]!r} names no kind of part")
        async with writing(self.engine) as connection:
            await queue(connection)
            organisation = await self._owner(connection, subject)
            if check is not None:
                check(await current(connection, subject) if organisation is not None else None)
            if organisation is None:
                return ()
            found = await read_organisation(connection, organisation, self.clock())
            changes = removal(found.parts, subject)
            changing = self.changing(connection, organisation, actor, found.ids)
            await changing.carry_out(changes)
            return changes

    async def _owner(self, connection: AsyncConnection, subject: str) -> str | None:
        """The organisation of what is to go; `None` when it is not there."""
        match kind_of(subject):
            case "group" | "consumer":
                row = await _row_of_place(connection, subject)
                node = None if row is None else f"team:{row['team_id']}"
            case _:
                is_there = await current(connection, subject) is not None
                node = subject if is_there else None
        return None if node is None else await organisation_of(connection, node)

    # --- Kong consumers --------------------------------------------------------------------------

    async def bind_consumer(
        self,
        holder: Holder,
        *,
        username: str | None = None,
        custom_id: str | None = None,
        actor: Actor = BY_US,
    ) -> None:
        """Say whom a Kong consumer stands for, or change it.

        Raises:
            OrganisationError: The team or project does not fit, or no name is given.
        """
        if not username and not custom_id:
            raise OrganisationError("a consumer is named by `username`, `custom_id` or both")
        names = {"username": username or None, "custom_id": custom_id or None}
        subject = consumer_subject(username, custom_id)
        held = {name: _listed(getattr(holder, name)) for name in HOLDER}
        async with writing(self.engine) as connection:
            await queue(connection)
            organisation = await require_holder(connection, holder)
            changes = [Change(ChangeKind.ADD, subject, None, names | held)]
            ids: dict[str, str] = {}
            # A binding that shares either name is the same consumer's older one.
            for row in await _consumers(connection, names):
                old = {"username": row["username"], "custom_id": row["custom_id"]}
                name = consumer_subject(**old)
                ids[name] = row["id"]
                before = old | held_of(row)
                if name == subject:
                    changes[0] = Change(ChangeKind.CHANGE, subject, before, names | held)
                else:
                    changes.append(Change(ChangeKind.REMOVE, name, before, None))
            if changes[0].before == changes[0].after:
                return
            await self.changing(connection, organisation, actor, ids).carry_out(changes)


async def _row_of_place(connection: AsyncConnection, subject: str) -> Mapping[str, Any] | None:
    if kind_of(subject) == "group":
        return await _current_row(connection, subject)
    found = await connection.execute(select(CONSUMERS))
    names = [column.key for column in CONSUMERS.columns]
    rows = (dict(zip(names, row, strict=True)) for row in found.all())
    wanted = (row for row in rows if consumer_subject(row["username"], row["custom_id"]) == subject)
    return next(wanted, None)


async def _current_row(connection: AsyncConnection, subject: str) -> Mapping[str, Any] | None:
    kind = STORED[kind_of(subject)]
    values = key_values(subject, {})
    found = await connection.execute(
        select(kind.table).where(*(kind.table.c[name] == values[name] for name in kind.key))
    )
    row = found.mappings().first()
    return None if row is None else dict(row)


async def _consumers(
    connection: AsyncConnection, names: Mapping[str, str | None]
) -> list[dict[str, Any]]:
    shared = [CONSUMERS.c[name] == value for name, value in names.items() if value]
    found = await connection.execute(select(CONSUMERS).where(or_(*shared)))
    columns = [column.key for column in CONSUMERS.columns]
    return [dict(zip(columns, row, strict=True)) for row in found.all()]


def _unit(
    name: str | None, allowed_models: Sequence[str] | None, cost_centre: str | None
) -> dict[str, Any]:
    models = _listed(allowed_models)
    return {"name": name, "allowed_models": models, "cost_centre": cost_centre}


def _listed(value: Any) -> Any:  # noqa: ANN401 - a list stays one, a tuple becomes one
    return list(value) if isinstance(value, list | tuple) else value
