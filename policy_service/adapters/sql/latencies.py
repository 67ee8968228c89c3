"""Latencies of ledger rows by slot, counted by the database: as `rollups.latency_changes` does."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select, union_all

from llm_core.costs.latency import BOUNDS_US
from policy_service.adapters.sql.dialects import Microseconds
from policy_service.adapters.sql.rollups import LATENCIES
from policy_service.adapters.sql.slots import place
from policy_service.adapters.sql.tables import Base

_USAGE = Base.metadata.tables["usage"]
_BOUNDS: tuple[ColumnElement[int], ...] = tuple(literal_column(str(bound)) for bound in BOUNDS_US)


def counted(
    columns: Mapping[str, ColumnElement[Any]], *conditions: ColumnElement[bool]
) -> Select[Any]:
    """Counts by `columns`, of `usage`, and by `slot`; a column for each of `LATENCIES`."""
    measures = [Microseconds(_USAGE.c[f"{name}_ms"]).label(name) for name in LATENCIES]
    rows = select(*(column.label(label) for label, column in columns.items()), *measures)
    found = rows.where(*conditions).cte("found")
    measured = union_all(
        *(
            select(
                *(found.c[label] for label in columns),
                place(found.c[name], _BOUNDS).label("slot"),
                *(literal_column(str(int(one == name))).label(one) for one in LATENCIES),
            ).where(found.c[name].is_not(None))
            for name in LATENCIES
        )
    ).subquery()
    group = [measured.c[label] for label in (*columns, "slot")]
    sums = (func.sum(measured.c[name]).label(name) for name in LATENCIES)
    return select(*group, *sums).group_by(*group)
