"""`gatehouse policy upload`, `activate`, `rollback`, `list` and `show`."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from policy_service.cli.database import DEFAULT_DATABASE, Database, operator, with_database
from policy_service.cli.policy.sources import Keys, Why, desk_at, require_file
from policy_service.cli.tables import show_table

if TYPE_CHECKING:
    from policy_service.adapters.policies.desk import Desk
    from policy_service.ports.policies import (
        ActivationRecord,
        BundleRecord,
        Standing,
    )

T = TypeVar("T")
Bundle = Annotated[
    str, typer.Argument(help="Its digest, eight or more digits of it, or its revision.")
]


def upload(
    tarball: Annotated[Path, typer.Argument(help="From `gatehouse policy bundle`.")],
    keys: Keys = None,
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Keep a signed bundle that compiles, denies the empty question, and passes its own tests."""
    require_file(tarball)
    made = at_desk(database_url, keys, lambda desk: desk.upload(operator(), tarball.read_bytes()))
    typer.echo(f"{made.revision} is kept ({made.digest}; {made.tests}).")


def activate(
    bundle: Bundle,
    *,
    reason: Why,
    keys: Keys = None,
    database_url: Database = DEFAULT_DATABASE,
) -> None:
    """Make a bundle live, in every process of the service within a second."""
    done = at_desk(database_url, keys, lambda desk: desk.activate(operator(), bundle, reason))
    typer.echo(
        f"{done.revision} is live. Each process of the service takes it once it has verified it "
        "with its own POLICY_BUNDLE_KEYS; /readyz says which policy it has, or what is wrong."
    )


def rollback(*, reason: Why, keys: Keys = None, database_url: Database = DEFAULT_DATABASE) -> None:
    """Make live again what was so before the live bundle."""
    done = at_desk(database_url, keys, lambda desk: desk.rollback(operator(), reason))
    typer.echo(f"{done.revision or 'What the folder of each service holds'} is live again.")


def list_bundles(database_url: Database = DEFAULT_DATABASE) -> None:
    """List what was uploaded, what is live, and what was live when."""

    async def work(
        desk: "Desk",
    ) -> "tuple[tuple[BundleRecord, ...], Standing, tuple[ActivationRecord, ...]]":
        return await desk.bundles(), await desk.standing(), await desk.history()

    bundles, standing, history = at_desk(database_url, None, work)
    show_table(
        ("digest", "revision", "state", "tests", "signed by", "uploaded"),
        (
            (
                one.digest[:16],
                one.revision,
                _state(one.digest, standing),
                one.tests,
                one.key_id,
                f"{one.uploaded_at:%Y-%m-%d %H:%M} by {one.uploaded_by}",
            )
            for one in bundles
        ),
    )
    if standing.live is None:
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
            for one in history
        ),
    )


def show(bundle: Bundle, database_url: Database = DEFAULT_DATABASE) -> None:
    """Show one bundle."""

    async def work(desk: "Desk") -> "tuple[BundleRecord, Standing]":
        return await desk.find(bundle), await desk.standing()

    found, standing = at_desk(database_url, None, work)
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


def at_desk(url: str, keys: Path | None, work: "Callable[[Desk], Awaitable[T]]") -> T:
    """Do something with the policies in the database."""
    return with_database(url, lambda engine: work(desk_at(engine, keys)))


def _state(digest: str, standing: "Standing") -> str:
    states = (("live", standing.live), ("shadow", standing.shadow))
    return ", ".join(name for name, one in states if one == digest)
