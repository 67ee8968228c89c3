"""Reading the audit chain: for people, for exports, and for what is shipped."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, Table, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.audit.event import Checkpoint, Event, Head, Span
from policy_service.adapters.sql.chain_rows import checkpoint_of, event_of
from policy_service.adapters.sql.engine import insert_into, reading, reading_one_moment, writing
from policy_service.adapters.sql.tables import Base
from policy_service.ports.audit import AuditFilter, AuditRow

_TABLES = Base.metadata.tables
_CHAIN: Table = _TABLES["audit_chain"]
_HEADS: Table = _TABLES["audit_heads"]
_CHECKPOINTS: Table = _TABLES["audit_checkpoints"]
_CURSORS: Table = _TABLES["audit_cursors"]
_BATCH = 1000
_MOST = 1001
"""A page of 1,000, and one more that tells of a next page."""
_FURTHEST_BACK = 200_000


class ChainReading:
    """The reading half of `ports.audit.AuditChain`, and `ports.audit.Shipments`."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def heads(self) -> Sequence[Head]:
        """Where each chain ends; see the port."""
        async with reading(self._engine) as connection:
            found = await connection.execute(select(_HEADS).order_by(_HEADS.c.chain))
            return [Head(row.chain, row.seq, row.hash) for row in found]

    async def rows(
        self,
        wanted: AuditFilter,
        *,
        before_seq: int | None = None,
        after: tuple[str, int] | None = None,
        limit: int = 100,
    ) -> Sequence[AuditRow]:
        """Events for people; see the port."""
        query = _filtered(wanted).order_by(_CHAIN.c.chain, _CHAIN.c.seq.desc())
        if after is not None:
            chain, seq = after
            is_older = (_CHAIN.c.chain == chain) & (_CHAIN.c.seq < seq)
            query = query.where((_CHAIN.c.chain > chain) | is_older)
        if before_seq is not None:
            query = query.where(_CHAIN.c.seq < before_seq)
        async with reading(self._engine) as connection:
            found = await connection.execute(query.limit(min(max(limit, 1), _MOST)))
            names = AuditRow.__dataclass_fields__
            return [AuditRow(**{name: row[name] for name in names}) for row in found.mappings()]

    async def checkpoints(
        self,
        chains: Collection[str] | None,
        *,
        before: tuple[datetime, int, str] | None = None,
        limit: int = 100,
    ) -> Sequence[Checkpoint]:
        """The newest checkpoints; see the port."""
        order = (_CHECKPOINTS.c.at, _CHECKPOINTS.c.seq, _CHECKPOINTS.c.chain)
        query = select(_CHECKPOINTS).order_by(*(column.desc() for column in order))
        if before is not None:
            place = (literal(one, column.type) for one, column in zip(before, order, strict=True))
            query = query.where(tuple_(*order) < tuple_(*place))
        if chains is not None:
            query = query.where(_CHECKPOINTS.c.chain.in_(chains))
        async with reading(self._engine) as connection:
            found = await connection.execute(query.limit(min(max(limit, 1), _MOST)))
            return [checkpoint_of(row) for row in found.mappings()]

    async def export(
        self, chains: Collection[str] | None = None, since: datetime | None = None
    ) -> AsyncIterator[Mapping[str, Span] | Sequence[Event | Checkpoint]]:
        """What an export holds; see the port."""
        async with reading_one_moment(self._engine) as connection:
            spans = await _spans(connection, chains, since)
            async for part in _parts(connection, spans):
                yield part

    async def newest(
        self, most: int, back_to: Mapping[str, int]
    ) -> AsyncIterator[Mapping[str, Span] | Sequence[Event | Checkpoint]]:
        """The end of every chain; see `NewestEvents`."""
        async with reading_one_moment(self._engine) as connection:
            spans = await _spans(connection, None, None)
            cut = {
                chain: Span(_first_of(span, most, back_to.get(chain)), span.last)
                for chain, span in spans.items()
            }
            async for part in _parts(connection, cut):
                yield part

    async def next(self, sink: str, most: int, *, after: str = "") -> Sequence[Event | Checkpoint]:
        """What a sink has not got yet; see the port."""
        cursor = select(_CURSORS).where(_CURSORS.c.sink == sink).subquery()
        has_events, has_seals = (
            func.coalesce(column, 0) for column in (cursor.c.seq, cursor.c.checkpoint)
        )
        sealed = (
            select(func.max(_CHECKPOINTS.c.seq))
            .where(_CHECKPOINTS.c.chain == _HEADS.c.chain)
            .scalar_subquery()
        )
        behind = (
            select(_HEADS.c.chain, has_events.label("seq"), has_seals.label("checkpoint"))
            .select_from(_HEADS.outerjoin(cursor, cursor.c.chain == _HEADS.c.chain))
            .where((_HEADS.c.seq > has_events) | (sealed > has_seals))
            .order_by(_HEADS.c.chain <= after, _HEADS.c.chain)
            .limit(1)
        )
        async with reading(self._engine) as connection:
            found = (await connection.execute(behind)).first()
            if found is None:
                return []
            return await _lines(
                connection, found.chain, found.seq, most, sealed_after=found.checkpoint
            )

    async def sent(self, sink: str, lines: Sequence[Event | Checkpoint]) -> None:
        """Note how far a sink is; see the port."""
        if not lines:
            return
        events = [line.seq for line in lines if isinstance(line, Event)]
        seals = [line.seq for line in lines if isinstance(line, Checkpoint)]
        values: dict[str, Any] = {"sink": sink, "chain": lines[0].chain}
        moved = {
            name: max(numbers)
            for name, numbers in (("seq", events), ("checkpoint", seals))
            if numbers
        }
        async with writing(self._engine) as connection:
            upsert = insert_into(connection, _CURSORS).values(
                **{"seq": 0, "checkpoint": 0} | values | moved
            )
            await connection.execute(
                upsert.on_conflict_do_update(index_elements=["sink", "chain"], set_=moved)
            )


