"""Restricting a query to what stands at or below some nodes of the organisation."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, false, or_, true


def within(
    nodes: Collection[str] | None, columns: Mapping[str, SQLColumnExpression[Any]]
) -> ColumnElement[bool]:
    """A condition on rows that say where they stand.

    Args:
        nodes: `<kind>:<id>` each; `None` lets every row through. A node of a kind without a column
            lets none through.
        columns: The column that holds a row's id of a kind, by kind: `team`, `department`.
    """
    if nodes is None:
        return true()
    ids: dict[str, list[str]] = {kind: [] for kind in columns}
    for node in sorted(nodes):
        kind, _, node_id = node.partition(":")
        if kind in ids:
            ids[kind].append(node_id)
    conditions = [columns[kind].in_(found) for kind, found in ids.items() if found]
    return or_(false(), *conditions)
