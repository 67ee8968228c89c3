"""What goes along when one part of an organisation is taken away; no I/O."""

from collections.abc import Mapping
from typing import Any

from policy_service.adapters.sql.organisation.parts import Record, id_of, kind_of
from policy_service.ports.organisation import Change, ChangeKind, OrganisationError

_ABOVE = ("organisation", "department", "team", "project")


def removal(parts: Mapping[str, Record], subject: str) -> tuple[Change, ...]:
    """The changes that take a part away, and everything below it.

    People stay when their team goes, but belong to no team then. Keys go with the person or the
    application that they stand for.

    Args:
        parts: The whole organisation, in the order of `KINDS`.
        subject: What goes; nothing comes of it when it is not there.

    Raises:
        OrganisationError: Limits speak of the model group that was to go.
    """
    if subject not in parts:
        return ()
    gone: dict[str, Record] = {subject: parts[subject]}
    changed: list[Change] = []
    for one, record in parts.items():
        after = _after(one, record, gone)
        if after is None:
            gone[one] = record
        elif after != record:
            changed.append(Change(ChangeKind.CHANGE, one, record, after))
    _refuse_used_group(parts, gone)
    removed = [Change(ChangeKind.REMOVE, one, record, None) for one, record in gone.items()]
    return (*changed, *removed)


def _after(one: str, record: Record, gone: Mapping[str, Record]) -> Record | None:
    """What becomes of a part; `None` when it goes."""
    if one in gone or any(name in gone for name in _needed(kind_of(one), record)):
        return None
    if kind_of(one) == "user":
        return _user_after(record, gone)
    centre = record.get("cost_centre")
    is_unpaid = centre is not None and f"cost_centre:{centre}" in gone
    return {**record, "cost_centre": None} if is_unpaid else record


def _needed(kind: str, record: Record) -> list[str]:
    """What a part cannot do without."""
    match kind:
        case "limit":
            return [record["node"]]
        case "role":
            return [record["node"], record["subject"]]
        case "user":
            return [f"organisation:{record['organisation']}"]
        case "key" | "consumer":
            above: tuple[str, ...] = (*_ABOVE, "user", "application")
        case _:
            above = _ABOVE
    return [f"{one}:{record[one]}" for one in above if record.get(one) is not None]


def _user_after(record: Record, gone: Mapping[str, Record]) -> Record:
    after: dict[str, Any] = dict(record)
    if f"team:{record['team']}" in gone:
        after |= {"team": None, "project": None}
    if f"project:{record['project']}" in gone:
        after["project"] = None
    return after


def _refuse_used_group(parts: Mapping[str, Record], gone: Mapping[str, Record]) -> None:
    groups = {
        f"group:{id_of(one).partition(':')[2]}" for one in gone if kind_of(one) == "model_group"
    }
    for one, record in parts.items():
        if kind_of(one) == "limit" and record["scope"] in groups and one not in gone:
            raise OrganisationError(f"{one} speaks of the model group {record['scope'][6:]!r}")
