"""What the commands share that read the admin API of a policy service."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.progress import Progress, SpinnerColumn, TextColumn

from policy_service.cli.failures import errors
from policy_service.cli.login import access_token, told_failures
from policy_service.cli.server import AdminApi


@contextmanager
def asking(server: str, token: str) -> Iterator[AdminApi]:
    """The admin API in the name of whoever is signed in there, or of a token."""
    with told_failures(), AdminApi(server, token or access_token(server)) as api:
        yield api


def every_row(
    api: AdminApi, path: str, query: Mapping[str, str | list[str]]
) -> Iterator[dict[str, Any]]:
    """The rows of all pages; shows how many have come when somebody looks on."""
    asked = dict(query)
    count = 0
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        console=errors,
        transient=True,
        disable=not errors.is_interactive,  # else an empty line stands in every log
    ) as progress:
        task = progress.add_task("Asking ...")
        while True:
            page = api.ask("GET", path, query=asked)
            yield from page["rows"]
            count += len(page["rows"])
            progress.update(task, description=f"{count} rows ...")
            if not page.get("next"):
                return
            asked["cursor"] = page["next"]
