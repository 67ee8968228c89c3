"""The `gatehouse` command."""

from importlib.metadata import version
from typing import Annotated

import typer

from policy_service.cli import (
    admin_tokens,
    alerts,
    approvals,
    audit,
    chargeback,
    company,
    compliance,
    content,
    demo,
    doctor,
    keys,
    kong,
    ledger,
    limits,
    login,
    policy,
    privacy,
    providers,
    reports,
    serve,
    usage,
)

app = typer.Typer(
    no_args_is_help=True,
    help="Governed LLM access inside the Kong gateway you already run.",
    pretty_exceptions_show_locals=False,  # locals can hold secrets
)
app.add_typer(demo.app, name="demo")
app.add_typer(kong.app, name="kong")
app.add_typer(admin_tokens.app, name="admin-tokens")
app.add_typer(alerts.app, name="alerts")
app.add_typer(audit.app, name="audit")
app.add_typer(approvals.app, name="approvals")
app.add_typer(chargeback.app, name="chargeback")
app.add_typer(compliance.app, name="compliance")
app.add_typer(keys.app, name="keys")
app.add_typer(ledger.app, name="ledger")
app.add_typer(limits.app, name="limits")
app.add_typer(policy.app, name="policy")
app.add_typer(content.app, name="content")
app.add_typer(privacy.app, name="privacy")
app.add_typer(reports.app, name="reports")
app.command("apply")(company.apply)
app.command("export")(company.export)
app.command("login")(login.login)
app.command("logout")(login.logout)
app.command("whoami")(login.whoami)
app.command("migrate")(serve.migrate)
app.command("serve")(serve.serve)
app.command("usage")(usage.usage)
app.command("budgets")(usage.budgets)
app.command("teams")(usage.teams)
app.command("models")(usage.models)
app.command("doctor")(doctor.doctor)
app.command("providers")(providers.providers)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("gatehouse-llm"))
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Governed LLM access inside the Kong gateway you already run."""


def main() -> None:
    """Run the command line."""
    app()
