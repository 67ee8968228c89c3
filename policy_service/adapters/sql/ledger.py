"""The ledger in SQL: every row once, and the hourly sums always equal to the rows.

A batch is one transaction. Its steps lock in one order (ledger rows by decision id, then roll-ups
by bucket), so any number of processes can write, the same rows too, without a deadlock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.errors import PolicyUnavailable
from llm_core.pricing.charge import rounded
from llm_core.tokens.usage import UsageSource
from policy_service.adapters.sql.engine import insert_into, reading, writing
from policy_service.adapters.sql.months import month_of
from policy_service.adapters.sql.rollups import SUMS, Change, hourly_changes
from policy_service.adapters.sql.schema import is_current
from policy_service.adapters.sql.tables import Base, Usage, UsageHourly
from policy_service.ports.ledger import UsageRow

_USAGE = Base.metadata.tables["usage"]
_HOURLY = Base.metadata.tables["usage_hourly"]
_FIELDS = tuple(field.name for field in fields(UsageRow))
_HOURLY_NODES = {
    "organisation": UsageHourly.organisation,
    "department": UsageHourly.department,
    "team": UsageHourly.team,
    "project": UsageHourly.project,
}
_ROW_NODES = {"user": Usage.user, "key": Usage.key_id}
_IDS_A_QUERY = 1000  # both databases bind some 32,000 values a statement


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
            better = [row for row in wanted if row.decision_id not in new and not _is_estimate(row)]
            estimates = await _estimates_among(connection, better)
            corrected = [row for row in better if row.decision_id in estimates]
            await _overwrite(connection, corrected)
            changes = [Change(row, 1) for row in wanted if row.decision_id in new]
            for row in corrected:
                changes += [Change(estimates[row.decision_id], -1), Change(row, 1)]
            await _add_to_rollups(connection, changes)

    async def month_usd(self, node: str, now: datetime) -> Decimal:
        """USD charged to a node in the calendar month (UTC) that `now` lies in.

        Args:
            node: `organisation:`, `department:`, `team:`, `project:`, `user:` or `key:` and an id.
            now: UTC-aware.

        Raises:
            ValueError: `node` is of no such kind.
            PolicyUnavailable: The database failed.
        """
        kind, _, node_id = node.partition(":")
        first, end = month_of(now)
        if kind in _HOURLY_NODES:
            total = select(func.sum(UsageHourly.usd)).where(
                _HOURLY_NODES[kind] == node_id, UsageHourly.hour >= first, UsageHourly.hour < end
            )
        elif kind in _ROW_NODES:
            total = select(func.sum(Usage.usd)).where(
                _ROW_NODES[kind] == node_id, Usage.at >= first, Usage.at < end
            )
        else:
            raise ValueError(f"there is no ledger for the node {node[:100]!r}")
        async with reading(self._engine) as connection:
            return (await connection.execute(total)).scalar_one() or Decimal(0)

    async def ready(self) -> bool:
        """Whether the database answers and its schema is up to date."""
        try:
            return await is_current(self._engine)
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
        if known is None or (_is_estimate(known) and not _is_estimate(row)):
            chosen[row.decision_id] = _storable(row)
    return [chosen[decision_id] for decision_id in sorted(chosen)]


def _storable(row: UsageRow) -> UsageRow:
    """The row as every database keeps it, so that what is summed is what is stored.

    PostgreSQL refuses NUL in a text, and a row that is refused would come again for ever.
    """
    values = _values_of(row)
    for name, value in values.items():
        if isinstance(value, str):
            values[name] = value.replace("\x00", "")
    money = {"usd": rounded(row.usd), "saved_usd": rounded(row.saved_usd)}
    return UsageRow(**{**values, **money})


def _values_of(row: UsageRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _FIELDS}


def _is_estimate(row: UsageRow) -> bool:
    return row.source == UsageSource.ESTIMATED


async def _insert(connection: AsyncConnection, rows: Sequence[UsageRow]) -> set[str]:
    """Insert what is not there yet, and say which that was."""
    statement = (
        insert_into(connection, _USAGE).on_conflict_do_nothing().returning(_USAGE.c.decision_id)
    )
    result = await connection.execute(statement, [_values_of(row) for row in rows])
    return set(result.scalars())


async def _estimates_among(
    connection: AsyncConnection, rows: Sequence[UsageRow]
) -> dict[str, UsageRow]:
    """The stored rows with these decision ids that are estimates; locked until the end."""
    ids = [row.decision_id for row in rows]
    found: dict[str, UsageRow] = {}
    for start in range(0, len(ids), _IDS_A_QUERY):
        stored = await connection.execute(
            select(*ledger_columns())
            .where(
                _USAGE.c.decision_id.in_(ids[start : start + _IDS_A_QUERY]),
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
    statement = update(_USAGE).where(_USAGE.c.decision_id == bindparam("which"))
    await connection.execute(
        statement, [{**_values_of(row), "which": row.decision_id} for row in rows]
    )


async def _add_to_rollups(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    hourly = hourly_changes(changes)
    if not hourly:
        return
    statement = insert_into(connection, _HOURLY)
    added = {name: _HOURLY.c[name] + statement.excluded[name] for name in SUMS}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=[_HOURLY.c.bucket], set_=added), hourly
    )
    if any(change.sign < 0 for change in changes):
        emptied = [sums["bucket"] for sums in hourly if sums["requests"] <= 0]
        await connection.execute(
            delete(_HOURLY).where(_HOURLY.c.bucket == bindparam("which"), _HOURLY.c.requests == 0),
            [{"which": bucket} for bucket in emptied],
        )
