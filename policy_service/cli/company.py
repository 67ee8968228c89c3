"""`gatehouse apply` and `gatehouse export`: the company as one file.

Both work on the database itself, or with `--server` through the admin API of a policy service,
which asks for permission.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from policy_service.cli.asking import asking
from policy_service.cli.database import DEFAULT_DATABASE, Database, operator, with_database
from policy_service.cli.failures import WOULD_CHANGE, fail, needs
from policy_service.cli.login import SERVER_HELP, Token

if TYPE_CHECKING:
    from policy_service.adapters.sql.company import Company
    from policy_service.ports.organisation import Applied

_Server = Annotated[
    str | None,
    # Not from the environment: what is changed is not to hang on a variable set for `login`.
    typer.Option("--server", help=f"{SERVER_HELP} In place of the database."),
]


def apply(
    *,
    file: Annotated[Path, typer.Option("--file", "-f", help="The company's YAML file.")],
    dry_run: Annotated[bool, typer.Option(help="Show what would change, and change nothing.")] = (
        False
    ),
    prune: Annotated[
        bool, typer.Option(help="Remove what the file does not name; keys are revoked.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option(help="With --dry-run: exit with 3 when something would change.")
    ] = False,
    server: _Server = None,
    token: Token = "",
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Make the database say what a company file says, and print new keys, once.

    Shows what changes: + comes, ~ changes, - goes. All of it is done or nothing.

    For example, to look first: gatehouse apply -f company.yaml --dry-run
    """
    with needs("service"):
        from policy_service.adapters.sql.company import CompanyStore, read_company

    try:
        company = read_company(file)
    except ValueError as fault:
        raise fail(str(fault)) from fault
    if server is None:
        applied = with_database(
            database_url,
            lambda engine: CompanyStore(engine).apply_company(
                company, operator(), prune=prune, dry_run=dry_run
            ),
        )
    else:
        with asking(server, token) as api:
            applied = api.apply_company(_document(company), prune=prune, dry_run=dry_run)
    _show(applied)
    if dry_run:
        if exit_code and applied.changes:
            raise typer.Exit(WOULD_CHANGE)
        return
    if applied.keys:
        typer.echo("New keys, shown this once and stored as digests only:")
        for name, text in applied.keys.items():
            typer.echo(f"  {name}: {text}")


def export(
    organisation: Annotated[
        str | None, typer.Option(help="Which, where there are several in the database.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Write it there; else it is printed.")
    ] = None,
    server: _Server = None,
    token: Token = "",
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Write the company as the file that `gatehouse apply` takes. There are no secrets in it."""
    with needs("service"):
        from policy_service.adapters.sql.company import CompanyStore, to_yaml

    if server is None:
        document = with_database(
            database_url, lambda engine: CompanyStore(engine).export(organisation)
        )
    else:
        with asking(server, token) as api:
            document = api.export_company(organisation)
    text = to_yaml(document)
    if file is None:
        typer.echo(text, nl=False)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise fail(f"{file} cannot be written: {fault.strerror}") from fault


def _document(company: "Company") -> dict[str, Any]:
    """What the file says and nothing more: to leave a field out can mean something."""
    return company.model_dump(mode="json", exclude_unset=True)


def _show(applied: "Applied") -> None:
    from policy_service.adapters.sql.company import line_of

    for change in applied.changes:
        typer.echo(line_of(change))
    if not applied.changes:
        typer.echo("No changes.")
    if applied.left_alone:
        typer.echo("Left alone, because the file does not name it; --prune removes it:")
        for change in applied.left_alone:
            typer.echo(f"  {line_of(change)}")
