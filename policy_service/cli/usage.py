"""`gatehouse usage`, `budgets`, `teams` and `models`: what was used, is left, and is there."""

import csv
import json
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

import typer

from policy_service.cli.amounts import plain
from policy_service.cli.asking import asking, every_row
from policy_service.cli.failures import fail
from policy_service.cli.login import Server, Token
from policy_service.cli.tables import show_table

_SUMS = (
    "requests",
    "failed",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "usd",
    "saved_usd",
    "routing_saved_usd",
    "cache_hits",
    "fallbacks",
    "estimated_requests",
    "estimated_usd",
    "input_audio_tokens",
    "input_image_tokens",
    "output_audio_tokens",
    "cached_audio_tokens",
)
_SHOWN = ("requests", "input_tokens", "output_tokens", "usd")
_CENT = Decimal("0.01")
_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with every digit.")]
_AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, with every digit.")]


def usage(
    *,
    server: Server,
    by: Annotated[
        str,
        typer.Option(
            help="What to sum up by, separated by commas: department, team, project, user, "
            "application, cost_centre, model, provider, region, use_case, ..."
        ),
    ] = "team,model",
    since: Annotated[
        str | None,
        typer.Option("--from", help="From this day or instant on; this month by default."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="Up to this day or instant; now by default.")
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option("--tz", help="In which time zone days begin, such as Europe/Paris."),
    ] = None,
    interval: Annotated[
        str, typer.Option(help="A row for each: none, hour, day or month.")
    ] = "none",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Such as department=research; may be given several times."),
    ] = None,
    as_json: _AsJson = False,
    as_csv: _AsCsv = False,
    token: Token = "",
) -> None:
    """Show what was used, as far as your roles reach.

    For example: gatehouse usage --by team,model --from 2026-11-01 --only department=research
    """
    groups = [one.strip() for one in by.split(",") if one.strip()]
    query: dict[str, str | list[str]] = {
        "group_by": ",".join(groups),
        "interval": interval,
        **_filters(only or ()),
    }
    # Left out, it is the month of the organisation's clocks.
    if since is not None:
        query["from"] = since
    if until is not None:
        query["to"] = until
    if zone is not None:
        query["tz"] = zone
    with asking(server, token) as api:
        rows = list(every_row(api, "/admin/v1/costs", query))
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    heads = [*(["start"] if interval != "none" else []), *groups]
    if as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow((*heads, *_SUMS))
        for row in rows:
            keys = map(_harmless, _keys(row, heads))
            writer.writerow([*keys, *(row.get(name, 0) for name in _SUMS)])
        return
    shown = [[*_keys(row, heads), *_rounded(row)] for row in rows]
    show_table([*heads, *_SHOWN], shown, wide=len(heads))


def budgets(
    server: Server,
    node: Annotated[
        str | None, typer.Option(help="Only of this node, such as team:search.")
    ] = None,
    as_json: _AsJson = False,
    token: Token = "",
) -> None:
    """Show every limit that you may see: what is used of it, and what is left."""
    query = {} if node is None else {"node": node}
    with asking(server, token) as api:
        rows = list(every_row(api, "/admin/v1/limits/states", query))
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    show_table(
        ("node", "measure", "models", "amount", "used", "reserved", "left", "until"),
        (
            (
                row["node"],
                row["measure"],
                row["scope"],
                *(plain(row[name]) for name in ("amount", "used", "reserved", "left")),
                row["resets_at"] or "",
            )
            for row in rows
        ),
        wide=2,
    )


def teams(server: Server, as_json: _AsJson = False, token: Token = "") -> None:
    """List the teams that you may see."""
    with asking(server, token) as api:
        parts = list(every_row(api, "/admin/v1/organisation", {}))
    found = [one for one in parts if one["subject"].startswith("team:")]
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    show_table(
        ("team", "department", "name"),
        (
            (
                one["subject"].removeprefix("team:"),
                str(one["record"].get("department") or ""),
                str(one["record"].get("name") or ""),
            )
            for one in found
        ),
    )


def models(server: Server, as_json: _AsJson = False, token: Token = "") -> None:
    """List the models, where each can be called, and what a million tokens cost there."""
    with asking(server, token) as api:
        found = list(every_row(api, "/admin/v1/models", {}))
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    show_table(
        ("model", "deployment", "provider", "region", "way", "input USD", "output USD"),
        (
            (
                one["alias"],
                place["id"],
                place["provider"],
                place["region"],
                place["transport"],
                *_prices(place["price"]),
            )
            for one in found
            for place in one["deployments"]
        ),
        wide=2,
    )


def _prices(price: dict[str, Any] | None) -> tuple[str, str]:
    if price is None:
        return "no price: refused", ""
    return plain(price["rates"]["input"]), plain(price["rates"]["output"])


def _filters(said: Sequence[str]) -> dict[str, list[str]]:
    filters: dict[str, list[str]] = {}
    for one in said:
        name, is_said, value = one.partition("=")
        if not is_said:
            raise fail(f"{one!r} is no filter: write department=research")
        filters.setdefault(name.strip(), []).append(value.strip())
    return filters


def _keys(row: dict[str, Any], heads: Sequence[str]) -> list[str]:
    keys = {**row["keys"], "start": row.get("start")}
    return ["" if keys.get(head) is None else str(keys[head]) for head in heads]


def _rounded(row: dict[str, Any]) -> list[str]:
    counts = [f"{row[name]:,}" for name in _SHOWN if name != "usd"]
    return [*counts, f"{Decimal(row['usd']).quantize(_CENT):,}"]


def _harmless(cell: str) -> str:
    """A text that a spreadsheet would take for a formula begins with an apostrophe instead."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
