"""`gatehouse limits`: more than a limit's amount, for a while."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from llm_core.policy.limits import Measure
from policy_service.cli.database import DEFAULT_DATABASE, Database, operator, with_database
from policy_service.cli.failures import fail, needs
from policy_service.cli.tables import show_table
from policy_service.cli.times import span_of

if TYPE_CHECKING:
    from policy_service.adapters.sql.organisation import Organisation
    from policy_service.ports.organisation import RaiseRecord

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, help="Limits, and what raises them for a while.")
_Node = Annotated[str, typer.Argument(help="Whose limit, such as team:search.")]


@app.command("raise")
def raise_limit(
    *,
    node: _Node,
    measure: Annotated[Measure, typer.Argument(help="Which limit of theirs.")],
    amount: Annotated[str, typer.Argument(help="How much more, in the limit's unit.")],
    until: Annotated[str, typer.Option(help="How long: 30m, 12h, 7d, or 2026-12-01T00:00:00Z.")],
    reason: Annotated[str, typer.Option(help="Why; the audit log has it.")],
    scope: Annotated[
        str, typer.Option(help="For a limit on models: model:<alias> or group:<name>.")
    ] = "",
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Give more than a limit's amount, from now on, for a year at most."""
    more, end = _amount(amount), _moment(until)
    made = _with_organisation(
        database_url,
        lambda organisation: organisation.raise_limit(
            node, scope, measure, more, until=end, author=operator(), reason=reason
        ),
    )
    typer.echo(
        f"{made.id}: {_limit(made)} has {made.amount:f} more until {made.until:%Y-%m-%d %H:%M %Z}."
    )


@app.command("raises")
def raises(
    node: Annotated[str | None, typer.Option(help="Only on this node.")] = None,
    past: Annotated[bool, typer.Option(help="Those that are over as well.")] = False,
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """List raises that hold or will."""
    found = _with_organisation(
        database_url, lambda organisation: organisation.raises(node, with_past=past)
    )
    show_table(
        ("id", "limit", "more", "until", "by", "reason", "withdrawn"),
        (
            (
                one.id,
                _limit(one),
                f"{one.amount.normalize():f}",
                f"{one.until:%Y-%m-%d %H:%M}",
                one.author,
                one.reason,
                f"{one.withdrawn_at:%Y-%m-%d %H:%M}" if one.withdrawn_at else "",
            )
            for one in found
        ),
    )


@app.command("withdraw")
def withdraw(
    raise_id: Annotated[str, typer.Argument(help="From `gatehouse limits raises`.")],
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """End a raise now."""
    if not _with_organisation(
        database_url, lambda organisation: organisation.withdraw_raise(raise_id, operator())
    ):
        raise fail(f"there is no raise {raise_id!r} that holds; see `gatehouse limits raises`")
    typer.echo(f"{raise_id} is withdrawn.")


def _with_organisation(url: str, work: "Callable[[Organisation], Awaitable[T]]") -> T:
    with needs("service"):
        from policy_service.adapters.sql.organisation import Organisation

    return with_database(url, lambda engine: work(Organisation(engine)))


def _limit(one: "RaiseRecord") -> str:
    scope = f" on {one.scope}" if one.scope else ""
    return f"{one.node} {one.measure}{scope}"


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise fail(f"{text!r} is no amount") from None


def _moment(text: str) -> datetime:
    span = span_of(text)
    if span is not None:
        return datetime.now(UTC) + span
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment
    raise fail(f"{text!r} is no time: write 30m, 12h, 7d, or 2026-12-01T00:00:00Z")
