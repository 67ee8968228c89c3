"""Where a command works: at a policy service, or at its database itself.

At a service it asks with the rights of whoever is signed in. At the database it may do everything,
and needs no service that runs: so the first key and the first admin token come to be.
"""

from dataclasses import dataclass, field
from typing import Annotated

import typer

from policy_service.cli.failures import misused
from policy_service.cli.login import SERVER_HELP

AnyServer = Annotated[
    str | None,
    typer.Option("--server", envvar="GATEHOUSE_SERVER", help=SERVER_HELP, show_default=False),
]
AnyDatabase = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        envvar="POLICY_DATABASE_URL",
        help="Its database, in place of the service: whoever reaches it may do everything.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Place:
    """A service, or a database.

    Args:
        server: The service's address; `None`: the database.
        token: An admin token; empty for whoever is signed in there.
    """

    server: str | None
    token: str = field(default="", repr=False)
    database_url: str = field(default="", repr=False)


def place_of(
    context: typer.Context, server: str | None, token: str, database_url: str | None
) -> Place:
    """The place that was meant: what was typed wins over the environment, and there the service.

    The service wins because less can go wrong with somebody's own rights.
    """
    typed = {name for name in ("server", "database_url") if is_typed(context, name)}
    if len(typed) > 1:
        raise misused("give --server or --database-url, not both")
    if server and "database_url" not in typed:
        return Place(server, token)
    if database_url:
        return Place(None, database_url=database_url)
    raise misused(
        "say where: --server or GATEHOUSE_SERVER names the policy service, after `gatehouse login "
        "--server ...`; --database-url or POLICY_DATABASE_URL its database, as long as none runs"
    )


def is_typed(context: typer.Context, name: str) -> bool:
    """Whether an option was typed, and not taken from the environment."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
