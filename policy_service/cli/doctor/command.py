"""Runs every look, shows the report, and ends with 1 when something is broken."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from policy_service.cli.failures import needs

if TYPE_CHECKING:
    from policy_service.cli.doctor.findings import Finding
    from policy_service.settings import Settings

_COLOURS = {"ok": "green", "warning": "yellow", "broken": "bold red", "not looked at": "dim"}
DEFAULT_POLICY_URL = "http://127.0.0.1:8100"


def doctor(  # noqa: PLR0917 - a command's options
    kong_conf: Annotated[
        Path | None, typer.Option(help="Kong's kong.conf, when Kong runs on this machine.")
    ] = None,
    kong_yaml: Annotated[Path | None, typer.Option(help="Kong's declarative kong.yaml.")] = None,
    policy_url: Annotated[
        str, typer.Option(help="Where the policy service listens.")
    ] = DEFAULT_POLICY_URL,
    skip_service: Annotated[
        bool, typer.Option("--skip-service", help="The policy service does not run yet.")
    ] = False,
    skip_providers: Annotated[
        bool, typer.Option("--skip-providers", help="Ask no provider's host whether it is there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at this installation and say what is wrong, and what to do about it.

    Run it where the policy service runs, with the service's POLICY_* variables. Nothing is changed,
    no provider is sent a credential, no secret is printed. Ends with 1 when something is broken.

    For example: gatehouse doctor --kong-conf /etc/kong/kong.conf --kong-yaml /etc/kong/kong.yaml
    """
    with needs("service"):
        from policy_service.cli.doctor import kong
        from policy_service.cli.doctor.files import settings_and_findings
        from policy_service.cli.doctor.findings import unseen
    settings, found = settings_and_findings()
    if settings is not None:
        found += asyncio.run(_about(settings, skip_providers=skip_providers))
    if not skip_service:
        secret = None if settings is None else settings.internal_secret.get_secret_value()
        found += kong.service_findings(policy_url, secret)
    if kong_conf is not None:
        found += [*kong.conf_findings(kong_conf), *kong.socket_findings(kong_conf)]
    else:
        found.append(unseen("kong.conf", "Nobody named it.", "Name it with --kong-conf."))
    if kong_yaml is not None:
        found += kong.yaml_findings(kong_yaml, settings)
    else:
        found.append(
            unseen(
                "kong.yaml",
                "Nobody named it.",
                "Name it with --kong-yaml; `gatehouse kong check` looks at a Kong that runs.",
            )
        )
    show(found, as_json=as_json)
    if any(one.state == "broken" for one in found):
        raise typer.Exit(1)


async def _about(settings: "Settings", *, skip_providers: bool) -> "list[Finding]":
    from policy_service.cli.doctor import files, neighbours
    from policy_service.cli.doctor.providers import provider_findings

    catalogue, found = files.catalogue_and_findings(settings)
    if catalogue is not None:
        found += files.price_findings(settings, catalogue)
        found += files.credential_findings(settings, catalogue)
    found += files.policy_findings(settings)
    looks: list[AsyncIterator[Finding]] = [
        neighbours.database_findings(settings),
        neighbours.redis_findings(settings),
        neighbours.opa_findings(settings),
    ]
    if catalogue is not None and not skip_providers:
        looks.append(provider_findings(catalogue))
    for look in looks:
        found += [one async for one in look]
    return found


def show(found: "Iterable[Finding]", *, as_json: bool) -> None:
    """Print findings, for people or for programs."""
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=1))
        return
    console = Console(soft_wrap=True, highlight=False)
    for one in found:
        colour = _COLOURS[one.state]
        console.print(
            f"[{colour}]{one.state:>13}[/]  [bold]{escape(one.part)}[/]: {escape(one.what)}"
        )
        if one.remedy:
            console.print(f"{'':>13}  → {escape(one.remedy)}")
    broken = sum(one.state == "broken" for one in found)
    console.print(f"\n{broken} broken." if broken else "\nNothing is broken.")
