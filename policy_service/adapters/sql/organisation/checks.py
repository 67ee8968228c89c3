"""What must hold before one part is changed."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.policy.limits import Limit
from llm_core.policy.roles import PLATFORM, Role
from policy_service.adapters.sql.organisation.parts import (
    MAX_ID_CHARS,
    STORED,
    Record,
    id_of,
    kind_of,
    require_id,
)
from policy_service.adapters.sql.organisation.paths import organisation_of, path_of
from policy_service.adapters.sql.tables import AMOUNT
from policy_service.ports.organisation import Holder, OrganisationError

AMOUNT_END = Decimal(10) ** 12
_FINEST = Decimal(1).scaleb(-AMOUNT.scale)
_WITHOUT_ROWS = ("user", "application")
_PARENTS = {"department": "organisation", "team": "department", "project": "team"}
_LISTS = ("allowed_models", "models", "roles")
_MAX_NAME_CHARS = 200
_MAX_CHARS = {"name": _MAX_NAME_CHARS, "email": _MAX_NAME_CHARS, "subject": 400, "time_zone": 60}
_PLACES = ("user", "application", "group")


def completed(subject: str, record: Record) -> dict[str, Any]:
    """The record with every field that it has, in the kind's order.

    Raises:
        OrganisationError: A field is missing, or there is none of that name.
    """
    kind = STORED[kind_of(subject)]
    unknown = sorted(set(record) - set(kind.columns))
    if unknown:
        raise OrganisationError(f"{subject} has no {', '.join(unknown)}")
    named = {}
    if "name" in kind.columns:
        # First: a name that stands for an id which is none would be the lesser fault.
        require_id(id_of(subject))
        named = {"name": id_of(subject)}
    given = {field: value for field, value in record.items() if (field, value) != ("name", None)}
    whole = {**kind.defaults, **named, **given}
    missing = sorted(set(kind.columns) - set(whole))
    if missing:
        raise OrganisationError(f"{subject} needs {', '.join(missing)}")
    record = {
        field: list(whole[field]) if isinstance(whole[field], tuple) else whole[field]
        for field in kind.columns
    }
    for field, value in record.items():
        if not _fits(field, value, may_be_none=kind.defaults.get(field, "") is None):
            raise OrganisationError(f"{field} of {subject} is not what it can be")
    return record


def _fits(field: str, value: object, *, may_be_none: bool) -> bool:
    if value is None:
        return may_be_none
    if field == "is_active":
        return isinstance(value, bool)
    if field in _LISTS:
        return isinstance(value, list) and all(_is_text(one, _MAX_NAME_CHARS) for one in value)
    return _is_text(value, _MAX_CHARS.get(field, MAX_ID_CHARS))


def _is_text(value: object, max_chars: int) -> bool:
    is_seen = isinstance(value, str) and value.isprintable() and value == value.strip()
    return is_seen and 0 < len(str(value)) <= max_chars


async def require_part(connection: AsyncConnection, subject: str, record: Record) -> str:
    """Hold a part's id and what it refers to against the database.

    Returns:
        The organisation that it belongs to, as its new record says.

    Raises:
        OrganisationError: Something does not exist, or belongs to another organisation.
    """
    kind = kind_of(subject)
    match kind:
        case "organisation":
            require_id(id_of(subject))
            require_time_zone(record["time_zone"])
            return id_of(subject)
        case "group":
            source, _, name = id_of(subject).partition(" ")
            if not source or not name:
                raise OrganisationError("a group is named by its source, a space and its name")
        case "model_group":
            require_id(id_of(subject).partition(":")[2])
            if id_of(subject).partition(":")[0] != record["organisation"]:
                raise OrganisationError(f"{subject} is of another organisation")
        case _:
            require_id(id_of(subject))
    organisation = await _require_place(connection, kind, record)
    centre = record.get("cost_centre")
    if centre and await organisation_of(connection, f"cost_centre:{centre}") != organisation:
        raise OrganisationError(f"the cost centre {centre!r} is another organisation's")
    return organisation


async def _require_place(connection: AsyncConnection, kind: str, record: Record) -> str:
    above = _PARENTS.get(kind, "organisation" if "organisation" in record else "team")
    organisation = await organisation_of(connection, f"{above}:{record[above]}") or ""
    if kind in _PLACES and record["team"] is not None:
        place = Holder(team=record["team"], project=record["project"])
        if await require_holder(connection, place) != organisation:
            raise OrganisationError(f"the team {record['team']!r} is another organisation's")
    elif kind == "user" and record["project"] is not None:
        raise OrganisationError("who is in a project is in its team: name the team as well")
    return organisation


async def require_holder(connection: AsyncConnection, holder: Holder) -> str:
    """The organisation of a team that exists and has the project.

    Raises:
        OrganisationError: The team does not exist, or has no such project.
    """
    organisation = await organisation_of(connection, f"team:{holder.team}")
    if holder.project is not None:
        table = STORED["project"].table
        found = await connection.execute(
            select(table.c.team_id).where(table.c.id == holder.project)
        )
        if found.scalar_one_or_none() != holder.team:
            raise OrganisationError(f"the team {holder.team!r} has no project {holder.project!r}")
    return organisation or ""


async def require_limit(connection: AsyncConnection, limit: Limit) -> str | None:
    """Hold a limit against the database.

    Returns:
        Its node's organisation; `None` for users and applications that only keys speak of.

    Raises:
        OrganisationError: The node or the model group does not exist, or a figure makes no sense.
    """
    amount, share = limit.amount, limit.interactive_share
    # The range first: only then does quantize fit into a decimal context's 28 digits.
    is_amount = amount.is_finite() and 0 <= amount < AMOUNT_END
    if not is_amount or amount != amount.quantize(_FINEST):
        raise OrganisationError(f"{amount} is no amount for a limit")
    if not (share.is_finite() and 0 <= share <= 1) or share != share.quantize(_FINEST):
        raise OrganisationError(
            f"{share} is no share: it is from 0 to 1, with six decimals at most"
        )
    organisation = await organisation_of_node(connection, limit.node)
    kind, _, name = limit.scope.partition(":")
    if limit.scope and (kind not in ("model", "group") or not name):
        raise OrganisationError(
            f"{limit.scope[:200]!r} is no scope: write model:<alias> or group:<name>"
        )
    if kind == "group" and organisation is not None:
        await _require_group(connection, organisation, name)
    return organisation


async def organisation_of_node(connection: AsyncConnection, node: str) -> str | None:
    """The organisation of a limit's node.

    Users and applications need not be known: keys speak of them by name alone.
    """
    kind, name = kind_of(node), id_of(node)
    require_id(name)
    if kind in ("cost_centre", "model_group"):
        raise OrganisationError(f"a {kind.replace('_', ' ')} has no limits")
    try:
        return await organisation_of(connection, node)
    except OrganisationError:
        if kind in _WITHOUT_ROWS:
            return None
        raise


async def require_grant(connection: AsyncConnection, record: Mapping[str, str]) -> str | None:
    """Hold a role's grant against the database; gives the node's organisation."""
    if record["role"] not in list(Role):
        raise OrganisationError(f"{record['role'][:40]!r} is no role; roles are {', '.join(Role)}")
    if record["role"] == Role.PLATFORM_ADMIN and record["node"] != PLATFORM:
        raise OrganisationError(f"platform_admin is given on {PLATFORM} only")
    kind, name = kind_of(record["subject"]), id_of(record["subject"])
    if kind not in ("user", "application", "group") or not name or not name.isprintable():
        raise OrganisationError("a role is given to user:<id>, application:<id> or group:<name>")
    if kind != "group":
        await path_of(connection, record["subject"])
    if record["node"] == PLATFORM:
        return None
    if kind_of(record["node"]) not in ("organisation", "department", "team", "project"):
        raise OrganisationError("a role is given on an organisation, department, team or project")
    return await organisation_of(connection, record["node"])


def require_time_zone(name: str) -> None:
    """Refuse a zone that nobody knows.

    Raises:
        OrganisationError: It is none of IANA's.
    """
    if not is_time_zone(name):
        raise OrganisationError(f"there is no time zone {name[:60]!r}; write one as Europe/Berlin")


def is_time_zone(name: str) -> bool:
    """Whether IANA's database has it."""
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return False
    return True


async def _require_group(connection: AsyncConnection, organisation: str, name: str) -> None:
    table = STORED["model_group"].table
    found = await connection.execute(
        select(table.c.id).where(table.c.organisation_id == organisation, table.c.id == name)
    )
    if found.first() is None:
        raise OrganisationError(f"there is no model group {name!r}")
