"""`gatehouse serve` and `gatehouse migrate`: the policy service and its database."""

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from policy_service.cli.database import DEFAULT_DATABASE, Database, back_to, with_database
from policy_service.cli.failures import fail, needs
from policy_service.starting import collect_again, collect_nothing

if TYPE_CHECKING:
    from policy_service.settings import Settings

KEEP_ALIVE_S = 75
"""Longer than Kong, APISIX and most balancers keep an idle connection (60 s), so that they let go
first: where the service does, a call that is on its way at that moment is lost."""


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8100,
    workers: Annotated[int, typer.Option(min=1, help="Processes; more than one needs Redis.")] = 1,
) -> None:
    """Run the policy service; settings come from POLICY_* variables.

    The database is migrated first. See docs/settings.md for every setting.
    """
    collect_nothing()
    with needs("service"):
        import uvicorn
        from uvicorn.config import LOGGING_CONFIG

        from policy_service.adapters.catalogue_file import read_catalogue
        from policy_service.adapters.policies.signing import read_trusted_keys
        from policy_service.adapters.policy_bundle import load_bundle
        from policy_service.adapters.price_list import PriceList, price_files
        from policy_service.bundled import bundled
        from policy_service.cli.counting_together import counting_together
        from policy_service.http_deadlines import DeadlinedHttp
        from policy_service.json_logs import LOG_CONFIG

    settings = _settings()
    if workers > 1 and not settings.redis_url:
        raise fail("several workers share limits only through Redis: set POLICY_REDIS_URL")
    if workers > 1 and settings.database_url.startswith("sqlite"):
        raise fail("several workers need PostgreSQL: set POLICY_DATABASE_URL")
    try:
        # Once before the start, where a fault can be told in a sentence.
        read_catalogue(settings.models_file)
        PriceList(price_files(settings.prices_dir or bundled("prices")))
        load_bundle(settings.rego_dir or bundled("rego"))
        read_trusted_keys(settings.bundle_keys)
    except (OSError, ValueError) as fault:
        raise fail(str(fault)) from None
    with_database(settings.database_url, _nothing)
    if workers > 1:
        collect_again()  # this process starts them and watches them, for as long as they serve
    is_counted_together = workers > 1 and settings.has_metrics
    with counting_together() if is_counted_together else nullcontext():
        uvicorn.run(
            "policy_service.starting:app",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            loop="uvloop",
            # Called as a class is, with what uvicorn has to say.
            http=partial(DeadlinedHttp, request_timeout_s=settings.request_timeout_s),  # type: ignore[arg-type]
            ws="none",
            access_log=False,
            log_config=LOG_CONFIG if settings.log_format == "json" else LOGGING_CONFIG,
            log_level="info",
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=10,
        )


def migrate(
    database_url: Database = DEFAULT_DATABASE,
    down_to: Annotated[
        str | None,
        typer.Option(metavar="REVISION", help="Go back to an earlier schema, such as 0016."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before going back.")] = False,
) -> None:
    """Bring the database to this version's schema, or take it back to an earlier one."""
    if down_to is None:
        with_database(database_url, _nothing)
        typer.echo("The database is up to date.")
        return
    if not yes:
        typer.confirm(f"Drop what only schemas after {down_to} keep?", abort=True)
    back_to(database_url, down_to)
    typer.echo(f"The database has the schema {down_to}.")


async def _nothing(_: object) -> None:
    """Every command migrates; these two do no more."""


def _settings() -> "Settings":
    with needs("service"):
        from pydantic import ValidationError

        from policy_service.settings import Settings
    try:
        return Settings()
    except ValidationError as faults:
        listed = "\n".join(
            f"  POLICY_{'__'.join(map(str, fault['loc'])).upper() or '*'}: {fault['msg']}"
            for fault in faults.errors(include_input=False)
        )
        raise fail(f"the settings are not complete:\n{listed}") from None
