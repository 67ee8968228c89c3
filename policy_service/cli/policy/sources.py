"""Which policy a command means: a folder, a tarball, or a bundle in the database."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from policy_service.cli.database import with_database
from policy_service.cli.failures import fail, needs

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from policy_service.adapters.policies.desk import Desk
    from policy_service.adapters.policy_bundle import PolicyBundle

Folder = Annotated[
    Path | None,
    typer.Argument(
        help="The policy's folder; POLICY_REGO_DIR or the shipped one by default.",
        envvar="POLICY_REGO_DIR",
        show_default=False,
    ),
]
Keys = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        envvar="POLICY_BUNDLE_KEYS",
        help="The public key that bundles must be signed with, or a folder of *.pem.",
    ),
]
Why = Annotated[str, typer.Option("--reason", help="Why; the audit trail has it.")]


def chosen_folder(folder: Path | None) -> Path:
    """The folder that is meant."""
    with needs("service"):
        from policy_service.bundled import bundled
    return folder or bundled("rego")


def find_policy(named: str | None, database_url: str) -> "PolicyBundle":
    """A policy to be tried: a folder, a tarball, or the name of a bundle in the database.

    A tarball's signature is not looked at: nothing that is tried becomes live.

    Args:
        named: `None` for the folder that is used by default.
        database_url: Looked into only for a name that is no path.
    """
    with needs("service"):
        from policy_service.adapters.policies.tarball import read_tarball
        from policy_service.adapters.sql.policies import SqlPolicies

    place = chosen_folder(None) if named is None else Path(named)
    if place.exists():
        try:
            return read_policy(place)
        except (OSError, ValueError) as fault:
            raise fail(str(fault)) from fault
    if place.name != named or place.suffix == ".gz":
        raise fail(f"there is no file {place}")

    async def work(engine: "AsyncEngine") -> "PolicyBundle":
        store = SqlPolicies(engine)
        record = await store.find(str(named))
        return read_tarball(await store.tarball(record.digest), None).policy

    return with_database(database_url, work)


def read_policy(place: Path) -> "PolicyBundle":
    """A folder or a tarball as a policy.

    Raises:
        ValueError: It holds none; the message says why.
    """
    from policy_service.adapters.policies.stamp import stamped
    from policy_service.adapters.policies.tarball import read_tarball
    from policy_service.adapters.policy_bundle import load_bundle

    if place.is_dir():
        return stamped(load_bundle(place))
    return read_tarball(place.read_bytes(), None).policy


def desk_at(engine: "AsyncEngine", keys: Path | None) -> "Desk":
    """The desk, and whose signatures count there."""
    from policy_service.adapters.policies.desk import Desk
    from policy_service.adapters.policies.signing import read_trusted_keys
    from policy_service.adapters.sql.policies import SqlPolicies

    return Desk(SqlPolicies(engine), read_trusted_keys(keys))


def require_file(file: Path) -> None:
    """End the command when a file is not there."""
    if not file.is_file():
        raise fail(f"there is no file {file}")
