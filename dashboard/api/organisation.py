"""Which organisations there are, for what is asked of one of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from dashboard.api.client import Client, segment
from dashboard.api.identity import PLATFORM

_KIND = "organisation:"
_PAGE = "1000"


@dataclass(frozen=True, slots=True)
class _Part:
    subject: str


@dataclass(frozen=True, slots=True)
class _Parts:
    rows: list[_Part]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    path: tuple[str, ...]


def organisations(client: Client, nodes: tuple[str, ...]) -> tuple[str, ...]:
    """The organisations that nodes are, or are parts of, by name; all of them for the platform."""
    found = {one.removeprefix(_KIND) for node in nodes for one in _above(client, node)}
    return tuple(sorted(found))


def _above(client: Client, node: str) -> Iterator[str]:
    """`GET /admin/v1/organisation` or `/organisation/parts/{subject}`, where they are needed."""
    if node.startswith(_KIND):
        yield node
    elif node == PLATFORM:
        for page in client.pages("organisation", _Parts, [("limit", _PAGE)]):
            yield from (row.subject for row in page.rows if row.subject.startswith(_KIND))
    else:
        path = client.get(f"organisation/parts/{segment(node)}", _Place).path
        yield from (one for one in path if one.startswith(_KIND))
