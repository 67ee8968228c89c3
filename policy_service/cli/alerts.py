"""`gatehouse alerts`: what is wrong, and who is told of it, at a policy service."""

from itertools import islice
from typing import Annotated, Any

import typer

from policy_service.cli.asking import MOST_ROWS, asking, every_row
from policy_service.cli.login import Server, Token
from policy_service.cli.server import path_part
from policy_service.cli.tables import AsJson, print_json, show_table
from policy_service.cli.times import minute

app = typer.Typer(no_args_is_help=True, help="Incidents, and the channels that tell of them.")


@app.command("list")
def list_incidents(
    *,
    past: Annotated[bool, typer.Option("--all", help="Those that are over as well.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    server: Server,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """List incidents that you may see, the newest first."""
    query = {"state": "all" if past else "open", "limit": str(min(limit, MOST_ROWS))}
    with asking(server, token) as api:
        found = list(islice(every_row(api, "/admin/v1/incidents", query), limit))
    if as_json:
        print_json(found)
        return
    show_table(
        ("id", "severity", "kind", "about", "since", "over since", "what"),
        (
            (
                one["id"],
                one["severity"],
                one["kind"],
                one["node"] or one["subject"],
                minute(one["opened_at"]),
                minute(one["recovered_at"]),
                one["title"],
            )
            for one in found
        ),
    )


@app.command("channels")
def channels(*, server: Server, token: Token = "", as_json: AsJson = False) -> None:
    """List the channels, what each is told of, and how much waits for it."""
    with asking(server, token) as api:
        found = api.ask("GET", "/admin/v1/alerts/channels")["rows"]
    if as_json:
        print_json(found)
        return
    show_table(
        ("name", "kind", "told of", "from", "waiting"),
        (
            (one["name"], one["kind"], _kinds(one), one["least"], str(one["waiting"]))
            for one in found
        ),
    )


@app.command("test")
def send_test(
    name: Annotated[str, typer.Argument(help="From `gatehouse alerts channels`.")],
    server: Server,
    token: Token = "",
) -> None:
    """Send a test message to a channel, now, whatever the hour."""
    with asking(server, token) as api:
        api.ask("POST", f"/admin/v1/alerts/channels/{path_part(name)}/test")
    typer.echo(f"{name} has taken it.")


def _kinds(channel: dict[str, Any]) -> str:
    return "everything" if channel["kinds"] is None else ", ".join(channel["kinds"])
