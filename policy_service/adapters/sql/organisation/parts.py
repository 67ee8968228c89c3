"""The parts of an organisation as plain records, and how the tables keep them.

A part has a subject, which names it, and a record, which says how it is in JSON's types: text,
booleans, lists. Money and times are text in one form each, so that equal parts have equal records.

| Subject | Record's fields |
|---|---|
| `organisation:<id>` | name, time_zone, allowed_models |
| `cost_centre:<id>` | organisation, name |
| `model_group:<organisation>:<id>` | organisation, models |
| `department:<id>` | organisation, name, allowed_models, cost_centre |
| `team:<id>` | department, name, allowed_models, cost_centre |
| `project:<id>` | team, name, allowed_models, cost_centre |
| `user:<id>` | organisation, name, email, subject, team, project, clearance, is_active |
| `application:<id>` | team, project, name, is_active |
| `group:<source> <name>` | team, project, roles, clearance, allowed_models |
| `consumer:<its names>` | username, custom_id, and whom it stands for |
| `key:<team>:<name>` | name, expires_at, scopes, and whom it stands for |
| `limit:<node>:<scope>:<measure>` | node, scope, measure, amount, interactive_share |
| `role:<role>@<node> <subject>` | role, node, subject |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from sqlalchemy import Table

from policy_service.adapters.sql.tables import Base
from policy_service.ports.organisation import OrganisationError

Record = Mapping[str, Any]
KINDS = (
    "organisation",
    "cost_centre",
    "model_group",
    "department",
    "team",
    "project",
    "user",
    "application",
    "group",
    "consumer",
    "key",
    "limit",
    "role",
)
"""In an order in which each needs only earlier ones."""
_TABLES = Base.metadata.tables
KEYS = _TABLES["api_keys"]
CONSUMERS = _TABLES["kong_consumers"]
LIMITS = _TABLES["limits"]
ROLES = _TABLES["role_grants"]
RAISES = _TABLES["limit_raises"]


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of part is kept.

    Args:
        table: Where.
        key: The columns of its primary key, which the subject holds.
        columns: The record's fields, each with its column.
        defaults: What a field is when nobody says.
    """

    table: Table
    key: tuple[str, ...]
    columns: Mapping[str, str]
    defaults: Record


def _kind(table: str, key: tuple[str, ...], columns: str, **defaults: object) -> Kind:
    pairs = (column.partition("=")[::2] for column in columns.split())
    mapped = {field: column or field for field, column in pairs}
    return Kind(_TABLES[table], key, MappingProxyType(mapped), MappingProxyType(defaults))


_UNIT = {"allowed_models": None, "cost_centre": None}
STORED: Mapping[str, Kind] = MappingProxyType(
    {
        "organisation": _kind(
            "organisations",
            ("id",),
            "name time_zone allowed_models",
            time_zone="UTC",
            allowed_models=None,
        ),
        "cost_centre": _kind("cost_centres", ("id",), "organisation=organisation_id name"),
        "model_group": _kind(
            "model_groups", ("organisation_id", "id"), "organisation=organisation_id models"
        ),
        "department": _kind(
            "departments",
            ("id",),
            "organisation=organisation_id name allowed_models cost_centre",
            **_UNIT,
        ),
        "team": _kind(
            "teams", ("id",), "department=department_id name allowed_models cost_centre", **_UNIT
        ),
        "project": _kind(
            "projects", ("id",), "team=team_id name allowed_models cost_centre", **_UNIT
        ),
        "user": _kind(
            "users",
            ("id",),
            "organisation=organisation_id name email subject team=team_id project=project_id "
            "clearance is_active",
            email=None,
            subject=None,
            team=None,
            project=None,
            clearance=None,
            is_active=True,
        ),
        "application": _kind(
            "applications",
            ("id",),
            "team=team_id project=project_id name is_active",
            project=None,
            is_active=True,
        ),
        "group": _kind(
            "group_bindings",
            ("source", "name"),
            "team=team_id project=project_id roles clearance allowed_models",
            project=None,
            roles=(),
            clearance=None,
            allowed_models=None,
        ),
        "limit": _kind(
            "limits",
            ("node", "scope", "measure"),
            "node scope measure amount interactive_share",
        ),
        "role": _kind("role_grants", ("subject", "role", "node"), "role node subject"),
    }
)
HOLDER: Mapping[str, str] = MappingProxyType(
    {
        "team": "team_id",
        "project": "project_id",
        "user": "user",
        "application": "application",
        "roles": "roles",
        "groups": "groups",
        "clearance": "clearance",
        "allowed_models": "allowed_models",
    }
)
"""Whom a key or a consumer stands for: the record's fields, each with its column."""
SCOPES = ("operations", "networks", "priority", "expires_at")
"""What a key is good for: the record's fields, which are the columns."""


