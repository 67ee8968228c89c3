"""The `gatehouse` command."""

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from policy_service.cli.loaded import Commands

COMMANDS = {
    "apply": "company:apply",
    "export": "company:export",
    "login": "login:login",
    "logout": "login:logout",
    "whoami": "login:whoami",
    "migrate": "serve:migrate",
    "serve": "serve:serve",
    "usage": "usage:usage",
    "budgets": "usage:budgets",
    "teams": "usage:teams",
    "models": "usage:models",
    "doctor": "doctor:doctor",
    "providers": "providers:providers",
    "demo": "demo:app",
    "kong": "kong:app",
    "admin-tokens": "admin_tokens:app",
    "alerts": "alerts:app",
    "audit": "audit:app",
    "approvals": "approvals:app",
    "chargeback": "chargeback:app",
    "compliance": "compliance:app",
    "keys": "keys:app",
    "ledger": "ledger:app",
    "limits": "limits:app",
    "policy": "policy:app",
    "content": "content:app",
    "privacy": "privacy:app",
    "reports": "reports:app",
}
"""Each with its place in this package, in the order in which the help lists them."""


class _Gatehouse(TyperGroup):
    def __init__(self, **given: Any) -> None:  # noqa: ANN401 - whatever Typer gives its groups
        super().__init__(**{**given, "commands": Commands(COMMANDS)})


app = typer.Typer(
    cls=_Gatehouse,
    no_args_is_help=True,
    help="Governed LLM access inside the Kong gateway you already run.",
    pretty_exceptions_show_locals=False,  # locals can hold secrets
)


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
