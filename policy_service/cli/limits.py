"""`gatehouse limits`: what may be used at most, and more of it for a while."""

from decimal import Decimal
from typing import Annotated

import typer

from llm_core.policy.limits import Limit, Measure
from policy_service.cli.amounts import asked_amount, plain
from policy_service.cli.limit_places import NewRaise, Row, limits_at
from policy_service.cli.login import Token
from policy_service.cli.places import AnyDatabase, AnyServer, place_of
from policy_service.cli.tables import AsJson, print_json, show_table
from policy_service.cli.times import asked_moment, minute

app = typer.Typer(
    no_args_is_help=True,
    help="Limits, and what raises them for a while; `gatehouse budgets` shows what is used.",
)
_Node = Annotated[str, typer.Argument(help="Whose limit, such as team:search.")]
_Measure = Annotated[Measure, typer.Argument(help="Which limit of theirs.")]
_OnlyNode = Annotated[str | None, typer.Option(help="Only of this node, such as team:search.")]
_Scope = Annotated[str, typer.Option(help="For a limit on models: model:<alias> or group:<name>.")]
_IfMatch = Annotated[
    str | None,
    typer.Option(
        help="Only if nobody has changed it since: the `etag` of `gatehouse limits list --json`."
    ),
]


@app.command("list")
def list_limits(
    *,
    context: typer.Context,
    node: _OnlyNode = None,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    as_json: AsJson = False,
) -> None:
    """List the limits that you may see, with what raises them now."""
    with limits_at(place_of(context, server, token, database_url)) as place:
        found = place.limits(node)
    if as_json:
        print_json(found)
        return
    show_table(
        ("node", "measure", "models", "amount", "raised by", "kept from batch"),
        (
            (
                one["node"],
                one["measure"],
                one["scope"],
                plain(one["amount"]),
                plain(sum(Decimal(more["amount"]) for more in one["raises"]) or None),
                plain(Decimal(one["interactive_share"]) or None),
            )
            for one in found
        ),
        wide=2,
    )


@app.command("set")
def set_limit(
    *,
    context: typer.Context,
    node: _Node,
    measure: _Measure,
    amount: Annotated[str, typer.Argument(help="The most, in the limit's unit.")],
    scope: _Scope = "",
    interactive_share: Annotated[
        str | None,
        typer.Option(help="The part that batch calls leave alone, 0 to 1; as it was if left out."),
    ] = None,
    if_match: _IfMatch = None,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """Set a limit for good; what somebody else has changed meanwhile is not overwritten.

    For example: gatehouse limits set team:search usd_per_month 500
    """
    most = asked_amount(amount)
    share = None if interactive_share is None else asked_amount(interactive_share)
    with limits_at(place_of(context, server, token, database_url)) as place:
        known = _found(place.limits(node), measure, scope)
        before = "none" if known is None else plain(known["amount"])
        if known is not None:
            share = Decimal(known["interactive_share"]) if share is None else share
            if_match = if_match or known.get("etag")
        limit = Limit(node, measure, most, scope=scope, interactive_share=share or Decimal(0))
        place.put(limit, if_match)
    typer.echo(f"{_named(node, measure, scope)} is {plain(most)}; it was {before}.")


@app.command("lift")
def lift(
    *,
    context: typer.Context,
    node: _Node,
    measure: _Measure,
    scope: _Scope = "",
    if_match: _IfMatch = None,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """Take a limit away, with what raises it; limits of the units above still hold."""
    with limits_at(place_of(context, server, token, database_url)) as place:
        place.lift(Limit(node, measure, Decimal(0), scope=scope), if_match)
    typer.echo(f"{_named(node, measure, scope)} is lifted.")


@app.command("raise")
def raise_limit(
    *,
    context: typer.Context,
    node: _Node,
    measure: _Measure,
    amount: Annotated[str, typer.Argument(help="How much more, in the limit's unit.")],
    until: Annotated[str, typer.Option(help="How long: 30m, 12h, 7d, or 2026-12-01T00:00:00Z.")],
    reason: Annotated[str, typer.Option(help="Why; the audit log has it.")],
    scope: _Scope = "",
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    as_json: AsJson = False,
) -> None:
    """Give more than a limit's amount, from now on, for a year at most.

    For example: gatehouse limits raise team:search usd_per_month 50 --until 7d --reason "launch"
    """
    wanted = NewRaise(node, scope, measure, asked_amount(amount), asked_moment(until), reason)
    with limits_at(place_of(context, server, token, database_url)) as place:
        made = place.add_raise(wanted)
    if as_json:
        print_json(made)
        return
    typer.echo(
        f"{made['id']}: {_limit(made)} has {plain(made['amount'])} more until "
        f"{minute(made['until'])} UTC."
    )


@app.command("raises")
def raises(
    *,
    context: typer.Context,
    node: _OnlyNode = None,
    past: Annotated[bool, typer.Option(help="Those that are over as well.")] = False,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    as_json: AsJson = False,
) -> None:
    """List raises that hold or will."""
    with limits_at(place_of(context, server, token, database_url)) as place:
        found = place.raises(node, past=past)
    if as_json:
        print_json(found)
        return
    show_table(
        ("id", "limit", "more", "until", "by", "reason", "withdrawn"),
        (
            (
                one["id"],
                _limit(one),
                plain(one["amount"]),
                minute(one["until"]),
                one["author"],
                one["reason"],
                minute(one["withdrawn_at"]),
            )
            for one in found
        ),
    )


@app.command("withdraw")
def withdraw(
    *,
    context: typer.Context,
    raise_id: Annotated[str, typer.Argument(help="From `gatehouse limits raises`.")],
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """End a raise now."""
    with limits_at(place_of(context, server, token, database_url)) as place:
        place.withdraw(raise_id)
    typer.echo(f"{raise_id} is withdrawn.")


def _found(rows: list[Row], measure: Measure, scope: str) -> Row | None:
    of_it = (one for one in rows if (one["measure"], one["scope"]) == (measure, scope))
    return next(of_it, None)


def _limit(one: Row) -> str:
    return _named(one["node"], one["measure"], one["scope"])


def _named(node: str, measure: str, scope: str) -> str:
    return f"{node} {measure}{f' on {scope}' if scope else ''}"
