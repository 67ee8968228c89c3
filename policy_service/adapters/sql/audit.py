"""Who changed what: written with the change, and read newest first.

What is written here is put into the outbox of the audit chain in the same transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, func, insert, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.audit.event import chain_of
from llm_core.policy.roles import Actor
from policy_service.adapters.sql.callers import utc_now
from policy_service.adapters.sql.engine import reading
from policy_service.adapters.sql.tables import ApiKey, AuditEntry, Base, ProjectUnit
from policy_service.ids import new_id
from policy_service.ports.organisation import AuditRecord

_LOG = Base.metadata.tables["audit_log"]
_OUTBOX = Base.metadata.tables["audit_outbox"]
_LIMIT = "limit:"
_MAX_SUBJECT_CHARS = 400
_MAX_NAME_CHARS = 200
MOST = 1001
"""A page of 1,000, and one more that tells of a next page."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change to be written down; see `record`."""

    action: str
    subject: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


async def record(  # noqa: PLR0917 - agreed with every caller, in the order of a sentence
    connection: AsyncConnection,
    actor: Actor,
    action: str,
    subject: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    *,
    organisation: str | None = None,
    at: datetime | None = None,
) -> None:
    """Write one change down, in the transaction that makes it.

    Args:
        connection: Of that transaction.
        actor: Who did it.
        action: A word, such as `add`, `change`, `remove`.
        subject: What was changed, `<kind>:<id>`, for example `key:key_01...`.
        before: How it was, in JSON's types and without secrets or digests; `None`: it was not.
        after: How it is, likewise; `None`: it is no more.
        organisation: Whose it is, if that is known.
        at: When; now if left out.
    """
    entry = Entry(action, subject, before, after)
    await record_all(connection, actor, [entry], organisation=organisation, at=at)


async def record_all(
    connection: AsyncConnection,
    actor: Actor,
    entries: Sequence[Entry],
    *,
    organisation: str | None = None,
    at: datetime | None = None,
) -> None:
    """Write several changes of one transaction down, in their order; see `record`."""
    if not entries:
        return
    moment = at or utc_now()
    rows = [
        {
            "id": new_id("aud"),
            "at": moment,
            "actor": actor.name[:_MAX_NAME_CHARS],
            "proof": actor.proof,
            "action": entry.action,
            "subject": entry.subject[:_MAX_SUBJECT_CHARS],
            "organisation": organisation,
            "before": None if entry.before is None else dict(entry.before),
            "after": None if entry.after is None else dict(entry.after),
        }
        for entry in entries
    ]
    await connection.execute(insert(_LOG), rows)
    await connection.execute(insert(_OUTBOX), [_event(row) for row in rows])


class AuditLog:
    """Reads what was written down. Raises `PolicyUnavailable` when the database fails."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def entries(
        self,
        *,
        action: str | None = None,
        subject: str | None = None,
        actor: str | None = None,
        since: datetime | None = None,
        before_seq: int | None = None,
        organisations: frozenset[str] | None = None,
        limit: int = 100,
    ) -> tuple[AuditRecord, ...]:
        """The newest entries first.

        Args:
            action: Only these.
            subject: Only of this subject; with a colon at its end, of every one that begins so.
            actor: Only by them.
            since: Only from then on, UTC-aware.
            before_seq: Only older ones: the `seq` of a page's last entry gives the next page.
            organisations: Only of these; `None` for all, and for what is no organisation's.
            limit: How many at most, up to `MOST`.
        """
        statement = select(AuditEntry.__table__).order_by(AuditEntry.seq.desc())
        if action is not None:
            statement = statement.where(AuditEntry.action == action)
        if subject is not None:
            is_kind = subject.endswith(":")
            statement = statement.where(
                AuditEntry.subject.startswith(subject, autoescape=True)
                if is_kind
                else AuditEntry.subject == subject
            )
        if actor is not None:
            statement = statement.where(AuditEntry.actor == actor)
        if since is not None:
            statement = statement.where(AuditEntry.at >= since)
        if before_seq is not None:
            statement = statement.where(AuditEntry.seq < before_seq)
        if organisations is not None:
            statement = statement.where(AuditEntry.organisation.in_(organisations))
        async with reading(self._engine) as connection:
            found = await connection.execute(statement.limit(min(max(limit, 1), MOST)))
            return tuple(_record(row) for row in found)

    async def about_team(
        self, team: str, *, before_seq: int | None = None, limit: int = 100
    ) -> tuple[AuditRecord, ...]:
        """The newest entries about a team, its projects, its keys, and the limits of all these."""
        keys = select((literal("key:") + ApiKey.id).label("node")).where(ApiKey.team_id == team)
        projects = select(literal("project:") + ProjectUnit.id).where(ProjectUnit.team_id == team)
        node = union_all(keys, projects, select(literal(f"team:{team}"))).subquery().c.node
        subject = AuditEntry.subject
        async with reading(self._engine) as connection:
            lengths = await connection.execute(select(func.length(node)).distinct())
            # A limit's subject is `limit:`, its node, a colon and the rest: compared by length, for
            # a pattern would take signs of an id for wildcards.
            of_limits = [
                and_(
                    func.substr(subject, 1, len(_LIMIT)) == _LIMIT,
                    func.substr(subject, len(_LIMIT) + 1, length + 1).in_(
                        select(node + ":").where(func.length(node) == length)
                    ),
                )
                for length in lengths.scalars()
            ]
            statement = (
                select(AuditEntry.__table__)
                .where(or_(subject.in_(select(node)), *of_limits))
                .order_by(AuditEntry.seq.desc())
            )
            if before_seq is not None:
                statement = statement.where(AuditEntry.seq < before_seq)
            found = await connection.execute(statement.limit(min(max(limit, 1), MOST)))
            return tuple(_record(row) for row in found)


def _event(row: Mapping[str, Any]) -> dict[str, Any]:
    """The entry as an event of the audit chain; its kind is the action."""
    return {
        "id": row["id"],
        "chain": chain_of(row["organisation"]),
        "at": row["at"],
        "kind": row["action"],
        "actor": row["actor"],
        "subject": row["subject"],
        "payload": {name: row[name] for name in ("proof", "before", "after")},
    }


def _record(row: Row[Any]) -> AuditRecord:
    return AuditRecord(
        seq=row.seq,
        id=row.id,
        at=row.at,
        actor=row.actor,
        proof=row.proof,
        action=row.action,
        subject=row.subject,
        organisation=row.organisation,
        before=row.before,
        after=row.after,
    )
