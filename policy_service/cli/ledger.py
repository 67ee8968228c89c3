"""`gatehouse ledger`: is the ledger sound, and do the counters of limits agree with it?"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from policy_service.cli.database import DEFAULT_DATABASE, Database, with_database
from policy_service.cli.failures import fail, needs
from policy_service.cli.waiting import counting, waiting

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from policy_service.ports.limits import Comparison
    from policy_service.services.reconcile import Reconciling

T = TypeVar("T")
app = typer.Typer(
    no_args_is_help=True,
    help="The ledger: its rows, its hourly sums, and the counters of limits made from it.",
)
_Redis = Annotated[
    str | None,
    typer.Option(
        "--redis-url", envvar="POLICY_REDIS_URL", help="Where the counters of limits are."
    ),
]


@app.command("check")
def check(
    *,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every counter, not only those that drift.")
    ] = False,
    database_url: Database = DEFAULT_DATABASE,
    redis_url: _Redis = None,
) -> None:
    """Hold every counter of limits against the ledger.

    Compares each limit a day, a month, 24 hours or 30 days with the sum of its rows and of the
    calls under way, exactly, while the service runs. Limits a minute and concurrent requests are
    not in the ledger and are left out. A limit without a counter agrees: its next call makes one.
    Amounts of approvals are limits as well.

    Exits with 0 when all agree, with 1 when one does not. `gatehouse ledger rebuild` mends that.
    """

    async def work(engine: "AsyncEngine") -> "tuple[int, list[Comparison]]":
        from policy_service.adapters.sql.approvals import SqlApprovals
        from policy_service.adapters.sql.organisation import Organisation

        limits = (*await Organisation(engine).limits(), *await SqlApprovals(engine).caps())
        compared = []
        known = sum(one.measure.period.is_from_ledger for one in limits)
        async with _reconciling(engine, redis_url) as reconciling:
            with counting("Comparing counters", known) as done:
                async for one in reconciling.check(limits):
                    compared.append(one)
                    done()
        return len(limits), compared

    count, compared = _run(database_url, redis_url, work)
    drifting = [one for one in compared if one.drift]
    if shown := compared if verbose else drifting:
        Console().print(_table(shown))
    without = sum(one.counted is None for one in compared)
    typer.echo(
        f"{count} limits: {len(compared) - without} counters compared with the ledger, "
        f"{without} without a counter, {count - len(compared)} that the ledger does not know."
    )
    if drifting:
        raise fail(f"{len(drifting)} of them drift: `gatehouse ledger rebuild` makes them anew")
    typer.echo("All agree.")


@app.command("rebuild")
def rebuild(database_url: Database = DEFAULT_DATABASE, redis_url: _Redis = None) -> None:
    """Make every counter of limits anew from the ledger.

    Drops them; the next call that needs one makes it from the rows and the calls under way. Safe at
    any time, also under load. Limits a minute and concurrent requests are not touched.
    """

    async def work(engine: "AsyncEngine") -> int:
        async with _reconciling(engine, redis_url) as reconciling:
            with waiting("Dropping counters"):
                return await reconciling.rebuild()

    typer.echo(f"{_run(database_url, redis_url, work)} counters will be made anew.")


@app.command("backfill")
def backfill(
    *,
    since: Annotated[
        str | None, typer.Option("--from", help="The first month, as 2026-01; else the oldest.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="The last month, as 2026-11; else the newest.")
    ] = None,
    may_shrink: Annotated[
        bool,
        typer.Option(
            "--may-shrink",
            help="Also months in which the ledger has fewer calls than the sums count. That is so "
            "where calls were dropped (`retain`): their sums would be lost.",
        ),
    ] = False,
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Make the hourly sums anew from the ledger's rows.

    One transaction a month; a service that runs goes on deciding, and writes its rows when the
    month is done. What the dashboard shows for a month comes from these sums.
    """
    with needs("service"):
        from policy_service.adapters.sql.months import month_named
        from policy_service.adapters.sql.partitions import SqlUpkeep

    async def work(engine: "AsyncEngine") -> int:
        for month in (since, until):
            if month is not None:
                month_named(month)
        upkeep = SqlUpkeep(engine)
        left_alone = 0
        months = [
            month
            for month in await upkeep.months()
            if (since or month) <= month <= (until or month)
        ]
        for number, month in enumerate(months, start=1):
            done = await upkeep.remake_rollups(month, may_shrink=may_shrink)
            left_alone += not done.is_changed
            said = "made anew" if done.is_changed else "left alone: --may-shrink would lose sums"
            typer.echo(
                f"[{number}/{len(months)}] {month}: {done.rows} calls in the ledger, "
                f"{done.before} in the sums; {said}"
            )
        return left_alone

    if left_alone := with_database(database_url, work):
        raise fail(f"{left_alone} months were left alone")
    typer.echo("Done.")


@app.command("retain")
def retain(
    months: Annotated[
        int, typer.Option(min=2, help="How many months before the current one to keep.")
    ],
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Drop the rows of months that are too old; the hourly sums stay.

    Needs two months at least, because budgets look back 30 days. The service does the same by
    itself, every hour, when POLICY_USAGE_KEPT_MONTHS is set.
    """
    with needs("service"):
        from policy_service.adapters.sql.partitions import SqlUpkeep

    dropped: tuple[str, ...] = with_database(
        database_url, lambda engine: SqlUpkeep(engine).drop_old(datetime.now(UTC), months)
    )
    typer.echo(f"Dropped: {', '.join(dropped)}." if dropped else "Nothing is that old.")


def _run(
    database_url: str,
    redis_url: str | None,
    work: "Callable[[AsyncEngine], Awaitable[T]]",
) -> T:
    if redis_url is None:
        raise fail(
            "counters that others can see are in Redis: set POLICY_REDIS_URL. Without it each "
            "service has its own, made from the ledger at its start"
        )
    return with_database(database_url, work)


@asynccontextmanager
async def _reconciling(
    engine: "AsyncEngine", redis_url: str | None
) -> "AsyncIterator[Reconciling]":
    from policy_service.adapters.redis_limits import RedisLimitsStore
    from policy_service.adapters.sql.ledger import SqlLedger
    from policy_service.services.reconcile import Reconciling

    store = RedisLimitsStore(redis_url or "")
    try:
        yield Reconciling(store, SqlLedger(engine), lambda: datetime.now(UTC))
    finally:
        await store.close()


def _table(compared: "list[Comparison]") -> Table:
    table = Table("limit", "counter", "ledger and under way", "drift")
    for one in compared:
        table.add_row(
            escape(one.limit.key),
            "none" if one.counted is None else f"{one.counted:f}",
            f"{one.expected:f}",
            f"{one.drift:+f}" if one.drift else "",
        )
    return table
