"""`gatehouse approvals`: ask at the gateway with a key; decide at the database."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from llm_core.policy.approvals import ApprovalState, Step, StepRefused
from policy_service.cli.database import DEFAULT_DATABASE, Database, operator, with_database
from policy_service.cli.failures import fail, needs
from policy_service.cli.server import AdminApi, ServerRefused
from policy_service.cli.tables import show_table
from policy_service.cli.times import span_of

if TYPE_CHECKING:
    from policy_service.adapters.sql.approvals import SqlApprovals
    from policy_service.ports.approvals import ApprovalRecord

T = TypeVar("T")
app = typer.Typer(
    no_args_is_help=True,
    help="Approvals of costly or restricted models: ask with a key, or decide.",
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
_Amount = Annotated[str | None, typer.Option(help="Most that may be spent in all, USD.")]
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
) -> None:
    """Ask for an approval, with nothing but a key. Left out, it is for a week and has no cap."""
    wanted = {"model": model, "reason": reason, "amount_usd": _usd(amount), "for": whom}
    body: dict[str, Any] = {name: one for name, one in wanted.items() if one is not None}
    if until is not None:
        body["until"] = _moment(until)
    told = _at_gateway(gateway, api_key, "POST", body)
    if told["is_new"]:
        typer.echo(f"{told['id']}: asked, for {told['for']}. An approver of your team answers it.")
    else:
        typer.echo(f"{told['id']}: you asked already; it waits for an answer.")


@app.command("withdraw")
def withdraw(approval_id: _Id, gateway: _Gateway, api_key: _Key) -> None:
    """Take a request of yours back that nobody has answered, for example to ask for more."""
    told = _at_gateway(gateway, api_key, "POST", {"withdraw": approval_id})
    typer.echo(f"{told['id']} is {told['state']}.")


@app.command("mine")
def mine(gateway: _Gateway, api_key: _Key) -> None:
    """List what you asked for, and what is for you."""
    _show(_at_gateway(gateway, api_key, "GET")["data"])


@app.command("list")
def list_approvals(
    *,
    state: Annotated[ApprovalState | None, typer.Option(help="Only in this state.")] = None,
    team: Annotated[str | None, typer.Option(help="Only of this team.")] = None,
    model: Annotated[str | None, typer.Option(help="Only for this model.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 100,
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """List requests, the newest first."""
    found = _with_approvals(
        database_url,
        lambda approvals: approvals.listed(state=state, team=team, model=model, most=limit),
    )
    _show(_told(one) for one in found)


@app.command("show")
def show(approval_id: _Id, database_url: Database = DEFAULT_DATABASE) -> None:
    """Show one request with its history."""
    found = _known(
        _with_approvals(database_url, lambda approvals: approvals.find(approval_id)), approval_id
    )
    _show([_told(found)])
    typer.echo(f"Reason: {found.reason}")
    show_table(
        ("when", "who", "step", "USD", "until", "said"),
        (
            (
                f"{step.at:%Y-%m-%d %H:%M:%S}",
                step.actor,
                step.step.value,
                "" if step.amount_usd is None else f"{step.amount_usd.normalize():f}",
                f"{step.until:%Y-%m-%d %H:%M}" if step.until else "",
                step.reason,
            )
            for step in found.steps
        ),
    )


@app.command("grant")
def grant(
    approval_id: _Id,
    amount: _Amount = None,
    until: _Until = None,
    reason: Annotated[str, typer.Option(help="What to say with it.")] = "",
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Grant what was asked for; with --amount or --until less, or more."""
    usd, end = _usd(amount), None if until is None else _moment(until)
    made = _known(
        _with_approvals(
            database_url,
            lambda approvals: approvals.grant(
                approval_id, operator(), amount_usd=usd, until=end, reason=reason
            ),
        ),
        approval_id,
    )
    cap = "" if made.granted_usd is None else f", up to ${made.granted_usd.normalize():f}"
    typer.echo(f"{made.id}: {made.model} for {made.node} until {_time(made.granted_until)}{cap}.")


@app.command("refuse")
def refuse(
    approval_id: _Id,
    reason: Annotated[str, typer.Option(help="Why; the requester reads it.")],
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Refuse a request."""
    _end(database_url, approval_id, Step.REFUSE, reason)


@app.command("revoke")
def revoke(
    approval_id: _Id,
    reason: Annotated[str, typer.Option(help="Why; the requester reads it.")],
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """End a grant now; within a second it helps nobody any more."""
    _end(database_url, approval_id, Step.REVOKE, reason)


def _end(url: str, approval_id: str, step: Step, reason: str) -> None:
    done = _with_approvals(
        url, lambda approvals: approvals.end(approval_id, step, operator(), reason)
    )
    made = _known(done, approval_id)
    typer.echo(f"{made.id} is {made.state}.")


def _with_approvals(url: str, work: "Callable[[SqlApprovals], Awaitable[T]]") -> T:
    with needs("service"):
        from policy_service.adapters.sql.approvals import SqlApprovals

    try:
        return with_database(url, lambda engine: work(SqlApprovals(engine)))
    except StepRefused as refused:
        raise fail(str(refused)) from refused


def _known(found: "ApprovalRecord | None", approval_id: str) -> "ApprovalRecord":
    if found is None:
        raise fail(f"there is no approval {approval_id[:100]!r}; see `gatehouse approvals list`")
    return found


def _at_gateway(url: str, key: str, method: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    base = url.rstrip("/").removesuffix("/v1")
    try:
        with AdminApi(base, key) as gateway:
            return gateway.ask(method, _PATH, body=body)
    except ServerRefused as refused:
        raise fail(str(refused)) from refused


def _told(record: "ApprovalRecord") -> Mapping[str, Any]:
    from policy_service.services.approvals import shown

    return shown(record)


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
                (one["granted_until"] or one["asked_until"])[:16].replace("T", " "),
                one["decided_by"] or "",
            )
            for one in found
        ),
    )


def _usd(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise fail(f"{text!r} is no amount: write it as 50") from None


def _moment(text: str) -> datetime:
    span = span_of(text)
    if span is not None:
        return datetime.now(UTC) + span
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment
    raise fail(f"{text!r} is no time: write 12h, 7d, or 2026-12-01T00:00:00Z")


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M %Z}"
