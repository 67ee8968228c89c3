"""The ledger in SQL: every row once, and the roll-ups always equal to the rows.

A batch is one transaction. Its steps lock in one order (ledger rows by decision id, then roll-ups
table by table, each by bucket), so any number of processes can write, the same rows too, without a
deadlock.

The key of a row is its decision and its moment, because PostgreSQL keeps a partition for each month
and wants the moment in the key. That is as good as the decision alone: a row's moment is that of
the decision, which is made once, and whoever reports on it later carries it along unchanged.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields, replace
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.dml import ReturningInsert

from llm_core.errors import PolicyUnavailable
from llm_core.policy.decision import ErrorClass
from llm_core.policy.limits import Limit
from llm_core.pricing.charge import rounded
from llm_core.tokens.usage import UsageSource
from policy_service.adapters.sql.engine import (
    insert_for,
    reading,
    reading_one_moment,
    writing,
)
from policy_service.adapters.sql.rolling import add_to_rollups
from policy_service.adapters.sql.rollups import MONEY, Change
from policy_service.adapters.sql.schema import is_enough
from policy_service.adapters.sql.spending import chunks, spent_of
from policy_service.adapters.sql.tables import Base
from policy_service.ports.ledger import UsageRow
from policy_service.ports.limits import Spent
from policy_service.ports.privacy import ERASED

_USAGE = Base.metadata.tables["usage"]
_KEY = ("decision_id", "at")
_FIELDS = tuple(field.name for field in fields(UsageRow))
_values = attrgetter(*_FIELDS)


class SqlLedger:
    """Implements `ports.Ledger` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `engine`, which the caller opens and disposes of."""
        self._engine = engine

    async def record(self, rows: Sequence[UsageRow]) -> None:
        """Insert rows, or true figures for rows that stand on an estimate; with the roll-ups.

        Raises:
            PolicyUnavailable: The database failed. Nothing is lost by giving the same rows again.
        """
        wanted = _one_each(rows)
        if not wanted:
            return
        async with writing(self._engine) as connection:
            new = await _insert(connection, wanted)
            better = [row for row in wanted if row.decision_id not in new and _trust(row) > 0]
            estimates = await _estimates_among(connection, better)
            corrected = [
                _as_erased(row, estimates[row.decision_id])
                for row in better
                if _replaces(row, estimates.get(row.decision_id))
            ]
            await _overwrite(connection, corrected)
            changes = [Change(row, 1) for row in wanted if row.decision_id in new]
            for row in corrected:
                changes += [Change(estimates[row.decision_id], -1), Change(row, 1)]
            await add_to_rollups(connection, changes)

    async def spent(
        self, limit: Limit, now: datetime, without: Collection[str] = ()
    ) -> tuple[Spent, ...]:
        """What was used of a limit in its period; see the port.

        Raises:
            ValueError: The limit's period is not kept in the ledger, its node is of no known kind,
                or there is no such time zone.
            PolicyUnavailable: The database failed.
        """
        # A row that is written between two of the queries would else be taken out by one without
        # having been counted by the other.
        async with reading_one_moment(self._engine) as connection:
            return await spent_of(connection, limit, now, without)

    async def written(self, decision_ids: Collection[str]) -> frozenset[str]:
        """Those of these decisions whose rows are in the ledger.

        Raises:
            PolicyUnavailable: The database failed.
        """
        found: set[str] = set()
        async with reading(self._engine) as connection:
            for ids in chunks(decision_ids):
                query = select(_USAGE.c.decision_id).where(_USAGE.c.decision_id.in_(ids))
                found.update((await connection.execute(query)).scalars())
        return frozenset(found)

    async def ready(self) -> bool:
        """Whether the database answers, and its schema is this version's or a newer one's."""
        try:
            return await is_enough(self._engine)
        except PolicyUnavailable:
            return False


def row_of(values: RowMapping) -> UsageRow:
    """Make a ledger row of what `select(*ledger_columns())` found."""
    return UsageRow(**{name: values[name] for name in _FIELDS})


def ledger_columns() -> tuple[ColumnElement[Any], ...]:
    """The columns of a ledger row, labelled as `UsageRow`'s fields."""
    return tuple(_USAGE.c[name].label(name) for name in _FIELDS)


