"""Carries changes out, in the one transaction in which they were found to be needed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Table, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.operation import Operation
from llm_core.policy.limits import Priority
from llm_core.policy.roles import PLATFORM, Actor
from policy_service.adapters.sql import audit
from policy_service.adapters.sql.engine import insert_into
from policy_service.adapters.sql.key_changes import issue_in, require_people, revoke_in
from policy_service.adapters.sql.organisation.parts import (
    CONSUMERS,
    HOLDER,
    KEYS,
    KINDS,
    RAISES,
    ROLES,
    STORED,
    Record,
    held_row,
    id_of,
    key_values,
    kind_of,
    row_of,
    scopes_row,
)
from policy_service.adapters.sql.tables import Base
from policy_service.ids import new_id
from policy_service.ports.keys import Scopes
from policy_service.ports.organisation import Change, ChangeKind, Holder, OrganisationError

_TABLES = Base.metadata.tables
_BELONGS_TO_PROJECT = ("api_keys", "kong_consumers", "group_bindings", "applications", "users")
_LOCK = 0x67617468  # any number that nobody else takes in this database
_AT_ONCE = 500


async def queue(connection: AsyncConnection) -> None:
    """Wait until nobody else changes the organisation; held until the transaction ends."""
    # SQLite has one writer at a time anyway.
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


@dataclass(slots=True)
class Changing:
    """Carries out the changes of one organisation.

    Args:
        connection: Of the transaction.
        actor: Who wants them.
        organisation: Whose parts these are.
        now: When.
        ids: Ids of its keys and consumers, by subject.
    """

    connection: AsyncConnection
    actor: Actor
    organisation: str | None
    now: datetime
    ids: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    """The text of every key that was issued, by subject."""

    async def carry_out(self, changes: Sequence[Change]) -> None:
        """Make them so, and write them down.

        Raises:
            OrganisationError: An id or an address is somebody else's already.
        """
        by_kind: dict[str, list[Change]] = {kind: [] for kind in KINDS}
        for change in changes:
            by_kind[kind_of(change.subject)].append(change)
        await self._refuse_ids_of_others(changes)
        await self._free_names(by_kind)
        for kind in KINDS:
            wanted = [one for one in by_kind[kind] if one.after is not None]
            await self._put(kind, wanted)
        for kind in reversed(KINDS):
            await self._remove(kind, [one for one in by_kind[kind] if one.after is None])
        await audit.record_all(
            self.connection,
            self.actor,
            [self._entry(one) for one in changes if not _is_told_elsewhere(one)],
            organisation=self.organisation,
            at=self.now,
        )

    def _entry(self, change: Change) -> audit.Entry:
        kind = kind_of(change.subject)
        subject = change.subject
        if kind == "key":
            subject = f"key:{self.ids[subject]}"
        elif kind == "limit":
            record = change.after or change.before or {}
            subject = f"limit:{self._node(record['node'])}" + subject.removeprefix(
                f"limit:{record['node']}"
            )
        return audit.Entry(f"{kind}.{change.kind}", subject, change.before, change.after)

    def _node(self, node: str) -> str:
        """The node of a limit: a key's by its id."""
        return f"key:{self.ids[node]}" if node in self.ids else node

    # --- what must not be ------------------------------------------------------------------------

    async def _refuse_ids_of_others(self, changes: Iterable[Change]) -> None:
        """An id is unique within its kind, over all organisations."""
        added: dict[str, list[str]] = {}
        for change in changes:
            kind = kind_of(change.subject)
            if change.kind is not ChangeKind.ADD:
                continue
            if kind == "group":
                await self._refuse_taken_group(change.subject)
            elif kind in STORED and STORED[kind].key == ("id",):
                added.setdefault(kind, []).append(id_of(change.subject))
        for kind, ids in added.items():
            await self._refuse_taken(kind, "id", ids)

    async def _refuse_taken(self, kind: str, column: str, values: Sequence[str]) -> None:
        table = CONSUMERS if kind == "consumer" else STORED[kind].table
        for some in _portions(values):
            found = await self.connection.execute(
                select(table.c[column]).where(table.c[column].in_(some)).limit(1)
            )
            if (taken := found.scalar()) is not None:
                raise OrganisationError(
                    f"there is another {kind} already whose {column} is {taken!r}"
                )

    async def _refuse_taken_group(self, subject: str) -> None:
        table = STORED["group"].table
        values = key_values(subject, {})
        same = (table.c[name] == value for name, value in values.items())
        if (await self.connection.execute(select(table.c.name).where(*same))).first() is not None:
            raise OrganisationError(f"the group {id_of(subject)!r} is another organisation's")

    async def _free_names(self, by_kind: Mapping[str, Sequence[Change]]) -> None:
        """Take back what is unique from whoever changes or goes, so that another can have it."""
        users = [one for one in by_kind["user"] if one.before is not None]
        await self._each(
            update(_TABLES["users"])
            .where(_TABLES["users"].c.id == bindparam("its_id"))
            .values(email=None, subject=None),
            [{"its_id": id_of(one.subject)} for one in users],
        )
        for column in ("email", "subject"):
            await self._refuse_taken("user", column, _values(by_kind["user"], column))
        consumers = [one for one in by_kind["consumer"] if one.before is not None]
        await self._each(
            delete(CONSUMERS).where(CONSUMERS.c.id == bindparam("its_id")),
            [{"its_id": self.ids[one.subject]} for one in consumers],
        )
        for column in ("username", "custom_id"):
            await self._refuse_taken("consumer", column, _values(by_kind["consumer"], column))

    # --- adding and changing ---------------------------------------------------------------------

    async def _put(self, kind: str, changes: Sequence[Change]) -> None:
        if kind in ("key", "consumer") and self.organisation is not None:
            for change in changes:
                record = change.after or {}
                await require_people(
                    self.connection, self.organisation, record["user"], record["application"]
                )
        match kind:
            case "key":
                for change in changes:
                    await self._put_key(change.subject, change.after or {}, change.before)
            case "consumer":
                rows = [self._consumer_row(one.subject, one.after or {}) for one in changes]
                if rows:
                    await self.connection.execute(insert(CONSUMERS), rows)
            case _:
                await self._upsert(STORED[kind].table, [self._row(one) for one in changes])
        if kind == "project":
            await self._move_with_project(changes)

    def _row(self, change: Change) -> dict[str, Any]:
        row = row_of(change.subject, change.after or {})
        return row | {"node": self._node(row["node"])} if "node" in row else row

    async def _upsert(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        if not rows:
            return
        keys = [column.name for column in table.primary_key]
        statement = insert_into(self.connection, table)
        others = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        if others:
            whole = statement.on_conflict_do_update(index_elements=keys, set_=others)
        else:
            whole = statement.on_conflict_do_nothing()
        await self.connection.execute(whole, rows)

    async def _move_with_project(self, changes: Sequence[Change]) -> None:
        """What belongs to a project belongs to its team."""
        moved = [
            {"its_id": id_of(one.subject), "its_team": one.after["team"]}
            for one in changes
            if one.before is not None
            and one.after is not None
            and one.before["team"] != one.after["team"]
        ]
        for name in _BELONGS_TO_PROJECT:
            table = _TABLES[name]
            await self._each(
                update(table)
                .where(table.c.project_id == bindparam("its_id"))
                .values(team_id=bindparam("its_team")),
                moved,
            )

    def _consumer_row(self, subject: str, record: Record) -> dict[str, Any]:
        self.ids[subject] = new_id("con")
        names = {"username": record["username"], "custom_id": record["custom_id"]}
        return {"id": self.ids[subject]} | names | held_row(record)

    async def _put_key(self, subject: str, record: Record, before: Record | None) -> None:
        if before is not None:
            await self.connection.execute(
                update(KEYS)
                .where(KEYS.c.id == self.ids[subject])
                .values(**held_row(record), **scopes_row(record))
            )
            return
        issued = await issue_in(
            self.connection,
            self.actor,
            self.now,
            record["name"],
            holder_of(record),
            scopes=Scopes(
                tuple(Operation(one) for one in record["operations"]),
                tuple(record["networks"]),
                Priority(record["priority"]),
            ),
            expires_at=scopes_row(record)["expires_at"],
        )
        self.ids[subject], self.texts[subject] = issued.record.id, issued.text

    # --- removing --------------------------------------------------------------------------------

    async def _remove(self, kind: str, changes: Sequence[Change]) -> None:
        if kind == "consumer":
            return  # gone already: see `_free_names`
        if kind == "key":
            for change in changes:
                await revoke_in(self.connection, self.actor, self.now, self.ids[change.subject])
            return
        if kind in ("team", "project"):
            await self._revoke_what_is_left(kind, [id_of(one.subject) for one in changes])
        if kind == "limit":
            await self._withdraw_raises(changes)
        if kind in ("user", "application"):
            await self._take_roles([one.subject for one in changes])
        table = STORED[kind].table
        keys = [self._key_values(one) for one in changes]
        columns = [column.name for column in table.primary_key]
        await self._each(
            delete(table).where(*(table.c[name] == bindparam(f"its_{name}") for name in columns)),
            [{f"its_{name}": values[name] for name in columns} for values in keys],
        )

    def _key_values(self, change: Change) -> dict[str, Any]:
        values = key_values(change.subject, change.before or {})
        return values | {"node": self._node(values["node"])} if "node" in values else values

    async def _revoke_what_is_left(self, kind: str, ids: Sequence[str]) -> None:
        """Keys that came to be since the parts were read."""
        column = KEYS.c.team_id if kind == "team" else KEYS.c.project_id
        for some in _portions(ids):
            found = await self.connection.execute(
                select(KEYS.c.id).where(column.in_(some), KEYS.c.revoked_at.is_(None))
            )
            for key_id in found.scalars().all():
                await revoke_in(self.connection, self.actor, self.now, key_id)

    async def _withdraw_raises(self, changes: Sequence[Change]) -> None:
        await self._each(
            update(RAISES)
            .where(
                RAISES.c.node == bindparam("its_node"),
                RAISES.c.scope == bindparam("its_scope"),
                RAISES.c.measure == bindparam("its_measure"),
                RAISES.c.withdrawn_at.is_(None),
                RAISES.c.until > self.now,
            )
            .values(withdrawn_at=self.now),
            [
                {f"its_{name}": value for name, value in self._key_values(one).items()}
                for one in changes
            ],
        )

    async def _take_roles(self, subjects: Sequence[str]) -> None:
        """Whoever comes by this name later must not find the roles of who is gone."""
        for some in _portions(subjects):
            gone = or_(
                ROLES.c.subject.in_(some), and_(ROLES.c.node.in_(some), ROLES.c.node != PLATFORM)
            )
            rows = (await self.connection.execute(select(ROLES).where(gone))).mappings().all()
            await self.connection.execute(delete(ROLES).where(gone))
            entries = [
                audit.Entry(
                    "role.remove",
                    f"role:{row['role']}@{row['node']} {row['subject']}",
                    dict(row),
                    None,
                )
                for row in rows
            ]
            await audit.record_all(
                self.connection,
                self.actor,
                entries,
                organisation=self.organisation,
                at=self.now,
            )

    async def _each(self, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:  # noqa: ANN401
        if rows:
            await self.connection.execute(statement, list(rows))


def holder_of(record: Record) -> Holder:
    """Whom the record of a key or a consumer stands for."""
    values = {name: record[name] for name in HOLDER}
    models = values.pop("allowed_models")
    return Holder(
        **values
        | {name: tuple(values[name]) for name in ("roles", "groups")}
        | {"allowed_models": None if models is None else tuple(models)}
    )


def _is_told_elsewhere(change: Change) -> bool:
    """Whether what issues and revokes keys has written it down."""
    return kind_of(change.subject) == "key" and change.kind is not ChangeKind.CHANGE


def _values(changes: Iterable[Change], column: str) -> list[str]:
    found = (one.after[column] for one in changes if one.after is not None)
    return [value for value in found if value]


def _portions(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))
