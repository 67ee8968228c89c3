"""The ledger by month; who pays, what for and how urgent; roll-ups by everything a report asks.

The table `usage` is made anew with its rows, because neither database can partition a table or
change a primary key in its place. The roll-ups are made anew from the rows, which are all there:
nothing dropped rows before this step.
"""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

from policy_service.adapters.sql.columns import ExactDecimal, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_USD = ExactDecimal(24, 12)
_GROUP_BEFORE = (
    "hour",
    "organisation",
    "department",
    "team",
    "project",
    "asked_model",
    "model",
    "provider",
    "region",
    "operation",
    "error_class",
    "is_estimated",
)
_GROUP = (
    *_GROUP_BEFORE[:5],
    "user_id",
    "application",
    "cost_centre",
    *_GROUP_BEFORE[5:10],
    "use_case",
    "http_status",
    *_GROUP_BEFORE[10:],
)
_SUMS = (
    "requests",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "usd",
    "fallbacks",
    "total_us",
    "total_count",
    "time_to_first_token_us",
    "time_to_first_token_count",
    "overhead_us",
    "overhead_count",
    "cache_hits",
    "saved_usd",
)
_MOST_GROUPS = 500
_ROWS_A_PAGE = 1000
_MONTHS_AHEAD = 3


def upgrade() -> None:
    """Make both tables anew, with what they hold."""
    is_postgres = _is_postgres()
    _set_aside(("at", "decision_id"), ("key_id", "at"), ("user_id", "at"))
    new = (
        sa.Column("cost_centre", sa.Text(), nullable=True),
        sa.Column("use_case", sa.Text(), nullable=True),
        sa.Column("priority", sa.Text(), nullable=False, server_default="interactive"),
    )
    _make_usage(*new, key=("decision_id", "at"))
    if is_postgres:
        _make_partitions()
    _bring_back()
    for columns in (
        ("at", "decision_id"),
        ("team", "at"),
        ("project", "at"),
        ("user_id", "at"),
        ("application", "at"),
        ("key_id", "at"),
    ):
        _index("usage", *columns)
    op.drop_table("usage_hourly")
    _make_hourly(_GROUP)
    _fill_hourly(_rows_by_group(), _GROUP)
    _index("usage_hourly", "user_id", "hour")
    _index("usage_hourly", "application", "hour")


def downgrade() -> None:
    """Undo it; who pays, what for and how urgent is lost. Dropped months stay in the roll-ups."""
    hourly = _hourly(_GROUP)
    sums = [sa.func.sum(hourly.c[name]).label(name) for name in _SUMS]
    groups = [hourly.c[name] for name in _GROUP_BEFORE]
    found = _all(sa.select(*groups, *sums).group_by(*groups))
    op.drop_table("usage_hourly")
    _make_hourly(_GROUP_BEFORE)
    _fill_hourly(found, _GROUP_BEFORE)
    _set_aside(
        ("at", "decision_id"),
        ("team", "at"),
        ("project", "at"),
        ("user_id", "at"),
        ("application", "at"),
        ("key_id", "at"),
    )
    _make_usage(key=("decision_id",))
    _bring_back()
    for columns in (("at", "decision_id"), ("key_id", "at"), ("user_id", "at")):
        _index("usage", *columns)


def _is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def _set_aside(*indexed: tuple[str, ...]) -> None:
    """Rename the table, and free the names of what hangs on it."""
    for columns in indexed:
        op.drop_index(op.f(f"ix_usage_{'_'.join(columns)}"), table_name="usage")
    op.rename_table("usage", "usage_before")
    if _is_postgres():
        op.drop_constraint("pk_usage", "usage_before", type_="primary")


def _bring_back() -> None:
    """Copy what both tables have, and drop the one that was set aside."""
    names = ", ".join(column.name for column in _usage_columns())
    op.execute(f"INSERT INTO usage ({names}) SELECT {names} FROM usage_before")  # noqa: S608 - fixed
    op.drop_table("usage_before")


def _make_usage(*more: sa.Column[Any], key: tuple[str, ...]) -> None:
    options: dict[str, Any] = {"postgresql_partition_by": "RANGE (at)"} if "at" in key else {}
    op.create_table(
        "usage",
        *_usage_columns(),
        *more,
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_usage")),
        **options,
    )


def _make_partitions() -> None:
    """For every month with rows in it, for this one and the next two, and for whatever else."""
    op.execute("CREATE TABLE usage_default PARTITION OF usage DEFAULT")
    filled = op.get_bind().execute(
        sa.text("SELECT DISTINCT date_trunc('month', at, 'UTC') FROM usage_before")
    )
    months = {moment.astimezone(UTC) for moment in filled.scalars()}
    coming = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(_MONTHS_AHEAD):
        months.add(coming)
        coming = _next(coming)
    for first in sorted(months):
        op.execute(
            f"CREATE TABLE usage_{first:%Y_%m} PARTITION OF usage "
            f"FOR VALUES FROM ('{first}') TO ('{_next(first)}')"
        )


def _next(first: datetime) -> datetime:
    return (first + timedelta(days=32)).replace(day=1)


