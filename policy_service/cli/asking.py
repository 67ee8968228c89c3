"""What the commands share that read the admin API of a policy service."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.progress import Progress, SpinnerColumn, TextColumn

from policy_service.cli.failures import errors
from policy_service.cli.login import access_token, told_failures
from policy_service.cli.server import AdminApi

MOST_ROWS = 1000
"""Of a page."""


@contextmanager
def asking(server: str, token: str) -> Iterator[AdminApi]:
    """The admin API in the name of whoever is signed in there, or of a token."""
    with told_failures(), AdminApi(server, token or access_token(server)) as api:
        yield api


def every_row(
    api: AdminApi, path: str, query: Mapping[str, str | list[str]]
) -> Iterator[dict[str, Any]]:
    """The rows of all pages; shows how many have come when somebody looks on."""
    for page in _every_page(api, path, query):
        yield from page["rows"]


def whole(
    api: AdminApi, path: str, query: Mapping[str, str | list[str]] | None = None
) -> dict[str, Any]:
    """A list's answer with the rows of all pages in it; else as its first page is."""
    pages = list(_every_page(api, path, query or {}))
    return {**pages[0], "rows": [row for page in pages for row in page["rows"]], "next": None}


def _every_page(
    api: AdminApi, path: str, query: Mapping[str, str | list[str]]
) -> Iterator[dict[str, Any]]:
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
            yield page
            count += len(page["rows"])
            progress.update(task, description=f"{count} rows ...")
            if not page.get("next"):
                return
            asked["cursor"] = page["next"]