def kind_of(subject: str) -> str:
    """`team` of `team:search`."""
    return subject.partition(":")[0]


def id_of(subject: str) -> str:
    """`search` of `team:search`."""
    return subject.partition(":")[2]


def group_subject(source: str, name: str) -> str:
    """Names where the members of a group belong. A source has no space in it."""
    return f"group:{source} {name}"


def consumer_subject(username: str | None, custom_id: str | None) -> str:
    """Names a consumer of Kong's."""
    names = {"username": username, "custom_id": custom_id}
    return "consumer:" + " ".join(f"{kind}={name}" for kind, name in names.items() if name)


def key_subject(team: str, name: str) -> str:
    """Names a key by what people know of it."""
    return f"key:{team}:{name}"


def limit_subject(node: str, scope: str, measure: str) -> str:
    """Names a limit as `Limit.key` does."""
    return ":".join(["limit", node, scope, measure] if scope else ["limit", node, measure])


def role_subject(role: str, node: str, subject: str) -> str:
    """Names a grant."""
    return f"role:{role}@{node} {subject}"


def key_values(subject: str, record: Record) -> dict[str, Any]:
    """The primary key of a part that `STORED` knows."""
    kind = kind_of(subject)
    match kind:
        case "group":
            source, _, name = id_of(subject).partition(" ")
            return {"source": source, "name": name}
        case "model_group":
            organisation, _, group = id_of(subject).partition(":")
            return {"organisation_id": organisation, "id": group}
        case "limit" | "role":
            return {column: record[column] for column in STORED[kind].key}
        case _:
            return {"id": id_of(subject)}


def row_of(subject: str, record: Record) -> dict[str, Any]:
    """The row of a part that `STORED` knows."""
    columns = STORED[kind_of(subject)].columns
    row = {column: _to_column(field, record[field]) for field, column in columns.items()}
    return row | key_values(subject, record)


def record_of(kind: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a row, whose names are the columns' keys."""
    columns = STORED[kind].columns
    return {field: _from_column(row[column]) for field, column in columns.items()}


def held_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the record of a key or a consumer says of whom it stands for."""
    return {field: _from_column(row[column]) for field, column in HOLDER.items()}


def held_row(record: Record) -> dict[str, Any]:
    """The same as columns."""
    return {column: record[field] for field, column in HOLDER.items()}


def scopes_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the record of a key says of what it is good for."""
    scopes = {field: _from_column(row[field]) for field in SCOPES}
    # No list is an empty one: both stand for everything.
    return scopes | {field: scopes[field] or [] for field in ("operations", "networks")}


def scopes_row(record: Record) -> dict[str, Any]:
    """The same as columns."""
    row = {field: _to_column(field, record[field]) for field in SCOPES}
    return row | {field: row[field] or None for field in ("operations", "networks")}


def amount_text(amount: Decimal) -> str:
    """An amount in its one form: `200`, `0.5`."""
    return f"{amount.normalize():f}" if amount else "0"


def time_text(moment: datetime) -> str:
    """A moment in its one form, UTC."""
    return moment.astimezone(UTC).isoformat()


def is_over(key: Record, now: datetime) -> bool:
    """Whether the key of a record opens nothing any more."""
    expires_at = key["expires_at"]
    return expires_at is not None and datetime.fromisoformat(expires_at) <= now


def require_id(name: str) -> None:
    """Refuse what cannot name a part.

    Raises:
        OrganisationError: It is empty, too long, has a colon, or cannot be seen.
    """
    if (fault := fault_of_id(name)) is not None:
        raise OrganisationError(fault)


def fault_of_id(name: str) -> str | None:
    """What is wrong with a name for a part."""
    is_fit = name and len(name) <= MAX_ID_CHARS and name.isprintable()
    if is_fit and ":" not in name and name == name.strip():
        return None
    return f"{name[:MAX_ID_CHARS]!r} is no id: use up to {MAX_ID_CHARS} characters, no colon"


MAX_ID_CHARS = 120


def _from_column(value: object) -> Any:  # noqa: ANN401 - one of JSON's types
    match value:
        case Decimal():
            return amount_text(value)
        case datetime():
            return time_text(value)
        case tuple():
            return list(value)
        case _:
            return value


def _to_column(field: str, value: object) -> object:
    if value is None:
        return None
    if field in ("amount", "interactive_share"):
        return Decimal(str(value))
    if field == "expires_at":
        return datetime.fromisoformat(str(value))
    return list(value) if isinstance(value, tuple) else value