def _usage_columns() -> list[sa.Column[Any]]:
    """As they were before this step."""
    return [
        sa.Column("decision_id", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("department", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("application", sa.Text(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("asked_model", sa.Text(), nullable=False),
        sa.Column("routed_model", sa.Text(), nullable=True),
        sa.Column("served_model", sa.Text(), nullable=True),
        sa.Column("deployment_id", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("is_streaming", sa.Boolean(), nullable=False),
        sa.Column("http_status", sa.BigInteger(), nullable=False),
        sa.Column("error_class", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cached_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=True),
        sa.Column("usd", _USD, nullable=False),
        sa.Column("price_version", sa.Text(), nullable=True),
        sa.Column("policy_revision", sa.Text(), nullable=False),
        sa.Column("total_ms", sa.Double(), nullable=True),
        sa.Column("time_to_first_token_ms", sa.Double(), nullable=True),
        sa.Column("overhead_ms", sa.Double(), nullable=True),
        sa.Column("fallbacks", sa.BigInteger(), nullable=False),
        sa.Column("request_digest", sa.Text(), nullable=True),
        sa.Column("response_digest", sa.Text(), nullable=True),
        sa.Column("cache", sa.Text(), nullable=False, server_default="bypass"),
        sa.Column("saved_usd", _USD, nullable=False, server_default="0"),
    ]


def _hourly_columns(group: Iterable[str]) -> list[sa.Column[Any]]:
    nullable = {"project", "user_id", "application", "cost_centre", "model", "provider", "region"}
    nullable.add("use_case")
    kinds: dict[str, sa.types.TypeEngine[Any]] = {
        "hour": UtcDateTime(),
        "is_estimated": sa.Boolean(),
        "http_status": sa.BigInteger(),
    }
    since_cache = {"cache_hits", "saved_usd"}
    return [
        sa.Column("bucket", sa.String(length=32), nullable=False),
        *(sa.Column(name, kinds.get(name, sa.Text()), nullable=name in nullable) for name in group),
        *(
            sa.Column(
                name,
                _USD if name in ("usd", "saved_usd") else sa.BigInteger(),
                nullable=False,
                server_default="0" if name in since_cache else None,
            )
            for name in _SUMS
        ),
    ]


def _hourly(group: Iterable[str]) -> sa.Table:
    return sa.Table("usage_hourly", sa.MetaData(), *_hourly_columns(group))


def _make_hourly(group: Iterable[str]) -> None:
    op.create_table(
        "usage_hourly",
        *_hourly_columns(group),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_usage_hourly")),
    )
    for columns in (("hour",), ("team", "hour"), ("department", "hour"), ("project", "hour")):
        _index("usage_hourly", *columns)


def _all(query: sa.Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in op.get_bind().execute(query).mappings()]


def _fill_hourly(found: list[dict[str, Any]], group: tuple[str, ...]) -> None:
    table = _hourly(group)
    for start in range(0, len(found), _MOST_GROUPS):
        rows = found[start : start + _MOST_GROUPS]
        for row in rows:
            canonical = msgspec.json.encode([row[name] for name in group])
            row["bucket"] = hashlib.blake2b(canonical, digest_size=16).hexdigest()
        op.get_bind().execute(table.insert(), rows)


def _rows_by_group() -> list[dict[str, Any]]:
    """The rows' sums by group.

    Summed here and not by the database: latencies are rounded as they were when they were put in.
    """
    table = sa.Table(
        "usage",
        sa.MetaData(),
        *_usage_columns(),
        *(sa.Column(name, sa.Text()) for name in ("cost_centre", "use_case")),
    )
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in _each_of(table):
        key = _group_of(row)
        sums = groups.setdefault(
            key, {**dict(zip(_GROUP, key, strict=True)), **dict.fromkeys(_SUMS, 0)}
        )
        for name, amount in _amounts_of(row).items():
            sums[name] += amount
    return list(groups.values())


def _each_of(table: sa.Table) -> Iterator[sa.RowMapping]:
    """Every row, a page at a time.

    Not by a cursor of the database: it stays open until the transaction ends, and PostgreSQL lets
    no later step change the table as long.
    """
    query = sa.select(table).order_by(table.c.decision_id).limit(_ROWS_A_PAGE)
    after = ""
    while True:
        found = op.get_bind().execute(query.where(table.c.decision_id > after))
        page = found.mappings().all()
        yield from page
        if len(page) < _ROWS_A_PAGE:
            return
        after = page[-1]["decision_id"]


def _group_of(row: sa.RowMapping) -> tuple[Any, ...]:
    made = {
        "hour": row["at"].replace(minute=0, second=0, microsecond=0),
        "model": row["served_model"] or row["routed_model"],
        "is_estimated": row["source"] == "estimated",
    }
    return tuple(made[name] if name in made else row[name] for name in _GROUP)


def _amounts_of(row: sa.RowMapping) -> dict[str, Any]:
    amounts: dict[str, Any] = {
        name: 0 if row[name] is None else row[name] for name in _SUMS if name in row
    }
    amounts |= {"requests": 1, "cache_hits": row["cache"] == "hit"}
    for name in ("total", "time_to_first_token", "overhead"):
        ms = row[f"{name}_ms"]
        amounts[f"{name}_us"] = 0 if ms is None else round(ms * 1000)
        amounts[f"{name}_count"] = ms is not None
    return amounts
