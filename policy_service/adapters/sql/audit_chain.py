"""The audit chain in SQL: one writer at a time, in one transaction for many events.

On PostgreSQL an advisory lock that ends with the transaction sees to it that no two processes
append at once, whichever of them has events to write; on SQLite `BEGIN IMMEDIATE` does. So numbers
are contiguous, each hash is made from the one that is really before it, and an event that comes a
second time, after a crash, is recognised by its id.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Row, Table, delete, exists, func, insert, or_, select, text, update
from sqlalchemy.exc import DataError, DBAPIError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.audit.event import (
    ERASURE,
    GENESIS,
    Checkpoint,
    Event,
    Head,
    NewEvent,
    linked,
    rfc3339,
)
from llm_core.audit.ranges import as_ranges
from llm_core.errors import PolicyUnavailable
from llm_core.policy.roles import Actor
from policy_service.adapters.sql.approvals import erasing
from policy_service.adapters.sql.chain_reading import ChainReading
from policy_service.adapters.sql.chain_rows import checkpoint_row, row_of
from policy_service.adapters.sql.decision_log import decision_row
from policy_service.adapters.sql.engine import insert_into, reading, writing
from policy_service.adapters.sql.tables import Base
from policy_service.ids import new_id
from policy_service.ports.audit import Noted, Signer, UnwritableEvents
from policy_service.ports.clock import Clock

_TABLES = Base.metadata.tables
_CHAIN: Table = _TABLES["audit_chain"]
_HEADS: Table = _TABLES["audit_heads"]
_CHECKPOINTS: Table = _TABLES["audit_checkpoints"]
_OUTBOX: Table = _TABLES["audit_outbox"]
_LEASES: Table = _TABLES["audit_leases"]
_DECISIONS: Table = _TABLES["decisions"]
_LOCK = 0x61756469  # "audi"; any number that nobody else takes in this database
_LOCK_WAIT_S = 10
_MOST_OF_OUTBOX = 500
_AT_ONCE = 1000
_SALT_BYTES = 16
_APPROVALS = "approval."
_DATA_EXCEPTION = "22"
"""The class of SQL states that say so."""

_MOST_RANGES = 5000
"""So many ranges of erased events are named by one erasure."""


class SqlAuditChain(ChainReading):
    """Implements `ports.audit.AuditChain` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        """Use `engine`, which the caller opens and disposes of; `clock` dates erasures."""
        super().__init__(engine)
        self._clock = clock

    async def append(self, noted: Sequence[Noted]) -> int:
        """Append these and what waits in the outbox; see the port."""
        try:
            async with writing(self._engine) as connection:
                await _be_alone(connection)
                return await _append(connection, noted)
        except ValueError as fault:  # a payload that is not made of JSON's types
            raise UnwritableEvents(str(fault)) from fault
        except PolicyUnavailable as fault:
            if _is_for_ever(fault.__cause__):
                raise UnwritableEvents(type(fault.__cause__).__name__) from fault
            raise

    async def has_outbox(self) -> bool:
        """Whether something waits; see the port."""
        async with reading(self._engine) as connection:
            found = await connection.execute(select(exists().where(_OUTBOX.c.seq > 0)))
            return bool(found.scalar_one())

    async def hold(self, name: str, owner: str, now: datetime, seconds: float) -> bool:
        """Hold a lease; see the port."""
        until = now + timedelta(seconds=seconds)
        async with writing(self._engine) as connection:
            wanted = insert_into(connection, _LEASES).values(name=name, owner=owner, until=until)
            taken = wanted.on_conflict_do_update(
                index_elements=["name"],
                set_={"owner": owner, "until": until},
                where=or_(_LEASES.c.owner == owner, _LEASES.c.until < now),
            )
            done = await connection.execute(taken.returning(_LEASES.c.name))
            return done.first() is not None

    async def release(self, owner: str) -> None:
        """Give leases back; see the port."""
        async with writing(self._engine) as connection:
            await connection.execute(delete(_LEASES).where(_LEASES.c.owner == owner))

    async def seal(self, signer: Signer, now: datetime, *, least: int, age_s: float) -> int:
        """Sign checkpoints; see the port."""
        if not await self._grown(now, least, age_s):
            return 0
        async with writing(self._engine) as connection:
            await _be_alone(connection)
            # Another process may have sealed some while this one waited.
            grown = await _grown(connection, now, least, age_s)
            made = [checkpoint_row(_signed(signer, head, before, now)) for head, before in grown]
            if made:
                await connection.execute(insert(_CHECKPOINTS), made)
        return len(made)

    async def erase(self, user: str, actor: Actor, reason: str) -> int:
        """Erase a user's contents; see the port."""
        named = f"user:{user}"
        theirs = or_(
            _CHAIN.c.actor == named,
            _CHAIN.c.subject == named,
            _CHAIN.c.person == user,
            # What somebody else granted or refused them says who asked, and why.
            _CHAIN.c.kind.startswith(_APPROVALS, autoescape=True)
            & erasing.names(_CHAIN.c.payload, user),
        )
        async with writing(self._engine) as connection:
            await _be_alone(connection)
            while await _append(connection, ()):  # what waits in the outbox may be theirs
                pass
            found = await connection.execute(
                select(_CHAIN.c.chain, _CHAIN.c.seq)
                .where(theirs, _CHAIN.c.payload.is_not(None), _CHAIN.c.kind != ERASURE)
                .order_by(_CHAIN.c.chain, _CHAIN.c.seq)
            )
            gone: dict[str, list[int]] = {}
            for chain, seq in found:
                gone.setdefault(chain, []).append(seq)
            await connection.execute(
                update(_CHAIN)
                .where(theirs, _CHAIN.c.kind != ERASURE)
                .values(actor=None, subject=None, person=None, payload=None, salt=None)
            )
            events = [
                _erasure(chain, part, actor, reason, self._clock())
                for chain, seqs in gone.items()
                for part in _portions(as_ranges(seqs), _MOST_RANGES)
            ]
            await _link(connection, [Noted(event) for event in events])
        return sum(map(len, gone.values()))

    async def _grown(self, now: datetime, least: int, age_s: float) -> bool:
        async with reading(self._engine) as connection:
            return bool(await _grown(connection, now, least, age_s))


