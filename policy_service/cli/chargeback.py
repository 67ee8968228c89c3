"""`gatehouse chargeback`: what everybody owes for a month, over the admin API."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from policy_service.cli.asking import asking, whole
from policy_service.cli.failures import fail, misused
from policy_service.cli.login import Server, Token
from policy_service.cli.tables import AsJson, print_json, show_table
from policy_service.cli.waiting import waiting

app = typer.Typer(
    no_args_is_help=True,
    help="What everybody owes for a month: previews, closing, files, shared costs, invoices.",
)
_PATH = "/admin/v1/chargebacks"
_LONG_S = 300.0
_FORMATS = {"csv": "csv", "xlsx": "xlsx", "focus": "focus.csv"}
Organisation = Annotated[
    str,
    typer.Option("--organisation", "-o", envvar="GATEHOUSE_ORGANISATION", help="Whose, its id."),
]
_Period = Annotated[str, typer.Argument(help="The month, 2026-11, by the organisation's clocks.")]


@app.command("preview")
def preview(
    *,
    period: _Period,
    organisation: Organisation,
    server: Server,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Show a month as it would be closed now."""
    with asking(server, token) as api, waiting(f"Adding up {period}"):
        query = {"organisation": organisation, "period": period}
        found = api.ask("GET", f"{_PATH}/preview", query=query, timeout_s=_LONG_S)
    _show_statement(found, as_json=as_json)


