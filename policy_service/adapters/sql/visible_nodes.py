"""Restricting a query to rows that name a node at or below some others, by the organisation."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    SQLColumnExpression,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute

from policy_service.adapters.sql.tables import (
    ApiKey,
    Application,
    Base,
    DepartmentUnit,
    OrganisationUnit,
    ProjectUnit,
    TeamUnit,
    User,
)

_Below = tuple[str, type[Base], dict[str, str]]
_PARTS: tuple[_Below, ...] = (
    ("organisation", OrganisationUnit, {}),
    ("department", DepartmentUnit, {"organisation": "organisation_id"}),
    ("team", TeamUnit, {"department": "department_id"}),
    ("project", ProjectUnit, {"team": "team_id"}),
    ("application", Application, {"team": "team_id", "project": "project_id"}),
    (
        "user",
        User,
        {"organisation": "organisation_id", "team": "team_id", "project": "project_id"},
    ),
    ("key", ApiKey, {"team": "team_id", "project": "project_id"}),
)
"""Kinds of nodes from the top down, and what each names the ones above it by."""


def at_or_below(nodes: Collection[str], column: SQLColumnExpression[Any]) -> ColumnElement[bool]:
    """A condition on rows that are about a node: one of these, or one below them.

    Args:
        nodes: `<kind>:<id>` each.
        column: Holds the row's node, written so.
    """
    visible: dict[str, Select[Any]] = {}
    for kind, table, above in _PARTS:
        ids = [node.partition(":")[2] for node in sorted(nodes) if node.startswith(f"{kind}:")]
        conditions = [_column(table, "id").in_(ids)]
        conditions += [_column(table, name).in_(visible[one]) for one, name in above.items()]
        visible[kind] = select(_column(table, "id")).where(or_(*conditions))
    named = [
        select((literal(f"{kind}:") + _column(table, "id")).label("node")).where(
            _column(table, "id").in_(visible[kind])
        )
        for kind, table, _ in _PARTS
    ]
    return column.in_(union_all(*named))


def _column(table: type[Base], name: str) -> InstrumentedAttribute[str]:
    column: InstrumentedAttribute[str] = getattr(table, name)
    return column
