"""Changes in plain words: a line for each."""

from collections.abc import Mapping
from typing import Any

from policy_service.adapters.sql.organisation.parts import id_of, kind_of
from policy_service.ports.organisation import Change, ChangeKind

SIGNS = {ChangeKind.ADD: "+", ChangeKind.CHANGE: "~", ChangeKind.REMOVE: "-"}
_ABOVE = ("organisation", "department", "team", "project")
_PLAIN = ("name", "node", "scope", "measure", "role", "subject", "username", "custom_id")
_DEFAULTS: Mapping[str, Any] = {
    "is_active": True,
    "priority": "interactive",
    "time_zone": "UTC",
    "interactive_share": "0",
}


def line_of(change: Change) -> str:
    """Such as `~ limit team:search usd_per_month: amount 200 -> 300`."""
    head = f"{SIGNS[change.kind]} {_title(change)}"
    details = _details(change)
    return f"{head}: {', '.join(details)}" if details else head


def _title(change: Change) -> str:
    record = change.after or change.before or {}
    kind = kind_of(change.subject)
    match kind:
        case "limit":
            scope = f" on {record['scope']}" if record["scope"] else ""
            return f"limit {record['node']} {record['measure']}{scope}"
        case "role":
            return f"role {record['role']} on {record['node']} for {record['subject']}"
        case "key":
            return f"key {record['name']} of team {record['team']}"
        case "model_group":
            return f"model group {id_of(change.subject).partition(':')[2]}"
        case _:
            return f"{kind.replace('_', ' ')} {id_of(change.subject)}"


def _details(change: Change) -> list[str]:
    match change.kind:
        case ChangeKind.ADD:
            after = change.after or {}
            named = ("name",) if after.get("name") == id_of(change.subject) else ()
            return _told(after, (*_identity(change), *named))
        case ChangeKind.CHANGE:
            before = change.before or {}
            return [
                f"{_field(name)} {_value(before.get(name))} -> {_value(value)}"
                for name, value in (change.after or {}).items()
                if before.get(name) != value
            ]
        case ChangeKind.REMOVE:
            return ["revoked"] if kind_of(change.subject) == "key" else []


def _identity(change: Change) -> tuple[str, ...]:
    """Fields that the title says already."""
    kind = kind_of(change.subject)
    if kind in ("key", "consumer", "limit", "role"):
        return (*_PLAIN, "team") if kind == "key" else _PLAIN
    return ()


def _told(record: Mapping[str, Any], without: tuple[str, ...]) -> list[str]:
    return [
        f"{_field(name)} {_value(value)}"
        for name, value in record.items()
        if name not in without and value not in (None, [], _DEFAULTS.get(name))
    ]


def _field(name: str) -> str:
    return name if name in _ABOVE else name.replace("_", " ")


def _value(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case list():
            return "[" + ", ".join(str(one) for one in value) + "]"
        case _:
            return str(value)
