"""Where a part stands: itself, and everything above it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.policy.roles import PLATFORM
from policy_service.adapters.sql.organisation.parts import (
    KEYS,
    STORED,
    Record,
    id_of,
    key_values,
    kind_of,
)
from policy_service.ports.organisation import OrganisationError

_ABOVE = {
    "cost_centre": ("organisation",),
    "department": ("organisation",),
    "team": ("department",),
    "project": ("team",),
    "application": ("project", "team"),
    "user": ("project", "team", "organisation"),
    "group": ("project", "team"),
    "key": ("project", "team"),
}
"""What a part stands below: the first of these that it has."""


async def path_of(connection: AsyncConnection, node: str) -> tuple[str, ...]:
    """The node, and every node above it up to its organisation, in this order.

    Raises:
        OrganisationError: There is no such node.
    """
    if node == PLATFORM:
        return (PLATFORM,)
    path = [node]
    while kind_of(path[-1]) != "organisation":
        path.append(await _above(connection, path[-1]))
    await _require(connection, path[-1])
    return tuple(path)


async def organisation_of(connection: AsyncConnection, node: str) -> str | None:
    """The id of the organisation that a node belongs to; `None` for the platform."""
    top = (await path_of(connection, node))[-1]
    return None if top == PLATFORM else id_of(top)


def nodes_above(subject: str, parts: Mapping[str, Record]) -> tuple[str, ...]:
    """The same for any part of an organisation that was read whole; a role's is its node's."""
    record = parts.get(subject, {})
    kind = kind_of(subject)
    if kind == "role":
        return nodes_above(record["node"], parts)
    above = (
        f"{one}:{record[one]}"
        for one in ("project", "team", "department", "organisation")
        if record.get(one) is not None
    )
    nearest = next(above, None)
    return (subject,) if nearest is None else (subject, *nodes_above(nearest, parts))


async def _above(connection: AsyncConnection, node: str) -> str:
    kind = kind_of(node)
    if kind == "model_group":
        return f"organisation:{id_of(node).partition(':')[0]}"
    if kind not in _ABOVE:
        kinds = ", ".join(["organisation", *_ABOVE])
        raise OrganisationError(f"{node[:160]!r} names no kind of node; kinds are {kinds}")
    table = KEYS if kind == "key" else STORED[kind].table
    values = {"id": id_of(node)} if kind == "key" else key_values(node, {})
    columns = [table.c[f"{above}_id"] for above in _ABOVE[kind]]
    statement = select(*columns).where(*(table.c[name] == values[name] for name in values))
    row = (await connection.execute(statement)).first()
    if row is None:
        raise _missing(node)
    found: list[Any] = list(row)
    return next(
        f"{above}:{value}" for above, value in zip(_ABOVE[kind], found, strict=True) if value
    )


async def _require(connection: AsyncConnection, node: str) -> None:
    table = STORED["organisation"].table
    found = await connection.execute(select(table.c.id).where(table.c.id == id_of(node)))
    if found.first() is None:
        raise _missing(node)


def _missing(node: str) -> OrganisationError:
    return OrganisationError(f"the {kind_of(node)} {id_of(node)[:160]!r} does not exist")