@app.command("close")
def close(
    *,
    period: _Period,
    organisation: Organisation,
    server: Server,
    token: Token = "",
    as_json: AsJson = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Close a month that is over. It cannot be opened again."""
    if not yes:
        typer.confirm(f"Close {period} of {organisation} for good?", abort=True)
    with asking(server, token) as api, waiting(f"Closing {period}"):
        body = {"organisation": organisation, "period": period}
        made = api.ask("POST", _PATH, body=body, timeout_s=_LONG_S)
    if as_json:
        print_json(made)
        return
    typer.echo(
        f"{made['id']}: {period} of {organisation} is closed with {_usd(made['total_usd'])} USD in "
        f"{len(made['lines'])} lines; its digest is {made['digest']}."
    )


@app.command("list")
def list_closed(
    *,
    organisation: Annotated[
        str | None, typer.Option("--organisation", "-o", help="Only this one's.")
    ] = None,
    server: Server,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """List closed months, the newest first."""
    query = None if organisation is None else {"organisation": organisation}
    with asking(server, token) as api:
        found = whole(api, _PATH, query)
    if as_json:
        print_json(found)
        return
    show_table(
        ("id", "organisation", "period", "closed", "by", "USD"),
        (
            (
                row["id"],
                row["organisation"],
                row["period"],
                row["closed_at"][:16],
                row["closed_by"],
                _usd(row["total_usd"]),
            )
            for row in found["rows"]
        ),
    )


@app.command("show")
def show(
    *,
    chargeback_id: Annotated[str, typer.Argument(help="From `gatehouse chargeback list`.")],
    server: Server,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Show a closed month as it was closed, and what was corrected since."""
    with asking(server, token) as api:
        found = api.ask("GET", f"{_PATH}/{chargeback_id}", timeout_s=_LONG_S)
    _show_statement(found, as_json=as_json)


@app.command("export")
def export(
    *,
    which: Annotated[
        str, typer.Argument(metavar="ID|PERIOD", help="A closed month's id, or a month: 2026-11.")
    ],
    form: Annotated[str, typer.Option("--format", help="csv, xlsx or focus.")] = "csv",
    organisation: Annotated[
        str | None,
        typer.Option(
            "--organisation", "-o", envvar="GATEHOUSE_ORGANISATION", help="Whose; for a month."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where to; in this folder.")] = None,
    server: Server,
    token: Token = "",
) -> None:
    """Write a statement to a file: a closed one by its id, a month's preview by its name."""
    if form not in _FORMATS:
        raise fail(f"there is no format {form!r}; there are {', '.join(_FORMATS)}")
    path, query = f"{_PATH}/{which}/export", {"format": form}
    if not which.startswith("chb_"):
        if organisation is None:
            raise fail("say whose month it is with --organisation")
        path = f"{_PATH}/preview/export"
        query |= {"organisation": organisation, "period": which}
    target = out or Path(f"chargeback-{which}.{_FORMATS[form]}")
    with asking(server, token) as api, waiting(f"Writing {target}"):
        content = api.fetch(path, query=query, timeout_s=_LONG_S)
        target.write_bytes(content)
    typer.echo(f"{target}: {len(content)} bytes.")


@app.command("rules")
def rules(
    *,
    organisation: Organisation,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="YAML or JSON: charge so from now on.")
    ] = None,
    if_match: Annotated[
        str | None,
        typer.Option(
            help="Only if nobody has changed it since: the `etag` of `gatehouse chargeback rules "
            "--json`. A file that holds the `etag` says it by itself."
        ),
    ] = None,
    server: Server,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Show how shared costs are divided, or say it anew."""
    if file is None and if_match is not None:
        raise misused("--if-match is for a change: say with --file what shall be")
    query = {"organisation": organisation}
    with asking(server, token) as api:
        if file is None:
            found, etag = api.ask_tagged(f"{_PATH}/rules", query)
            found["etag"] = etag
        else:
            body = _rules_in(file)
            etag = body.pop("etag", None)
            if etag is not None and not isinstance(etag, str):
                raise fail(f"{file}: etag is not what `gatehouse chargeback rules --json` shows")
            condition = etag if if_match is None else if_match
            found = api.ask("PUT", f"{_PATH}/rules", body=body, query=query, if_match=condition)
    if as_json:
        print_json(found)
        return
    if not found["shared"]:
        typer.echo("Nothing is shared: each pays for their own calls.")
    else:
        show_table(
            ("shared cost", "of calls with", "divided by"),
            ((one["name"], _match(one["match"]), _divided(one)) for one in found["shared"]),
        )
    if found["currency"]:
        rate = found["currency"]
        typer.echo(f"Shown beside USD: {rate['code']}, {rate['usd_rate']} for a dollar.")


@app.command("reconcile")
def reconcile(
    *,
    period: _Period,
    invoice: Annotated[Path, typer.Argument(help="The provider's cost export, CSV.")],
    provider: Annotated[str, typer.Option(help="As deployments name it: openai, bedrock ...")],
    column: Annotated[
        list[str] | None,
        typer.Option(help="A head that is not guessed: model=..., usd=..., currency=..."),
    ] = None,
    organisation: Organisation,
    server: Server,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Compare a provider's invoice with the ledger, by model.

    For example: gatehouse chargeback reconcile 2026-11 invoice.csv --provider openai
    """
    columns = {}
    for pair in column or ():
        name, separator, head = pair.partition("=")
        if not separator:
            raise fail(f"{pair!r} is no column: write for example --column usd='Cost (USD)'")
        columns[name] = head
    try:
        text = invoice.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise fail(f"{invoice} cannot be read as UTF-8: {fault}") from fault
    body = {
        "organisation": organisation,
        "period": period,
        "provider": provider,
        "invoice_csv": text,
        "columns": columns,
    }
    with asking(server, token) as api:
        found = api.ask("POST", f"{_PATH}/reconcile", body=body, timeout_s=_LONG_S)
    if as_json:
        print_json(found)
        return
    heads = ("invoiced_usd", "ledger_usd", "difference_usd")
    rows = [
        (row["model"], *(_usd(row[head]) for head in heads), row["note"]) for row in found["rows"]
    ]
    rows.append(("total", *(_usd(found[head]) for head in heads), ""))
    show_table(("model", "invoiced USD", "ledger USD", "difference", "note"), rows)


def _show_statement(found: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    state = f"closed {found['closed_at'][:16]} by {found['closed_by']}" if found["id"] else "open"
    typer.echo(f"{found['organisation']} {found['period']} ({found['tz']}), {state}")
    if found["within"] is not None:
        typer.echo(f"You see {', '.join(found['within'])} only.")
    heads = ("direct_usd", "shared_usd", "usd", "billed_usd")
    rows = [
        (
            line["department"],
            line["team"],
            line["project"] or "",
            line["cost_centre"] or "(untagged)",
            str(line["requests"]),
            *(_usd(line[head]) for head in heads),
        )
        for line in found["lines"]
    ]
    requests = sum(line["requests"] for line in found["lines"])
    direct = sum((Decimal(line["direct_usd"]) for line in found["lines"]), Decimal(0))
    sums = (
        f"{direct:f}",
        *(_usd(found[head]) for head in ("shared_usd", "total_usd", "billed_usd")),
    )
    rows.append(("total", "", "", "", str(requests), *sums))
    show_table(
        (
            "department",
            "team",
            "project",
            "cost centre",
            "requests",
            "direct USD",
            "shared USD",
            "USD",
            "billed",
        ),
        rows,
    )
    typer.echo(f"Untagged: {_usd(found['untagged_usd'])} USD have no cost centre.")
    for one in found["shared"]:
        stayed = "; it stayed where it was spent" if one["stayed"] else ""
        typer.echo(f"Shared: {one['name']}, {_usd(one['usd'])} USD by {one['allocate']}{stayed}.")
    if found["currency"]:
        rate = found["currency"]
        there = Decimal(found["billed_usd"]) * Decimal(rate["usd_rate"])
        typer.echo(f"In {rate['code']}: {there:.2f}, at {rate['usd_rate']} for a dollar.")
    if found["adjustments_usd"] is not None:
        typer.echo(f"Corrected since the closing: {_usd(found['adjustments_usd'])} USD.")


def _usd(text: str) -> str:
    return f"{Decimal(text):f}"


def _match(match: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value or '(none)'}" for name, value in sorted(match.items()))


def _divided(one: Mapping[str, Any]) -> str:
    shares = ", ".join(f"{node} {share}" for node, share in sorted(one["shares"].items()))
    return f"{one['allocate']}: {shares}" if shares else str(one["allocate"])


def _rules_in(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as fault:
        raise fail(f"{file} cannot be read: {fault}") from fault
    if not isinstance(found, dict):
        raise fail(f"{file} holds no rules: it needs `shared`, `currency` or both")
    return found
