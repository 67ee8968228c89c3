"""`gatehouse kong check`: proves on a live Kong that it does what it is there for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from policy_service.cli.doctor.command import show
from policy_service.cli.doctor.findings import Finding, State, unseen
from policy_service.cli.failures import fail
from policy_service.cli.kong.admin_api import (
    KongAdmin,
    KongRefused,
    headers_of,
    is_without_database,
)
from policy_service.cli.kong.configured import GuardedRoute, configured_findings
from policy_service.cli.kong.enabling import AdminUrl, Header
from policy_service.cli.kong.pausing import paused_findings
from policy_service.cli.kong.probing import probed_findings
from policy_service.cli.kong.proxied import Proxy, proxied_findings, proxy_client
from policy_service.cli.kong.relayed import relay_findings

_PAUSE = "closed when a plugin server hangs"
_PROBE = "closed when the service is away"


def check(  # noqa: PLR0917 - a command's options
    admin_url: AdminUrl,
    proxy_url: Annotated[
        str | None, typer.Option(help="Kong's proxy, `http://127.0.0.1:8000`.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="The host that the routes answer for.")] = None,
    key: Annotated[
        str | None,
        typer.Option(
            help="A Gatehouse key to call with.", envvar="GATEHOUSE_KEY", show_envvar=True
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Ask it, once whole and once streamed: under 100 tokens.")
    ] = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="Also make two routes for some seconds, on which something is missing (takes a "
            "database), and with --kong-prefix pause each plugin server for a moment.",
        ),
    ] = False,
    kong_prefix: Annotated[
        Path | None,
        typer.Option(
            help="Kong's prefix on this host, with the plugin servers' sockets. With --probe each "
            "is paused for some seconds: calls are refused or wait meanwhile."
        ),
    ] = None,
    header: Header = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a running Kong: loaded, ordered, closed, unbuffered, sizes and times.

    Nothing is changed, nor paused, save with --probe. Ends with 1 when something is broken.
    """
    found: list[Finding] = []
    try:
        with KongAdmin(admin_url, headers_of(header)) as kong:
            found, guarded = configured_findings(kong)
            found += relay_findings(guarded)
            if proxy_url is None:
                found.append(unseen("proxy", "It is not named.", "Name it with --proxy-url."))
            else:
                with proxy_client(proxy_url) as client:
                    proxy = Proxy(client, host, key, model)
                    found += proxied_findings(proxy)
                    found += _probed(kong, proxy, guarded, is_wanted=probe)
                    found += _paused(proxy, kong_prefix, is_wanted=probe)
    except KongRefused as refused:
        raise fail(str(refused)) from refused
    show(found, as_json=as_json)
    if any(one.state == State.BROKEN for one in found):
        raise typer.Exit(1)


def _probed(
    kong: KongAdmin, proxy: Proxy, guarded: list[GuardedRoute], *, is_wanted: bool
) -> Iterator[Finding]:
    if not is_wanted:
        yield unseen(_PROBE, "It takes routes made for the purpose.", "Ask for it with --probe.")
    elif is_without_database(kong.node()):
        yield unseen(_PROBE, "It takes routes made for the purpose, so a Kong with a database.")
    elif guarded:
        yield from probed_findings(kong, proxy, guarded[0])


def _paused(proxy: Proxy, prefix: Path | None, *, is_wanted: bool) -> Iterator[Finding]:
    if not is_wanted:
        yield unseen(
            _PAUSE, "Each is paused for a moment.", "Ask for it with --probe and --kong-prefix."
        )
    elif prefix is None:
        yield unseen(
            _PAUSE,
            "It takes Kong's prefix on this host.",
            "Name it with --kong-prefix; each plugin server is paused for a moment.",
        )
    else:
        yield from paused_findings(proxy, prefix)
