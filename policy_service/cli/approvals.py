"""`gatehouse approvals`: ask at the gateway with a key; decide at a policy service."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from llm_core.policy.approvals import ApprovalState, Step
from policy_service.cli.amounts import asked_amount, plain
from policy_service.cli.approval_places import Approval, approvals_at
from policy_service.cli.failures import fail
from policy_service.cli.login import Token
from policy_service.cli.places import AnyDatabase, AnyServer, place_of
from policy_service.cli.server import AdminApi, ServerRefused
from policy_service.cli.tables import AsJson, print_json, show_table
from policy_service.cli.times import asked_moment, minute

app = typer.Typer(
    no_args_is_help=True,
    help="Approvals of costly or restricted models: request, mine and withdraw with a key at the "
    "gateway; the others, for who decides, at the policy service.",
)
_PATH = "/v1/approvals"
_Gateway = Annotated[
    str,
    typer.Option(
        "--gateway", envvar="GATEHOUSE_GATEWAY", help="The gateway's address, with or without /v1."
    ),
]
_Key = Annotated[
    str,
    typer.Option(
        "--api-key",
        envvar="GATEHOUSE_API_KEY",
        prompt="API key",
        hide_input=True,
        help="Your key. Set it in the environment: an option stands in the shell's history.",
    ),
]
_Id = Annotated[str, typer.Argument(help="The approval's id, from `gatehouse approvals list`.")]
_Own = Annotated[str, typer.Argument(help="The approval's id, from `gatehouse approvals mine`.")]
_Amount = Annotated[str | None, typer.Option(help="Most that may be spent in all, USD.")]
_Why = Annotated[str, typer.Option("--reason", help="Why; the requester reads it.")]
_Until = Annotated[str | None, typer.Option(help="How long: 12h, 7d, or 2026-12-01T00:00:00Z.")]


@app.command("request")
def request(
    *,
    model: Annotated[str, typer.Option(help="The model, or group:<name>.")],
    reason: Annotated[str, typer.Option(help="Why; approvers and the audit log read it.")],
    amount: _Amount = None,
    until: _Until = None,
    whom: Annotated[
        str | None,
        typer.Option("--for", help="Whom it is for: user:, application:, project: or team:<id>."),
    ] = None,
    gateway: _Gateway,
    api_key: _Key,
    as_json: AsJson = False,
) -> None:
    """Ask for an approval, with nothing but a key. Left out, it is for a week and has no cap.

    For example: gatehouse approvals request --model o1-pro --reason "the launch" --amount 50
    """
    usd = None if amount is None else asked_amount(amount)
    wanted = {"model": model, "reason": reason, "amount_usd": usd, "for": whom}
    body: dict[str, Any] = {name: one for name, one in wanted.items() if one is not None}
    if until is not None:
        body["until"] = asked_moment(until)
    told = _at_gateway(gateway, api_key, "POST", body)
    if as_json:
        print_json(told)
        return
    if told["is_new"]:
        typer.echo(f"{told['id']}: asked, for {told['for']}. An approver of your team answers it.")
    else:
        typer.echo(f"{told['id']}: you asked already; it waits for an answer.")


@app.command("withdraw")
def withdraw(approval_id: _Own, gateway: _Gateway, api_key: _Key) -> None:
    """Take a request of yours back that nobody has answered, for example to ask for more."""
    told = _at_gateway(gateway, api_key, "POST", {"withdraw": approval_id})
    typer.echo(f"{told['id']} is {told['state']}.")


@app.command("mine")
def mine(*, gateway: _Gateway, api_key: _Key, as_json: AsJson = False) -> None:
    """List what you asked for, and what is for you, with a key."""
    found = _at_gateway(gateway, api_key, "GET")["data"]
    if as_json:
        print_json(found)
        return
    _show(found)


@app.command("list")
def list_approvals(
    *,
    context: typer.Context,
    state: Annotated[ApprovalState | None, typer.Option(help="Only in this state.")] = None,
    team: Annotated[str | None, typer.Option(help="Only of this team.")] = None,
    model: Annotated[str | None, typer.Option(help="Only for this model.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 100,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    as_json: AsJson = False,
) -> None:
    """List requests that you may see, the newest first.

    For example, what waits for an answer: gatehouse approvals list --state requested
    """
    with approvals_at(place_of(context, server, token, database_url)) as place:
        found = place.listed(state, team, model, limit)
    if as_json:
        print_json(found)
        return
    _show(found)


@app.command("show")
def show(
    *,
    context: typer.Context,
    approval_id: _Id,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    as_json: AsJson = False,
) -> None:
    """Show one request with its history."""
    with approvals_at(place_of(context, server, token, database_url)) as place:
        found = place.find(approval_id)
    if as_json:
        print_json(found)
        return
    _show([found])
    typer.echo(f"Reason: {found['reason']}")
    show_table(
        ("when", "who", "step", "USD", "until", "said"),
        (
            (
                step["at"][:19].replace("T", " "),
                step["actor"],
                step["step"],
                plain(step["amount_usd"]),
                minute(step["until"]),
                step["reason"],
            )
            for step in found["steps"]
        ),
    )


@app.command("grant")
def grant(
    *,
    context: typer.Context,
    approval_id: _Id,
    amount: _Amount = None,
    until: _Until = None,
    reason: Annotated[str, typer.Option(help="What to say with it.")] = "",
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    as_json: AsJson = False,
) -> None:
    """Grant what was asked for; with --amount or --until less, or more."""
    usd = None if amount is None else asked_amount(amount)
    end = None if until is None else asked_moment(until)
    with approvals_at(place_of(context, server, token, database_url)) as place:
        made = place.grant(approval_id, usd, end, reason)
    if as_json:
        print_json(made)
        return
    cap = "" if made["granted_usd"] is None else f", up to ${plain(made['granted_usd'])}"
    end_told = minute(made["granted_until"])
    typer.echo(f"{made['id']}: {made['model']} for {made['for']} until {end_told} UTC{cap}.")


@app.command("refuse")
def refuse(
    *,
    context: typer.Context,
    approval_id: _Id,
    reason: _Why,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    as_json: AsJson = False,
) -> None:
    """Refuse a request."""
    with approvals_at(place_of(context, server, token, database_url)) as place:
        _tell(place.end(approval_id, Step.REFUSE, reason), as_json=as_json)


@app.command("revoke")
def revoke(
    *,
    context: typer.Context,
    approval_id: _Id,
    reason: _Why,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    as_json: AsJson = False,
) -> None:
    """End a grant now; within a second it helps nobody any more."""
    with approvals_at(place_of(context, server, token, database_url)) as place:
        _tell(place.end(approval_id, Step.REVOKE, reason), as_json=as_json)


def _tell(made: Approval, *, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    typer.echo(f"{made['id']} is {made['state']}.")


def _at_gateway(url: str, key: str, method: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    base = url.rstrip("/").removesuffix("/v1")
    try:
        with AdminApi(base, key) as gateway:
            return gateway.ask(method, _PATH, body=body)
    except ServerRefused as refused:
        raise fail(str(refused)) from refused


def _show(found: Iterable[Mapping[str, Any]]) -> None:
    show_table(
        ("id", "state", "model", "for", "by", "USD", "spent", "until", "decided by"),
        (
            (
                one["id"],
                one["state"],
                one["model"],
                one["for"],
                one["requester"],
                one["granted_usd" if one["granted_until"] else "asked_usd"] or "",
                one["spent_usd"] if one["granted_until"] else "",
                minute(one["granted_until"] or one["asked_until"]),
                one["decided_by"] or "",
            )
            for one in found
        ),
    )
