"""`gatehouse kong enable`, `disable` and `declare`: our entities in Kong, and away again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import yaml

from policy_service.bundled import bundled
from policy_service.cli.failures import fail
from policy_service.cli.kong.admin_api import (
    HEADER_VARIABLE,
    KongAdmin,
    KongRefused,
    headers_of,
    is_without_database,
    missing_plugins,
)
from policy_service.cli.kong.plan import (
    Change,
    Foreign,
    chosen_before,
    existing,
    hanging_on,
    to_disable,
    to_enable,
)
from policy_service.cli.kong.wanted import TAG, Choices, Unusable, declared, entities

AdminUrl = Annotated[str, typer.Option(help="Kong's Admin API, `http://127.0.0.1:8001`.")]
Header = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        help='What the Admin API, or a proxy before it, asks for: "Name: value"; without it the '
        f"variable {HEADER_VARIABLE}, which holds one.",
    ),
]
Tag = Annotated[str, typer.Option(help="Marks our entities in Kong.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done.")]
PolicyUrl = Annotated[
    str | None,
    typer.Option(
        help="The policy service, as Kong's host reaches it; by default Kong's, else the file's."
    ),
]
PolicySecret = Annotated[
    str | None,
    typer.Option(
        help="A vault reference to POLICY_INTERNAL_SECRET; by default Kong's, else the file's.",
    ),
]
RouteOption = Annotated[
    list[str] | None,
    typer.Option("--route", help="A route of the file, by name or by a path; all by default."),
]
Host = Annotated[
    list[str] | None,
    typer.Option("--host", help="Hosts that the routes answer for; by default Kong's, else all."),
]
KongYaml = Annotated[
    Path | None, typer.Option(help="Services, routes and plugins; the kong.yaml that ships.")
]
_NO_DATABASE = "This Kong has no database, so its Admin API takes no changes."
_PUT_IN = (
    f"{_NO_DATABASE} Put what `gatehouse kong declare` "
    "prints into the file that `declarative_config` in kong.conf names, and the lines that "
    "`gatehouse kong config` prints into kong.conf; then start Kong again. Once kong.conf "
    "has them, `kong reload` does for the file."
)
_TAKE_OUT = (
    f"{_NO_DATABASE} Take our services out of the file that `declarative_config` in kong.conf "
    "names; then `kong reload`."
)


def enable(  # noqa: PLR0917 - a command's options
    admin_url: AdminUrl,
    route: RouteOption = None,
    host: Host = None,
    policy_url: PolicyUrl = None,
    policy_secret: PolicySecret = None,
    kong_yaml: KongYaml = None,
    tag: Tag = TAG,
    header: Header = None,
    dry_run: DryRun = False,
) -> None:
    """Add the service, its routes and the three plugins to a running Kong.

    Run again it changes what differs and no more; an address, secret or host that is not given
    stays what Kong has, unless --kong-yaml names a file. Without --route, routes of ours that the
    file has no longer are removed. Entities without our tag are never touched.
    """
    choices = Choices(policy_url, policy_secret, route or (), host or (), tag)
    with _told(), KongAdmin(admin_url, headers_of(header)) as kong:
        node = kong.node()
        if is_without_database(node):
            raise fail(_PUT_IN)
        missing = missing_plugins(node)
        if missing:
            raise fail(missing)
        there = existing(kong)
        if kong_yaml is None:
            choices = chosen_before(choices, there)
        wanted = entities(declared(kong_yaml or bundled("kong.yaml"), choices))
        changes = to_enable(
            wanted,
            there,
            tag,
            is_whole=not route,
            keeps_address=kong_yaml is None and policy_url is None,
        )
        _refuse_hanging(hanging_on(changes, there, tag))
        _make(changes, kong, dry_run=dry_run)


def disable(
    admin_url: AdminUrl, tag: Tag = TAG, header: Header = None, dry_run: DryRun = False
) -> None:
    """Take away what `gatehouse kong enable` has added, and nothing else."""
    with _told(), KongAdmin(admin_url, headers_of(header)) as kong:
        if is_without_database(kong.node()):
            raise fail(_TAKE_OUT)
        there = existing(kong)
        changes = to_disable(there, tag)
        _refuse_hanging(hanging_on(changes, there, tag))
        _make(changes, kong, dry_run=dry_run)


def declare(  # noqa: PLR0917 - a command's options
    route: RouteOption = None,
    host: Host = None,
    policy_url: PolicyUrl = None,
    policy_secret: PolicySecret = None,
    kong_yaml: KongYaml = None,
    tag: Tag = TAG,
) -> None:
    """Print the same as a declarative file: for a Kong without a database, and for deck."""
    choices = Choices(policy_url, policy_secret, route or (), host or (), tag)
    with _told():
        document = declared(kong_yaml or bundled("kong.yaml"), choices)
    typer.echo(yaml.safe_dump(document, sort_keys=False), nl=False)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (KongRefused, Foreign, Unusable) as fault:
        raise fail(str(fault)) from fault


def _refuse_hanging(others: list[str]) -> None:
    if others:
        raise fail(
            f"What is not ours hangs on what would be removed: {', '.join(others)}. Move it to "
            "another route or service, or remove it, and run this again."
        )


def _make(changes: list[Change], kong: KongAdmin, *, dry_run: bool) -> None:
    for done, change in enumerate(changes):
        if not dry_run:
            try:
                change.make(kong)
            except KongRefused as refused:
                raise fail(
                    f"{change.label}: {refused} {done} of {len(changes)} changes are made; run "
                    "this again once it is mended."
                ) from refused
        for line in change.lines():
            typer.echo(line)
    if not changes:
        typer.echo("Nothing is to be changed.")
    else:
        typer.echo(f"{len(changes)} changes {'would be' if dry_run else 'were'} made.")