def _one_each(rows: Iterable[UsageRow]) -> list[UsageRow]:
    """Every decision once, the true figure before an estimate, by decision id."""
    chosen: dict[str, UsageRow] = {}
    for row in rows:
        known = chosen.get(row.decision_id)
        if known is None or _replaces(row, known):
            chosen[row.decision_id] = _storable(row)
    return [chosen[decision_id] for decision_id in sorted(chosen)]


def _storable(row: UsageRow) -> UsageRow:
    """The row as every database keeps it, so that what is summed is what is stored.

    PostgreSQL refuses NUL in a text, and a row that is refused would come again for ever.
    """
    changed: dict[str, Any] = {
        name: value.replace("\x00", "")
        for name, value in zip(_FIELDS, _values(row), strict=True)
        if isinstance(value, str) and "\x00" in value
    }
    for name in MONEY:
        money = getattr(row, name)
        if (exact := rounded(money)) != money:
            changed[name] = exact
    return replace(row, **changed) if changed else row


def _values_of(row: UsageRow) -> dict[str, Any]:
    return dict(zip(_FIELDS, _values(row), strict=True))


def _trust(row: UsageRow) -> int:
    """Two for a true figure, one for an estimate that was reported, none for a lease's end."""
    if row.source != UsageSource.ESTIMATED:
        return 2
    return int(row.error_class != ErrorClass.UNREPORTED)


def _as_erased(row: UsageRow, known: UsageRow) -> UsageRow:
    """A figure that comes after its user was erased does not bring the name back."""
    is_erased = known.user is not None and known.user.startswith(ERASED)
    return replace(row, user=known.user) if is_erased else row


def _replaces(row: UsageRow, known: UsageRow | None) -> bool:
    return known is not None and _trust(row) > _trust(known)


async def _insert(connection: AsyncConnection, rows: Sequence[UsageRow]) -> set[str]:
    """Insert what is not there yet, and say which that was."""
    statement = _inserting(connection.dialect.name)
    result = await connection.execute(statement, [_values_of(row) for row in rows])
    return {row.decision_id for row in result}


@cache
def _inserting(dialect: str) -> ReturningInsert[tuple[str]]:
    """Built once: see `rolling`."""
    return (
        insert_for(dialect, _USAGE)
        .on_conflict_do_nothing(index_elements=_KEY)
        .returning(_USAGE.c.decision_id)
    )


async def _estimates_among(
    connection: AsyncConnection, rows: Sequence[UsageRow]
) -> dict[str, UsageRow]:
    """The stored rows with these decision ids that are estimates; locked until the end."""
    found: dict[str, UsageRow] = {}
    if not rows:
        return found
    moments = [row.at for row in rows]
    for ids in chunks(row.decision_id for row in rows):
        stored = await connection.execute(
            select(*ledger_columns())
            .where(
                _USAGE.c.decision_id.in_(ids),
                # So that only these months' partitions are looked into.
                _USAGE.c.at.between(min(moments), max(moments)),
                _USAGE.c.source == UsageSource.ESTIMATED.value,
            )
            .order_by(_USAGE.c.decision_id)
            .with_for_update()
        )
        found |= {values["decision_id"]: row_of(values) for values in stored.mappings()}
    return found


async def _overwrite(connection: AsyncConnection, rows: Sequence[UsageRow]) -> None:
    if not rows:
        return
    statement = (
        update(_USAGE)
        .where(_USAGE.c.decision_id == bindparam("which"), _USAGE.c.at == bindparam("when"))
        .values({name: bindparam(name) for name in _FIELDS if name not in _KEY})
    )
    await connection.execute(
        statement, [{**_values_of(row), "which": row.decision_id, "when": row.at} for row in rows]
    )
