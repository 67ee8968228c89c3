"""`gatehouse policy shadow`: a bundle beside the live policy, and where it differs."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from policy_service.cli.login import Token
from policy_service.cli.places import AnyDatabase, AnyServer, is_typed, place_of
from policy_service.cli.policy.keeping import Bundle, IfMatch
from policy_service.cli.policy.places import policies_at, refuse_keys
from policy_service.cli.policy.sources import Keys
from policy_service.cli.tables import show_table
from policy_service.ports.policies import ShadowDifference, ShadowReport

app = typer.Typer(
    no_args_is_help=True,
    help="A bundle that is evaluated beside the live one, and decides nothing.",
)
_SHOWN = 20


@app.command("on")
def on(
    *,
    context: typer.Context,
    bundle: Bundle,
    if_match: IfMatch = None,
    keys: Keys = None,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """Evaluate a bundle beside the live policy from now on; counting starts anew."""
    place = place_of(context, server, token, database_url)
    refuse_keys(place, are_typed=is_typed(context, "keys"))
    with policies_at(place, keys) as policies:
        done = policies.shadow(bundle, if_match)
    if done is not None:
        typer.echo(f"{done.revision} is evaluated beside the live policy.")


@app.command("off")
def off(
    *,
    context: typer.Context,
    if_match: IfMatch = None,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """Evaluate nothing beside the live policy."""
    with policies_at(place_of(context, server, token, database_url)) as policies:
        policies.shadow(None, if_match)
    typer.echo("There is no shadow any more.")


@app.command("show")
def show(
    *,
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """Tell how many decisions the shadow would have made otherwise, where and why."""
    with policies_at(place_of(context, server, token, database_url)) as policies:
        report = policies.shadow_report()
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(report))
        return
    if report.bundle is None:
        typer.echo("There is no shadow; `gatehouse policy shadow on` makes a bundle one.")
        return
    sums = Counter[str]()
    for one in report.counts:
        for name in ("evaluated", "differing", "failed", "dropped"):
            sums[name] += getattr(one, name)
    typer.echo(
        f"{report.bundle.revision}, since {report.since:%Y-%m-%d %H:%M:%S} UTC: "
        f"evaluated {sums['evaluated']}, differ {sums['differing']}, "
        f"without an answer {sums['failed']}, not asked for want of time {sums['dropped']}."
    )
    _show_teams(report)
    _show_examples(report)


def _show_teams(report: ShadowReport) -> None:
    teams: dict[str, Counter[str]] = {}
    for one in report.counts:
        team = teams.setdefault(f"{one.organisation}/{one.team}", Counter())
        team.update(evaluated=one.evaluated, differing=one.differing)
    rows = [
        (name, str(counts["evaluated"]), str(counts["differing"]))
        for name, counts in sorted(teams.items(), key=lambda item: -item[1]["differing"])
    ]
    if rows:
        show_table(("team", "evaluated", "differ"), rows)


def _show_examples(report: ShadowReport) -> None:
    if not report.differences:
        return
    reasons = Counter(
        (kind, ", ".join(reasons_of(one))) for one in report.differences for kind in one.kinds[:1]
    )
    show_table(
        ("difference", "reasons that came or went", f"of {len(report.differences)} examples"),
        [(kind, reason, str(count)) for (kind, reason), count in reasons.most_common()],
    )
    show_table(
        ("when", "team", "model", "difference", "now", "then"),
        [
            (
                f"{one.at:%Y-%m-%d %H:%M:%S}",
                one.team,
                one.asked_model,
                ", ".join(one.kinds),
                _said(one.before, one.after),
                _said(one.after, one.before),
            )
            for one in report.differences[:_SHOWN]
        ],
    )


def reasons_of(one: ShadowDifference) -> tuple[str, ...]:
    """The reasons that came or went."""
    return tuple(sorted(set(one.before["codes"]) ^ set(one.after["codes"]))) or ("-",)


def _said(answer: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """An answer in a table's cell, with the obligations in which the other one differs."""
    if not answer["allow"]:
        return f"denied: {', '.join(answer['codes'])}"
    allowed = f"allowed: {', '.join(answer['permitted'])}"
    if not other["allow"]:
        return allowed
    others = other["obligations"]
    obliged = {
        name: value for name, value in answer["obligations"].items() if value != others.get(name)
    }
    return f"{allowed} {json.dumps(obliged)}" if obliged else allowed
