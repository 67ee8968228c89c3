"""`gatehouse policy upload`, `activate`, `rollback`, `list` and `show`."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from policy_service.cli.login import Token
from policy_service.cli.places import AnyDatabase, AnyServer, is_typed, place_of
from policy_service.cli.policy.places import policies_at, refuse_keys
from policy_service.cli.policy.sources import Keys, Why, require_file
from policy_service.cli.tables import AsJson, print_json, show_table
from policy_service.ports.policies import Standing

Bundle = Annotated[
    str, typer.Argument(help="Its digest, eight or more digits of it, or its revision.")
]
IfMatch = Annotated[
    str | None,
    typer.Option(
        help="Only if what is live and what is shadow has not changed since: the `etag` of "
        "`gatehouse policy list --json`."
    ),
]


def upload(
    *,
    context: typer.Context,
    tarball: Annotated[Path, typer.Argument(help="From `gatehouse policy bundle`.")],
    keys: Keys = None,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """Keep a signed bundle that compiles, denies the empty question, and passes its own tests."""
    require_file(tarball)
    place = place_of(context, server, token, database_url)
    refuse_keys(place, are_typed=is_typed(context, "keys"))
    with policies_at(place, keys) as policies:
        made = policies.upload(tarball.read_bytes())
    typer.echo(f"{made.revision} is kept ({made.digest}; {made.tests}).")


def activate(
    *,
    context: typer.Context,
    bundle: Bundle,
    reason: Why,
    if_match: IfMatch = None,
    keys: Keys = None,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """Make a bundle live, in every process of the service within a second."""
    place = place_of(context, server, token, database_url)
    refuse_keys(place, are_typed=is_typed(context, "keys"))
    with policies_at(place, keys) as policies:
        done = policies.activate(bundle, reason, if_match)
    typer.echo(
        f"{done.revision} is live. Each process of the service takes it once it has verified it "
        "with its own POLICY_BUNDLE_KEYS; /readyz says which policy it has, or what is wrong."
    )


def rollback(
    *,
    context: typer.Context,
    reason: Why,
    if_match: IfMatch = None,
    keys: Keys = None,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """Make live again what was so before the live bundle."""
    place = place_of(context, server, token, database_url)
    refuse_keys(place, are_typed=is_typed(context, "keys"))
    with policies_at(place, keys) as policies:
        done = policies.rollback(reason, if_match)
    typer.echo(f"{done.revision or 'What the folder of each service holds'} is live again.")


def list_bundles(
    *,
    context: typer.Context,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
    as_json: AsJson = False,
) -> None:
    """List what was uploaded, what is live, and what was live when."""
    with policies_at(place_of(context, server, token, database_url)) as policies:
        found = policies.listed()
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    show_table(
        ("digest", "revision", "state", "tests", "signed by", "uploaded"),
        (
            (
                one.digest[:16],
                one.revision,
                _state(one.digest, found.standing),
                one.tests,
                one.key_id,
                f"{one.uploaded_at:%Y-%m-%d %H:%M} by {one.uploaded_by}",
            )
            for one in found.rows
        ),
    )
    if found.standing.live is None:
        typer.echo("No bundle is live: each service's own folder is.")
    show_table(
        ("when", "what", "revision", "by", "why"),
        (
            (
                f"{one.at:%Y-%m-%d %H:%M:%S}",
                one.action.value,
                one.revision or "(the folder)",
                one.actor,
                one.reason,
            )
            for one in found.history
        ),
    )


def show(
    *,
    context: typer.Context,
    bundle: Bundle,
    server: AnyServer = None,
    token: Token = "",
    database_url: AnyDatabase = None,
) -> None:
    """Show one bundle."""
    with policies_at(place_of(context, server, token, database_url)) as policies:
        found, standing = policies.find(bundle), policies.listed().standing
    rows = (
        ("revision", found.revision),
        ("digest", found.digest),
        ("state", _state(found.digest, standing) or "kept"),
        ("tests", found.tests),
        ("signed by", found.key_id),
        ("uploaded", f"{found.uploaded_at:%Y-%m-%d %H:%M:%S} by {found.uploaded_by}"),
    )
    for name, value in rows:
        typer.echo(f"{name:10} {value}")


def _state(digest: str, standing: Standing) -> str:
    states = (("live", standing.live), ("shadow", standing.shadow))
    return ", ".join(name for name, one in states if one == digest)