def _filtered(wanted: AuditFilter) -> Select[Any]:
    query: Select[Any] = select(_CHAIN)
    if wanted.chains is not None:
        query = query.where(_CHAIN.c.chain.in_(wanted.chains))
    if wanted.kind is not None:
        is_prefix = wanted.kind.endswith(".")
        query = query.where(
            _CHAIN.c.kind.startswith(wanted.kind, autoescape=True)
            if is_prefix
            else _CHAIN.c.kind == wanted.kind
        )
    if wanted.actor is not None:
        query = query.where(_CHAIN.c.actor == wanted.actor)
    if wanted.subject is not None:
        query = query.where(_CHAIN.c.subject == wanted.subject)
    if wanted.since is not None:
        query = query.where(_CHAIN.c.at >= wanted.since)
    if wanted.id is not None:
        query = query.where(_CHAIN.c.id == wanted.id)
    return query


async def _spans(
    connection: AsyncConnection, chains: Collection[str] | None, since: datetime | None
) -> dict[str, Span]:
    """What there should be of each chain, by its head and by its checkpoints."""
    ends: dict[str, int] = {}
    for table in (_CHECKPOINTS, _HEADS):
        query = select(table.c.chain, func.max(table.c.seq)).group_by(table.c.chain)
        for chain, last in await connection.execute(query):
            if chains is None or chain in chains:
                ends[chain] = max(last, ends.get(chain, 0))
    spans: dict[str, Span] = {}
    for chain in sorted(ends):
        first: int | None = 1
        if since is not None:
            oldest = select(func.min(_CHAIN.c.seq))
            oldest = oldest.where(_CHAIN.c.chain == chain, _CHAIN.c.at >= since)
            first = (await connection.execute(oldest)).scalar_one()
        if first is not None:
            spans[chain] = Span(first, ends[chain])
    return spans


async def _parts(
    connection: AsyncConnection, spans: Mapping[str, Span]
) -> AsyncIterator[Mapping[str, Span] | Sequence[Event | Checkpoint]]:
    yield spans
    for chain, span in spans.items():
        after = span.first - 1
        while lines := await _lines(connection, chain, after, _BATCH):
            yield lines
            after = lines[-1].seq
        # What seals events that are not there any more has to come out too.
        if rest := await _seals(connection, chain, after):
            yield rest


def _first_of(span: Span, most: int, back_to: int | None) -> int:
    first = max(span.last - most + 1, span.first)
    if back_to is not None and span.last - back_to < _FURTHEST_BACK:
        return min(first, back_to)
    return first


async def _lines(
    connection: AsyncConnection,
    chain: str,
    after: int,
    most: int,
    *,
    sealed_after: int | None = None,
) -> list[Event | Checkpoint]:
    """The next events of a chain with the checkpoints that seal them, each behind its event."""
    found = await connection.execute(
        select(_CHAIN)
        .where(_CHAIN.c.chain == chain, _CHAIN.c.seq > after)
        .order_by(_CHAIN.c.seq)
        .limit(most)
    )
    events = [event_of(row) for row in found.mappings()]
    last = events[-1].seq if events else after
    seals = await _seals(connection, chain, after if sealed_after is None else sealed_after, last)
    lines: list[Event | Checkpoint] = [*events, *seals]
    return sorted(lines, key=lambda line: (line.seq, isinstance(line, Checkpoint)))


async def _seals(
    connection: AsyncConnection, chain: str, after: int, last: int | None = None
) -> list[Checkpoint]:
    query = select(_CHECKPOINTS).order_by(_CHECKPOINTS.c.seq)
    query = query.where(_CHECKPOINTS.c.chain == chain, _CHECKPOINTS.c.seq > after)
    if last is not None:
        query = query.where(_CHECKPOINTS.c.seq <= last)
    return [checkpoint_of(row) for row in (await connection.execute(query)).mappings()]
