"""`gatehouse reports`: who gets which report by itself, over the admin API."""

from pathlib import Path
from typing import Annotated, Any

import typer

from policy_service.cli.asking import asking, whole
from policy_service.cli.failures import fail, misused
from policy_service.cli.login import Server, Token
from policy_service.cli.server import path_part
from policy_service.cli.tables import AsJson, print_json, show_table

app = typer.Typer(
    no_args_is_help=True,
    help="Weekly and monthly reports by e-mail or webhook: who gets which.",
)
_PATH = "/admin/v1/reports"
_LONG_S = 300.0
_Id = Annotated[str, typer.Argument(help="The schedule's id, such as research-weekly.")]
_IfMatch = Annotated[
    str | None,
    typer.Option(
        help="Only if nobody has changed it since: the `etag` of `gatehouse reports list --json`."
    ),
]
_Kind = Annotated[str, typer.Option(help="summary or chargeback.")]
_Cadence = Annotated[str, typer.Option(help="weekly or monthly.")]
_NodeHelp = "What it is about: organisation:, department:, team: or project: and its id."


@app.command("list")
def list_schedules(*, server: Server, token: Token = "", as_json: AsJson = False) -> None:
    """List the reports that you may see."""
    with asking(server, token) as api:
        found = whole(api, f"{_PATH}/schedules")
    if as_json:
        print_json(found)
        return
    show_table(
        ("id", "about", "report", "when", "to", "set by"),
        ((one["id"], one["node"], *_shown(one), one["set_by"]) for one in found["rows"]),
    )


_Own = Annotated[
    list[str] | None,
    typer.Option(
        help="With --per-department: who gets a department's own in place of --to, such as "
        "research=head@acme.example; repeat it."
    ),
]


@app.command("set")
def set_schedule(
    *,
    schedule_id: _Id,
    node: Annotated[str, typer.Option(help=_NodeHelp)],
    to: Annotated[list[str], typer.Option(help="An e-mail address, or webhook:<name>; repeat it.")],
    kind: _Kind = "summary",
    cadence: _Cadence = "weekly",
    hour: Annotated[
        int, typer.Option(min=0, max=23, help="When, by the organisation's clocks.")
    ] = 7,
    per_department: Annotated[
        bool,
        typer.Option(
            "--per-department", help="A report of each department of the organisation --node."
        ),
    ] = False,
    department_to: _Own = None,
    if_match: _IfMatch = None,
    server: Server,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Send a report from now on: on Mondays, or on the first of a month.

    For example: gatehouse reports set weekly --node department:hr --to boss@acme.example
    """
    body: dict[str, Any] = {"node": node, "kind": kind, "cadence": cadence, "to": to, "hour": hour}
    if per_department or department_to:
        body |= {"per_department": per_department, "department_to": _own(department_to or [])}
    with asking(server, token) as api:
        path = f"{_PATH}/schedules/{path_part(schedule_id)}"
        made = api.ask("PUT", path, body=body, if_match=if_match)
    if as_json:
        print_json(made)
        return
    typer.echo(f"{made['id']}: {', '.join(_shown(made))}.")


@app.command("remove")
def remove(
    *, schedule_id: _Id, if_match: _IfMatch = None, server: Server, token: Token = ""
) -> None:
    """Send a report no more."""
    with asking(server, token) as api:
        api.ask("DELETE", f"{_PATH}/schedules/{path_part(schedule_id)}", if_match=if_match)
    typer.echo(f"{schedule_id} is not sent any more.")


@app.command("send")
def send(*, schedule_id: _Id, server: Server, token: Token = "", as_json: AsJson = False) -> None:
    """Send the report of the newest week or month that is over, now."""
    with asking(server, token) as api:
        found = api.ask(
            "POST", f"{_PATH}/schedules/{path_part(schedule_id)}/send", timeout_s=_LONG_S
        )
    _show_runs(found, as_json=as_json)
    failed = [one["destination"] for one in found["rows"] if one["state"] != "sent"]
    if failed:
        raise fail(f"it was not sent to {', '.join(failed)}")


@app.command("history")
def history(
    *, schedule_id: _Id, server: Server, token: Token = "", as_json: AsJson = False
) -> None:
    """Show what was sent, and what was not, the newest first."""
    with asking(server, token) as api:
        found = whole(api, f"{_PATH}/schedules/{path_part(schedule_id)}/runs")
    _show_runs(found, as_json=as_json)


@app.command("preview")
def preview(
    *,
    node: Annotated[str, typer.Option(help=_NodeHelp)],
    kind: _Kind = "summary",
    cadence: _Cadence = "weekly",
    out: Annotated[Path, typer.Option(help="Where to.")] = Path("report.html"),
    server: Server,
    token: Token = "",
) -> None:
    """Write a report as it would be sent now to a file, for a browser."""
    query = {"node": node, "kind": kind, "cadence": cadence}
    with asking(server, token) as api:
        out.write_bytes(api.fetch(f"{_PATH}/preview", query=query, timeout_s=_LONG_S))
    typer.echo(f"{out}: open it in a browser.")


def _show_runs(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    show_table(
        ("period", "about", "to", "state", "tries", "at", "why not"),
        (
            (
                one["period"],
                one["node"],
                one["destination"],
                one["state"],
                str(one["attempts"]),
                (one["sent_at"] or one["at"])[:16],
                one["error"],
            )
            for one in found["rows"]
        ),
    )


def _shown(one: dict[str, Any]) -> tuple[str, str, str]:
    when = f"{one['cadence']} at {one['hour']}:00 {one['time_zone']}"
    own = (f"{name}: {', '.join(to)}" for name, to in one["department_to"].items())
    kind = f"{one['kind']}, each department" if one["per_department"] else one["kind"]
    return kind, when, "; ".join((", ".join(one["to"]), *own))


def _own(given: list[str]) -> dict[str, list[str]]:
    """`research=head@acme.example`, by department."""
    found: dict[str, list[str]] = {}
    for one in given:
        department, is_said, to = one.partition("=")
        if not (department and is_said and to):
            raise misused(f"{one!r} is no department=recipient, such as research=head@acme.example")
        found.setdefault(department, []).append(to)
    return found
