"""`gatehouse policy init`, `keys`, `bundle`, `test` and `schema`."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from policy_service.bundled import bundled
from policy_service.cli.failures import errors, fail, needs
from policy_service.cli.policy.sources import Folder, chosen_folder

if TYPE_CHECKING:
    from policy_service.adapters.policies.testing import TestRun

PRIVATE, PUBLIC = "policy-signing.key", "policy-signing.pub.pem"
_NAMED = 20


def init(
    folder: Annotated[Path, typer.Argument(help="The new folder.")] = Path("rego"),
) -> None:
    """Copy the shipped policy into a folder of your own, to begin with.

    Put it under version control. No service reads it: what is written there counts when it is
    uploaded and activated.
    """
    try:
        shutil.copytree(bundled("rego"), folder)
    except FileExistsError as fault:
        raise fail(f"{folder} is there already; name another folder") from fault
    except OSError as fault:
        raise fail(f"{folder} cannot be written: {fault}") from fault
    typer.echo(f"{folder} holds the shipped policy.")


def keys(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for both files.")] = Path(),
) -> None:
    """Make a key that signs policies, and the public key that verifies them.

    The private one stays with compliance. The public one goes to the service (POLICY_BUNDLE_KEYS)
    and into OPA's configuration, under the id that is printed.
    """
    with needs("service"):
        from policy_service.adapters.policies.signing import new_key, private_pem, public_pem

    key = new_key()
    private, public = out / PRIVATE, out / PUBLIC
    try:
        out.mkdir(parents=True, exist_ok=True)
        # Made for nobody else from the first byte on, and never in place of another key.
        handle = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(private_pem(key))
        public.write_bytes(public_pem(key))
    except FileExistsError as fault:
        raise fail(f"{private} is there already; keep it, or name another folder") from fault
    except OSError as fault:
        raise fail(f"the key cannot be written: {fault}") from fault
    typer.echo(f"{private} signs policies: keep it secret.")
    typer.echo(f"{public} verifies them. Its id is {key.key_id}.")


def bundle(
    folder: Folder = None,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="The tarball to write.")] = Path(
        "bundle.tar.gz"
    ),
    signing_key: Annotated[
        Path, typer.Option(help="The private key, from `gatehouse policy keys`.")
    ],
) -> None:
    """Make a signed bundle of a policy's folder, as OPA and the service take it.

    The same folder and key give the same bytes. It is tried first: it compiles on the embedded
    engine and denies the empty question.
    """
    with needs("service"):
        import asyncio

        from policy_service.adapters.policies.signing import read_signing_key
        from policy_service.adapters.policies.tarball import build_tarball, read_tarball
        from policy_service.adapters.policies.trial import compiled
        from policy_service.adapters.policy_bundle import PolicyBundle

    async def tried(policy: PolicyBundle) -> None:
        await (await compiled(policy)).close()

    try:
        tarball = build_tarball(chosen_folder(folder), read_signing_key(signing_key))
        policy = read_tarball(tarball, None).policy
        asyncio.run(tried(policy))
        out.write_bytes(tarball)
    except (OSError, ValueError) as fault:
        raise fail(str(fault)) from fault
    typer.echo(f"{out} holds {policy.revision} ({policy.digest}).")


def run_tests(folder: Folder = None) -> None:
    """Run the policy's own tests on both engines.

    What the embedded engine cannot run, since it does not know `with` well, is counted as left
    out. Exits with 1 when a test fails.
    """
    with needs("service"):
        from policy_service.adapters.policies.tarball import load_tests
        from policy_service.adapters.policies.testing import (
            opa_program,
            run_on_opa,
            run_on_regopy,
        )
        from policy_service.adapters.policy_bundle import load_bundle

    place = chosen_folder(folder)
    try:
        policy, tests = load_bundle(place), load_tests(place)
    except (OSError, ValueError) as fault:
        raise fail(str(fault)) from fault
    opa = opa_program()
    runs = [run_on_opa(opa, policy, tests)] if opa else []
    runs.append(run_on_regopy(policy, tests))
    for run in runs:
        _show(run)
    if opa is None:
        errors.print(
            "[bold yellow]NOT RUN on OPA:[/] `opa` is not installed, and most tests need it. "
            "`make services` installs it."
        )
    if not all(run.is_good for run in runs):
        raise fail("tests of the policy fail")


def schema() -> None:
    """Print the JSON schema of what policy is asked, in the version that this release speaks."""
    typer.echo((chosen_folder(None) / "schemas" / "input.json").read_text(encoding="utf-8").strip())


def _show(run: "TestRun") -> None:
    if run.fault:
        typer.echo(f"{run.engine}: {run.fault}")
        return
    left_out = f", {len(run.left_out)} left out" if run.left_out else ""
    typer.echo(f"{run.engine}: {run.passed} passed, {len(run.failed)} failed{left_out}")
    _name(run.failed)


def _name(failed: Sequence[str]) -> None:
    for name in failed[:_NAMED]:
        errors.print(f"  {escape(name)}", highlight=False)
    if len(failed) > _NAMED:
        errors.print(f"  and {len(failed) - _NAMED} more")
