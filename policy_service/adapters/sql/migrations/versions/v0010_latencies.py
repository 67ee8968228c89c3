"""Latencies by day and slot, from the rows that are in the ledger; why calls were refused."""

import hashlib
from bisect import bisect_right
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

from policy_service.adapters.sql.columns import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_GROUP = ("organisation", "department", "team", "asked_model", "model", "provider")
_METRICS = ("total", "time_to_first_token", "overhead")
_ROWS_A_PAGE = 5000
_SLOTS_A_STATEMENT = 1000
_DAY = timedelta(days=1)
_LAST_BOUND_US = 3_600_000_000


def upgrade() -> None:
    """Make the table and fill it, day by day."""
    op.create_table(
        "usage_latency",
        *_columns(),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_usage_latency")),
    )
    for columns in (["day"], ["department", "day"], ["team", "day"]):
        op.create_index(op.f(f"ix_usage_latency_{'_'.join(columns)}"), "usage_latency", columns)
    _add_refusals()
    usage = _usage()
    ends = sa.select(sa.func.min(usage.c.at), sa.func.max(usage.c.at))
    oldest, newest = op.get_bind().execute(ends).one()
    if oldest is None:
        return
    day = oldest.replace(hour=0, minute=0, second=0, microsecond=0)
    while day <= newest:
        _fill(day)
        day += _DAY


def downgrade() -> None:
    """Take it away."""
    op.drop_index(op.f("ix_decisions_refused_for_at"), table_name="decisions")
    op.drop_column("decisions", "refused_for")
    op.drop_table("usage_latency")


def _add_refusals() -> None:
    """The first reason that the caller was told; what was logged before says it in `outcome`."""
    op.add_column("decisions", sa.Column("refused_for", sa.Text()))
    if op.get_bind().dialect.name == "postgresql":
        code = "coalesce(result #>> '{outcome,codes,0}', result #>> '{outcome,code}')"
        is_refused = "result #>> '{outcome,allow}' = 'false'"
    else:
        code = (
            "coalesce(json_extract(result, '$.outcome.codes[0]'), "
            "json_extract(result, '$.outcome.code'))"
        )
        is_refused = "json_extract(result, '$.outcome.allow') = 0"
    op.execute(f"UPDATE decisions SET refused_for = {code} WHERE {is_refused}")  # noqa: S608 - fixed
    refused = sa.text("refused_for IS NOT NULL")
    op.create_index(
        op.f("ix_decisions_refused_for_at"),
        "decisions",
        ["refused_for", "at"],
        postgresql_where=refused,
        sqlite_where=refused,
    )


def _columns() -> list[sa.Column[Any]]:
    nullable = ("model", "provider")
    return [
        sa.Column("bucket", sa.String(length=32), nullable=False),
        sa.Column("day", UtcDateTime(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=name in nullable) for name in _GROUP),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _METRICS),
    ]


def _usage() -> sa.Table:
    """What is read of the ledger."""
    texts = ("decision_id", *_GROUP[:4], "routed_model", "served_model", "provider")
    return sa.Table(
        "usage",
        sa.MetaData(),
        sa.Column("at", UtcDateTime()),
        *(sa.Column(name, sa.Text()) for name in texts),
        *(sa.Column(f"{name}_ms", sa.Double()) for name in _METRICS),
    )


def _fill(day: datetime) -> None:
    """Count one day's rows, and put down the counts."""
    bounds = _bounds()
    counts: dict[tuple[Any, ...], Counter[str]] = {}
    for row in _rows_of(day):
        made = {**row, "model": row["served_model"] or row["routed_model"]}
        group = tuple(made[name] for name in _GROUP)
        for metric in _METRICS:
            ms = row[f"{metric}_ms"]
            if ms is not None:
                slot = bisect_right(bounds, round(ms * 1000))
                counts.setdefault((*group, slot), Counter())[metric] += 1
    rows = []
    for key, count in counts.items():
        canonical = msgspec.json.encode([day, *key])
        rows.append(
            {
                "bucket": hashlib.blake2b(canonical, digest_size=16).hexdigest(),
                "day": day,
                **dict(zip((*_GROUP, "slot"), key, strict=True)),
                **{metric: count[metric] for metric in _METRICS},
            }
        )
    table = sa.Table("usage_latency", sa.MetaData(), *_columns())
    for start in range(0, len(rows), _SLOTS_A_STATEMENT):
        op.get_bind().execute(table.insert(), rows[start : start + _SLOTS_A_STATEMENT])


def _rows_of(day: datetime) -> Any:  # noqa: ANN401 - rows of no declared type
    """A page at a time, as in 0004."""
    usage = _usage()
    key = sa.tuple_(usage.c.at, usage.c.decision_id)
    query = sa.select(usage).where(usage.c.at >= day, usage.c.at < day + _DAY)
    query = query.order_by(usage.c.at, usage.c.decision_id).limit(_ROWS_A_PAGE)
    page = op.get_bind().execute(query).mappings().all()
    while page:
        yield from page
        last = (page[-1]["at"], page[-1]["decision_id"])
        page = op.get_bind().execute(query.where(key > last)).mappings().all()


def _bounds() -> list[int]:
    """Slots as they are when this step was written."""
    found = [100]
    while found[-1] < _LAST_BOUND_US:
        found.append(found[-1] * 11 // 10)
    return found
