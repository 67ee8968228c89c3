"""`gatehouse login`, `logout` and `whoami`: people at the admin API of a policy service."""

import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import httpx
import typer

from policy_service.cli.failures import fail
from policy_service.cli.server import AdminApi, ServerRefused
from policy_service.cli.sessions import Sessions
from policy_service.cli.signing_in import Session, SignInFailed, end, refresh, sign_in

_WAIT_S = 300.0
SERVER_HELP = "The policy service, https://policy.acme.com."
Server = Annotated[
    str,
    typer.Option("--server", envvar="GATEHOUSE_SERVER", help=SERVER_HELP),
]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="GATEHOUSE_TOKEN",
        help="An admin token, in place of a sign-in; better in the environment than here.",
        show_default=False,
    ),
]


def login(
    server: Server,
    browser: Annotated[
        bool, typer.Option(help="Open a browser; the address is printed in any case.")
    ] = True,
    wait_s: Annotated[float, typer.Option(min=1, help="How long to wait for you.")] = _WAIT_S,
) -> None:
    """Sign in at the company's identity provider, with your browser on this machine.

    For example: gatehouse login --server https://policy.acme.com

    By authorization code with PKCE; the tokens are kept in ~/.config/gatehouse, for you only.
    """

    def show(address: str) -> None:
        typer.echo(f"Open this page to sign in:\n\n{address}\n")
        if browser:
            webbrowser.open(address)

    with told_failures(), AdminApi(server) as api, httpx.Client() as client:
        told = api.sign_in()
        session = sign_in(
            client, told["issuer"], told["client_id"], told["scopes"], show, timeout_s=wait_s
        )
        Sessions().change(_name(server), lambda _: session)
        with AdminApi(server, session.access_token) as mine:
            typer.echo(_sentence(mine.whoami()))


def logout(server: Server) -> None:
    """Sign out: the identity provider forgets the session, and so does this machine."""
    with told_failures():
        known = Sessions().find(_name(server))
        if known is None:
            typer.echo("Nobody is signed in there.")
            return
        Sessions().change(_name(server), lambda _: None)
        with httpx.Client() as client:
            try:
                is_told = end(client, known)
            except SignInFailed as fault:
                raise fail(
                    f"you are signed out here, but {fault}: end the session there"
                ) from fault
    typer.echo("Signed out." if is_told else "Signed out here; the provider was not told.")


def whoami(server: Server, token: Token = "") -> None:
    """Say who you are at a policy service, and what you may do there."""
    with told_failures(), AdminApi(server, token or access_token(server)) as api:
        told = api.whoami()
        typer.echo(_sentence(told))
        for one in told["grants"]:
            typer.echo(f"  {one['role']} on {one['node']}: {', '.join(one['permissions'])}")


def access_token(server: str, sessions: Sessions | None = None) -> str:
    """The access token of whoever is signed in at a server, a fresh one if it has run out.

    Raises:
        SignInFailed: Nobody is, or they have to sign in again.
        ValueError: The file of sessions cannot be used.
    """

    def step(known: Session | None) -> Session | None:
        if known is None or known.lasts(datetime.now(UTC)):
            return known
        with httpx.Client() as client:
            try:
                return refresh(client, known)
            except SignInFailed as fault:
                raise SignInFailed(f"{fault}; sign in again with `gatehouse login`") from fault

    session = (sessions or Sessions()).change(_name(server), step)
    if session is None:
        raise SignInFailed(f"nobody is signed in: run `gatehouse login --server {server}`")
    return session.access_token


def _name(server: str) -> str:
    return server.rstrip("/")


def _sentence(told: dict[str, object]) -> str:
    grants = told["grants"]
    held = "." if grants else ", but hold no role: ask an administrator for one."
    return f"You are {told['name']} ({told['proof']}){held}"


@contextmanager
def told_failures() -> Iterator[None]:
    """End the command with a sentence when a service or a sign-in fails."""
    try:
        yield
    except (ServerRefused, SignInFailed, ValueError, OSError) as fault:
        raise fail(str(fault)) from fault
