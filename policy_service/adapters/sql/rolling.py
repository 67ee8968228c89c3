"""Adds to the roll-ups, within the transaction that changes what they sum up.

Tables in one order, the fine ones first: whoever makes roll-ups anew keeps writers waiting at the
hours (see `backfill`), and in the coarse ones, whose few rows every writer adds to, nobody is kept
waiting for longer than the end of a transaction takes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect, bindparam, delete, literal_column
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler

from policy_service.adapters.sql.engine import insert_for
from policy_service.adapters.sql.rollups import (
    DAYS,
    LATENCIES,
    MODEL_LATENCIES,
    SUMS,
    Change,
    Coarse,
    coarser,
    hourly_changes,
    latency_changes,
)
from policy_service.adapters.sql.tables import Base

_Rows = Sequence[dict[str, Any]]


async def add_to_rollups(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    """Add what rows of the ledger bring, and take out what leaves it."""
    hourly = hourly_changes(changes)
    if not hourly:
        return
    is_corrected = any(change.sign < 0 for change in changes)
    await _add(connection, "usage_hourly", hourly, SUMS)
    if is_corrected:
        await drop_emptied(connection, "usage_hourly", hourly, SUMS)
    latencies = latency_changes(changes)
    if latencies:
        await _add(connection, "usage_latency", latencies, LATENCIES)
        if is_corrected:
            await drop_emptied(connection, "usage_latency", latencies, LATENCIES)
    await add_to_days(connection, hourly, is_corrected=is_corrected)
    if latencies:
        await _add_coarse(connection, MODEL_LATENCIES, latencies, is_corrected=is_corrected)


async def add_to_days(connection: AsyncConnection, hourly: _Rows, *, is_corrected: bool) -> None:
    """Add to the days what was added to the hours."""
    for coarse in DAYS:
        await _add_coarse(connection, coarse, hourly, is_corrected=is_corrected)


async def _add_coarse(
    connection: AsyncConnection, coarse: Coarse, finer: _Rows, *, is_corrected: bool
) -> None:
    rows = coarser(coarse, finer)
    await _add(connection, coarse.table, rows, coarse.sums)
    if is_corrected:
        await drop_emptied(connection, coarse.table, rows, coarse.sums)


async def _add(connection: AsyncConnection, name: str, rows: _Rows, sums: tuple[str, ...]) -> None:
    adding = _adding(connection.dialect, name, sums)
    await connection.exec_driver_sql(adding.text, [adding.bound(row) for row in rows])


@dataclass(frozen=True, slots=True)
class _Adding:
    """The statement that adds to a roll-up, ready for the driver.

    SQLAlchemy takes 2 ms to build and compile one, and 50 µs to bind a row to it.

    Args:
        text: As the driver takes it.
        names: Of a row's values, in the order in which the driver takes them.
        converted: What a value is stored as, by its place; the others are stored as they are.
    """

    text: str
    names: tuple[str, ...]
    converted: tuple[tuple[int, Callable[[Any], Any]], ...]

    def bound(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """A row's values for the driver."""
        values = [row[name] for name in self.names]
        for place, stored in self.converted:
            values[place] = stored(values[place])
        return tuple(values)


_made: dict[tuple[str, str], _Adding] = {}
"""By database and roll-up."""


def _adding(dialect: Dialect, name: str, sums: tuple[str, ...]) -> _Adding:
    made = _made.get((dialect.name, name))
    if made is None:
        made = _made[dialect.name, name] = _compiled(dialect, name, sums)
    return made


def _compiled(dialect: Dialect, name: str, sums: tuple[str, ...]) -> _Adding:
    table = Base.metadata.tables[name]
    statement = insert_for(dialect.name, table)
    added = {one: table.c[one] + statement.excluded[one] for one in sums}
    compiled = statement.on_conflict_do_update(index_elements=[table.c.bucket], set_=added).compile(
        dialect=dialect, column_keys=[column.key for column in table.c]
    )
    if not isinstance(compiled, SQLCompiler):  # it compiles statements to nothing else
        raise TypeError(f"{dialect.name} has no text for a statement")
    names = tuple(compiled.positiontup or ())
    # As the dialect has the type: the type's own would make floats of SQLite's exact integers.
    types = (table.c[one].type.dialect_impl(dialect) for one in names)
    stored = ((place, one.bind_processor(dialect)) for place, one in enumerate(types))
    return _Adding(
        str(compiled), names, tuple((place, how) for place, how in stored if how is not None)
    )


async def drop_emptied(
    connection: AsyncConnection, name: str, rows: _Rows, sums: Sequence[str]
) -> None:
    """Drop those of the rows' groups that hold nothing any more, after a correction.

    Whether calls came or went does not tell: while a user is being erased, what is taken out of a
    group can come before what it is taken from.
    """
    table = Base.metadata.tables[name]
    empty = [table.c[one] == literal_column("0") for one in sums]
    await connection.execute(
        delete(table).where(table.c.bucket == bindparam("which"), *empty),
        [{"which": row["bucket"]} for row in rows],
    )