async def _be_alone(connection: AsyncConnection) -> None:
    """Wait until no other transaction appends, and keep others out until this one ends."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_WAIT_S}s'"))
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


async def _append(connection: AsyncConnection, noted: Sequence[Noted]) -> int:
    waiting = (
        await connection.execute(select(_OUTBOX).order_by(_OUTBOX.c.seq).limit(_MOST_OF_OUTBOX))
    ).all()
    count = await _link(connection, [*map(_from_outbox, waiting), *noted])
    if waiting:
        numbers = [row.seq for row in waiting]
        await connection.execute(delete(_OUTBOX).where(_OUTBOX.c.seq.in_(numbers)))
    return count


async def _link(connection: AsyncConnection, noted: Sequence[Noted]) -> int:
    """Link what is new, and log its decisions."""
    by_id = {one.event.id: one for one in noted}
    for some in _portions(list(by_id), _AT_ONCE):
        known = await connection.execute(select(_CHAIN.c.id).where(_CHAIN.c.id.in_(some)))
        for id in known.scalars():
            del by_id[id]
    if not by_id:
        return 0
    heads = await _heads(connection, {one.event.chain for one in by_id.values()})
    rows = []
    for one in by_id.values():
        event, heads[one.event.chain] = _linked(heads[one.event.chain], one.event)
        rows.append(row_of(event, one.event))
    await connection.execute(insert(_CHAIN), rows)
    upsert = insert_into(connection, _HEADS)
    upsert = upsert.on_conflict_do_update(
        index_elements=["chain"],
        set_={"seq": upsert.excluded.seq, "hash": upsert.excluded.hash},
    )
    await connection.execute(upsert, [asdict(head) for head in heads.values()])
    decisions = [decision_row(one.decision) for one in by_id.values() if one.decision is not None]
    if decisions:
        once = insert_into(connection, _DECISIONS).on_conflict_do_nothing()
        await connection.execute(once, decisions)
    return len(rows)


async def _heads(connection: AsyncConnection, chains: Iterable[str]) -> dict[str, Head]:
    heads = {chain: Head(chain) for chain in chains}
    query = select(_HEADS.c.chain, _HEADS.c.seq, _HEADS.c.hash).where(_HEADS.c.chain.in_(heads))
    for row in await connection.execute(query):
        heads[row.chain] = Head(row.chain, row.seq, row.hash)
    return heads


def _linked(head: Head, new: NewEvent) -> tuple[Event, Head]:
    return linked(head, new, secrets.token_hex(_SALT_BYTES))


async def _grown(
    connection: AsyncConnection, now: datetime, least: int, age_s: float
) -> list[tuple[Head, Checkpoint | None]]:
    """The chains that want a checkpoint, each with the one that it has."""
    # Asked for each chain, this takes one look into the index however many checkpoints there are.
    again = _CHECKPOINTS.alias()
    newest = select(func.max(again.c.seq)).where(again.c.chain == _HEADS.c.chain).scalar_subquery()
    joined = _HEADS.outerjoin(
        _CHECKPOINTS, (_CHECKPOINTS.c.chain == _HEADS.c.chain) & (_CHECKPOINTS.c.seq == newest)
    )
    columns = [column.label(f"last_{column.name}") for column in _CHECKPOINTS.c]
    query = select(_HEADS, *columns).select_from(joined).order_by(_HEADS.c.chain)
    return [
        (Head(row.chain, row.seq, row.hash), before)
        for row in await connection.execute(query)
        if _wants_one(row.seq, before := _last_checkpoint(row), now, least, age_s)
    ]


def _wants_one(
    seq: int, before: Checkpoint | None, now: datetime, least: int, age_s: float
) -> bool:
    if before is None:
        return True
    age = now - datetime.fromisoformat(before.at)
    grown = seq - before.seq
    return grown >= least or (grown > 0 and age >= timedelta(seconds=age_s))


def _last_checkpoint(row: Row[Any]) -> Checkpoint | None:
    if row.last_seq is None:
        return None
    fields = {name: getattr(row, f"last_{name}") for name in _CHECKPOINTS.c.keys()}  # noqa: SIM118
    return Checkpoint(**{**fields, "at": rfc3339(row.last_at)})


def _signed(signer: Signer, head: Head, before: Checkpoint | None, now: datetime) -> Checkpoint:
    unsigned = Checkpoint(
        chain=head.chain,
        seq=head.seq,
        hash=head.hash,
        at=rfc3339(now),
        previous=GENESIS if before is None else before.digest,
        key_id=signer.key_id,
    )
    return msgspec.structs.replace(unsigned, signature=signer.sign(unsigned.signed_bytes))


def _erasure(
    chain: str, erased: Sequence[tuple[int, int]], actor: Actor, reason: str, now: datetime
) -> NewEvent:
    count = sum(last - first + 1 for first, last in erased)
    payload = {"erased": [list(one) for one in erased], "events": count, "reason": reason}
    return NewEvent(new_id("evt"), chain, now, ERASURE, actor.name, f"chain:{chain}", payload)


def _from_outbox(row: Row[Any]) -> Noted:
    return Noted(NewEvent(row.id, row.chain, row.at, row.kind, row.actor, row.subject, row.payload))


def _is_for_ever(cause: BaseException | None) -> bool:
    """Whether the database refused what was written, and would again."""
    if isinstance(cause, DBAPIError):
        state = getattr(cause.orig, "sqlstate", None) or ""
        return isinstance(cause, DataError) or state.startswith(_DATA_EXCEPTION)
    return isinstance(cause, StatementError | OverflowError)


def _portions(whole: Sequence[Any], most: int) -> Iterable[Sequence[Any]]:
    return (whole[start : start + most] for start in range(0, len(whole), most))
