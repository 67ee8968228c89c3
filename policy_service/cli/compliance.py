"""`gatehouse compliance`: evidence for auditors."""

from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policy_service.cli.database import DEFAULT_DATABASE, Database, with_database
from policy_service.cli.failures import fail, needs

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from policy_service.ports.compliance import UsedDeployment

app = typer.Typer(no_args_is_help=True, help="Evidence for auditors.")


class Format(StrEnum):
    """How the register is written."""

    HTML = "html"
    CSV = "csv"


@app.callback()
def _root() -> None:
    """Evidence for auditors."""


@app.command("report")
def report(
    *,
    first: Annotated[str, typer.Option("--from", help="First day, 2026-11-01, UTC.")],
    last: Annotated[str, typer.Option("--to", help="Last day, which is included.")],
    format: Annotated[Format, typer.Option(help="A page, or a table.")] = Format.HTML,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to; standard output by default.")
    ] = None,
    models_file: Annotated[
        Path, typer.Option(envvar="POLICY_MODELS_FILE", help="The model catalogue.")
    ],
    rego_dir: Annotated[
        Path | None,
        typer.Option(envvar="POLICY_REGO_DIR", help="The policy's folder; the shipped one else."),
    ] = None,
    department: Annotated[
        str | None, typer.Option(help="Only what this department's calls went to.")
    ] = None,
    team: Annotated[str | None, typer.Option(help="Only what this team's calls went to.")] = None,
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Say which providers were used in a period, and under which terms.

    Requests, tokens, USD, regions, agreements with their dates, retention, training,
    sub-processors, and the classes of data that were sent; of the deployments that were called,
    from the ledger.
    """
    with needs("service"):
        from policy_service.adapters.catalogue_file import read_catalogue
        from policy_service.adapters.policy_bundle import load_bundle
        from policy_service.adapters.sql.used_deployments import SqlUsedDeployments
        from policy_service.bundled import bundled
        from policy_service.services.provider_register import Period, register_of
        from policy_service.services.register_pages import as_csv, as_html
    period = Period(_day(first, "--from"), _day(last, "--to"))
    if period.last < period.first:
        raise fail("--to lies before --from")
    try:
        catalogue = read_catalogue(models_file)
        bundle = load_bundle(rego_dir or bundled("rego"))
    except ValueError as fault:
        raise fail(str(fault)) from fault

    async def work(engine: "AsyncEngine") -> "tuple[UsedDeployment, ...]":
        return await SqlUsedDeployments(engine).used(
            period.since, period.until, department=department, team=team
        )

    lists = bundle.data["data"].get("data_classes", {})
    classes = {name: name for name in lists.get("order", ())} | dict(lists.get("labels", {}))
    entries = register_of(with_database(database_url, work), catalogue, period, classes)
    if format is Format.CSV:
        text = as_csv(entries)
    else:
        named = (("department", department), ("team", team))
        text = as_html(
            entries,
            period,
            revision=bundle.revision,
            made_at=datetime.now(UTC),
            whose=" and ".join(f"{kind} {id}" for kind, id in named if id is not None),
        )
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8", newline="")


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise fail(f"{option}: write the day as 2026-11-01") from None
