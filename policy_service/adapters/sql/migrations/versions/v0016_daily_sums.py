"""Sums by day, of callers and of models, and latencies of models: from the sums that are there."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

from policy_service.adapters.sql.columns import ExactDecimal, UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_USD = ExactDecimal(24, 12)
_CALLERS = (
    "organisation",
    "department",
    "team",
    "project",
    "user_id",
    "application",
    "cost_centre",
)
_MODELS = (
    "organisation",
    "department",
    "asked_model",
    "model",
    "provider",
    "region",
    "operation",
    "use_case",
    "error_class",
)
_LATENCIES = ("organisation", "asked_model", "model", "provider", "slot")
_NULLABLE = {*_CALLERS[3:], "model", "provider", "region", "use_case"}
_TOKENS = ("input", "cached_input", "cache_write", "output", "reasoning")
_COUNTED = ("requests", *(f"{name}_tokens" for name in _TOKENS), "usd", "fallbacks")
_MEASURES = ("total", "time_to_first_token", "overhead")
_TIMES = tuple(f"{name}_{what}" for name in _MEASURES for what in ("us", "count"))
_CACHE = ("cache_hits", "saved_usd")
_CONDITIONAL = {
    "failed": ("requests", "error_class <> 'none'"),
    "estimated_requests": ("requests", "is_estimated"),
    "estimated_usd": ("usd", "is_estimated"),
}
_ROWS_A_STATEMENT = 1000
_DAY = timedelta(days=1)


def upgrade() -> None:
    """Make the tables, and fill them day by day.

    Processes of the version before write on meanwhile, so they wait until this is done; in the
    order in which they take these tables.
    """
    if op.get_bind().dialect.name == "postgresql":
        op.execute("LOCK TABLE usage_hourly, usage_latency IN SHARE ROW EXCLUSIVE MODE")
    callers = _make("usage_daily_callers", _CALLERS, (*_COUNTED, *_CACHE, *_CONDITIONAL))
    models = _make("usage_daily_models", _MODELS, (*_COUNTED, *_TIMES, *_CACHE, *_CONDITIONAL))
    latencies = _make("usage_latency_models", _LATENCIES, _MEASURES)
    op.create_index(op.f("ix_usage_daily_callers_team_day"), "usage_daily_callers", ["team", "day"])
    op.create_index(
        op.f("ix_usage_daily_callers_user_id_day"), "usage_daily_callers", ["user_id", "day"]
    )
    for day in _days("usage_hourly", "hour"):
        _fill(callers, "usage_hourly", "hour", _CALLERS, day)
        _fill(models, "usage_hourly", "hour", _MODELS, day)
    for day in _days("usage_latency", "day"):
        _fill(latencies, "usage_latency", "day", _LATENCIES, day)


def downgrade() -> None:
    """Take them away."""
    for name in ("usage_latency_models", "usage_daily_models", "usage_daily_callers"):
        op.drop_table(name)


def _make(name: str, group: tuple[str, ...], sums: tuple[str, ...]) -> sa.Table:
    columns: list[sa.Column[Any]] = [
        sa.Column("bucket", sa.String(length=32), nullable=False),
        sa.Column("day", UtcDateTime(), nullable=False),
        *(
            sa.Column(
                one, sa.BigInteger() if one == "slot" else sa.Text(), nullable=one in _NULLABLE
            )
            for one in group
        ),
        *(
            sa.Column(one, _USD if one.endswith("usd") else sa.BigInteger(), nullable=False)
            for one in sums
        ),
    ]
    made = op.create_table(
        name, *columns, sa.PrimaryKeyConstraint("bucket", name=op.f(f"pk_{name}"))
    )
    op.create_index(op.f(f"ix_{name}_day"), name, ["day"])
    return made


def _days(name: str, moment: str) -> Iterator[datetime]:
    """Every day from the first moment to the last one."""
    column = sa.Table(name, sa.MetaData(), sa.Column(moment, UtcDateTime())).c[moment]
    oldest, newest = (
        op.get_bind().execute(sa.select(sa.func.min(column), sa.func.max(column))).one()
    )
    if oldest is None:
        return
    day = oldest.replace(hour=0)
    while day <= newest:
        yield day
        day += _DAY


def _fill(table: sa.Table, name: str, moment: str, group: tuple[str, ...], day: datetime) -> None:
    """Sum up one day."""
    sums = [one for one in table.c if one.name not in ("bucket", "day", *group)]
    kept = [one for one in sums if one.name not in _CONDITIONAL]
    finer = sa.Table(
        name,
        sa.MetaData(),
        sa.Column(moment, UtcDateTime()),
        *(sa.Column(one, table.c[one].type) for one in group),
        *(sa.Column(one.name, one.type) for one in kept),
    )
    amounts: dict[str, sa.ColumnElement[Any]] = {one.name: finer.c[one.name] for one in kept}
    for one in sums:
        if one.name in _CONDITIONAL:
            inner, condition = _CONDITIONAL[one.name]
            amounts[one.name] = sa.case((sa.text(condition), finer.c[inner]), else_=sa.text("0"))
    key = [finer.c[one] for one in group]
    query = (
        sa.select(*key, *(sa.func.sum(amount).label(one) for one, amount in amounts.items()))
        .where(finer.c[moment] >= day, finer.c[moment] < day + _DAY)
        .group_by(*key)
    )
    rows = [{"day": day, **row} for row in op.get_bind().execute(query).mappings()]
    for row in rows:
        canonical = msgspec.json.encode([day, *(row[one] for one in group)])
        row["bucket"] = hashlib.blake2b(canonical, digest_size=16).hexdigest()
    for start in range(0, len(rows), _ROWS_A_STATEMENT):
        op.get_bind().execute(table.insert(), rows[start : start + _ROWS_A_STATEMENT])
