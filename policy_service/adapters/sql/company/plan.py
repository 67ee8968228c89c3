"""What has to change so that an organisation is what a file says; no I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from llm_core.policy.roles import PLATFORM
from policy_service.adapters.sql.organisation.parts import (
    KINDS,
    Record,
    is_over,
    key_subject,
    kind_of,
    limit_subject,
)
from policy_service.adapters.sql.organisation.reading import Found
from policy_service.ports.organisation import Change, ChangeKind

_NAMES = ("username", "custom_id")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Args:
        changes: In the order in which they are shown; all of them or none.
        left_alone: What the file does not name, and stays because nobody asked to prune.
        found: What the changes are about, by the names that the file has for it.
    """

    changes: tuple[Change, ...]
    left_alone: tuple[Change, ...]
    found: Found


def diff(current: Mapping[str, Record], wanted: Mapping[str, Record]) -> tuple[Change, ...]:
    """Every difference: what comes and what changes from the top down, then what goes."""
    changes = [
        Change(ChangeKind.CHANGE, subject, current[subject], record)
        if subject in current
        else Change(ChangeKind.ADD, subject, None, record)
        for subject, record in wanted.items()
        if current.get(subject) != record
    ]
    removed = [
        Change(ChangeKind.REMOVE, subject, record, None)
        for subject, record in current.items()
        if subject not in wanted
    ]
    order = {kind: index for index, kind in enumerate(KINDS)}
    changes.sort(key=lambda change: order[kind_of(change.subject)])
    removed.sort(key=lambda change: -order[kind_of(change.subject)])
    return (*changes, *removed)


def plan(
    found: Found,
    wanted: Mapping[str, Record],
    *,
    prune: bool,
    has_platform_roles: bool,
    now: datetime,
) -> Plan:
    """Compare, and sort out what may be done.

    Args:
        found: The organisation as it is.
        wanted: As the file says.
        prune: Whether what the file does not name goes.
        has_platform_roles: Whether the file speaks of roles on the platform at all.
        now: A key that had expired by then opens nothing, so none is issued for it, and one that
            the file does not name is not worth a word.
    """
    found = _without(found, _ignored(found.parts, wanted, has_platform_roles, now))
    found = _aligned(found, wanted)
    dead = _never_issued(found.parts, wanted, now)
    wanted = {
        subject: record
        for subject, record in wanted.items()
        if subject not in dead and record.get("node") not in dead
    }
    taken = _taken_over(found.parts, wanted)
    changes: list[Change] = []
    left_alone: list[Change] = []
    for change in diff(found.parts, wanted):
        is_done = prune or change.kind is not ChangeKind.REMOVE or change.subject in taken
        (changes if is_done else left_alone).append(change)
    return Plan(tuple(changes), tuple(left_alone), found)


def _ignored(
    current: Mapping[str, Record],
    wanted: Mapping[str, Record],
    has_platform_roles: bool,
    now: datetime,
) -> set[str]:
    """What is there, and neither shown nor touched."""
    names = {record["name"] for one, record in wanted.items() if kind_of(one) == "key"}
    ignored = {
        one
        for one, record in current.items()
        if kind_of(one) == "key"
        and (
            (record["name"] not in names and is_over(record, now))
            # The file has one entry for all keys of a name in a team.
            or (one not in wanted and key_subject(record["team"], record["name"]) in wanted)
        )
    }
    ignored |= {one for one, record in current.items() if record.get("node") in ignored}
    if not has_platform_roles:
        ignored |= {one for one, record in current.items() if record.get("node") == PLATFORM}
    return ignored


def _never_issued(
    current: Mapping[str, Record], wanted: Mapping[str, Record], now: datetime
) -> set[str]:
    return {
        one
        for one, record in wanted.items()
        if kind_of(one) == "key" and one not in current and is_over(record, now)
    }


def _aligned(found: Found, wanted: Mapping[str, Record]) -> Found:
    """Keys that moved to another team keep their text; consumers that got another name their id."""
    renamed = _moved_keys(found.parts, wanted) | _renamed_consumers(found.parts, wanted)
    parts: dict[str, Record] = {}
    for subject, record in found.parts.items():
        node = renamed.get(str(record.get("node")))
        if kind_of(subject) == "limit" and node is not None:
            moved = limit_subject(node, record["scope"], record["measure"])
            parts[moved] = {**record, "node": node}
        else:
            parts[renamed.get(subject, subject)] = record
    ids = {renamed.get(subject, subject): its_id for subject, its_id in found.ids.items()}
    return replace(found, parts=parts, ids=ids)


def _moved_keys(current: Mapping[str, Record], wanted: Mapping[str, Record]) -> dict[str, str]:
    """Keys that the file has under another team, where only one can be meant."""
    old, new = _unmatched(current, wanted), _unmatched(wanted, current)
    return {
        subjects[0]: new[name][0]
        for name, subjects in old.items()
        if len(subjects) == 1 and len(new.get(name, [])) == 1
    }


def _unmatched(these: Mapping[str, Record], those: Mapping[str, Record]) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for subject, record in these.items():
        if kind_of(subject) != "key" or subject in those:
            continue
        # An older key of the same name and team, which another one stands before, is not meant.
        if subject == key_subject(record["team"], record["name"]):
            named.setdefault(record["name"], []).append(subject)
    return named


def _renamed_consumers(
    current: Mapping[str, Record], wanted: Mapping[str, Record]
) -> dict[str, str]:
    """The first consumer that shares a name with a wanted one is that one."""
    by_name = _by_name(current)
    renamed: dict[str, str] = {}
    for subject, record in _consumers(wanted):
        if subject in current:
            continue
        shared = [by_name[name] for name in _names_of(record) if name in by_name]
        free = [one for one in shared if one not in wanted and one not in renamed]
        if free:
            renamed[free[0]] = subject
    return renamed


def _taken_over(current: Mapping[str, Record], wanted: Mapping[str, Record]) -> set[str]:
    """Consumers whose name another one bears from now on: they cannot be left alone."""
    names = {name for _, record in _consumers(wanted) for name in _names_of(record)}
    return {
        subject
        for subject, record in _consumers(current)
        if subject not in wanted and names.intersection(_names_of(record))
    }


def _consumers(parts: Mapping[str, Record]) -> Iterable[tuple[str, Record]]:
    return ((one, record) for one, record in parts.items() if kind_of(one) == "consumer")


def _names_of(record: Record) -> list[tuple[str, str]]:
    return [(kind, record[kind]) for kind in _NAMES if record[kind] is not None]


def _by_name(parts: Mapping[str, Record]) -> dict[tuple[str, str], str]:
    return {name: one for one, record in _consumers(parts) for name in _names_of(record)}


def _without(found: Found, ignored: set[str]) -> Found:
    kept = {one: record for one, record in found.parts.items() if one not in ignored}
    return replace(found, parts=kept)
