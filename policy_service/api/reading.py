"""What questions on spend and usage have in common: a time, a zone, filters, groups, pages."""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from llm_core.costs.calendar import Interval, day_start, month_start
from llm_core.errors import MalformedRequest, PermissionDenied
from llm_core.policy.roles import Actor, Permission
from policy_service.api.admins import nodes_for
from policy_service.ports.costs import Dimension, Scope
from policy_service.ports.organisation import OrganisationError
from policy_service.resources import Resources

T = TypeVar("T", bound=StrEnum)
LONGEST = {
    Interval.NONE: timedelta(days=3660),
    Interval.HOUR: timedelta(days=62),
    Interval.DAY: timedelta(days=800),
    Interval.MONTH: timedelta(days=3660),
}
_MOST_FILTERS = 200
YEARS = range(2000, 2201)
_UTC = "UTC"
_Values = Annotated[
    list[str],
    Field(
        default_factory=list,
        description="Any of these; an empty value is what is not tagged.",
    ),
]


class Filters(BaseModel):
    """Which calls; a parameter that is not named here is refused rather than overlooked."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    organisation: _Values
    department: _Values
    team: _Values
    project: _Values
    user: _Values
    application: _Values
    cost_centre: _Values
    model: _Values
    served_model: _Values
    provider: _Values
    region: _Values
    operation: _Values
    use_case: _Values
    error_class: _Values
    tz: Annotated[
        str | None, Field(description="IANA name; the organisation's, else UTC, if left out.")
    ] = None

    @property
    def wanted(self) -> dict[Dimension, tuple[str, ...]]:
        """The filters that were given."""
        given = {one: tuple(getattr(self, one.value, ())) for one in Dimension}
        found = {one: values for one, values in given.items() if values}
        for one, values in found.items():
            if any("\0" in value for value in values):
                raise MalformedRequest("A name holds no NUL.", param=one.value)
        if sum(map(len, found.values())) > _MOST_FILTERS:
            raise MalformedRequest(f"Filter by {_MOST_FILTERS} values at most.")
        return found


class TimeAndFilters(Filters):
    """The same of a time."""

    start: Annotated[
        str | None,
        Field(alias="from", description="An instant or a date; the month's beginning if left out."),
    ] = None
    end: Annotated[
        str | None, Field(alias="to", description="Exclusive; today's end if left out.")
    ] = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, read.

    Args:
        start: UTC.
        end: UTC, later.
        tz: The zone's name.
    """

    scope: Scope
    start: datetime
    end: datetime
    zone: ZoneInfo
    tz: str


async def zone_and_scope(
    opened: Resources, actor: Actor, query: Filters
) -> tuple[ZoneInfo, str, Scope]:
    """The zone, its name, and what the actor may see of what was asked for.

    Raises:
        PermissionDenied: They may see no usage anywhere.
        MalformedRequest: There is no such zone, or there are too many filters.
    """
    nodes = nodes_for(actor, Permission.USAGE_READ)
    scope = Scope(nodes, query.wanted)
    name = await _own_zone(opened, scope) if query.tz is None else query.tz
    try:
        return ZoneInfo(name), name, scope
    except (KeyError, OSError, ValueError) as unknown:
        raise MalformedRequest(
            f"There is no time zone {name[:60]!r}; write it as Europe/Berlin.", param="tz"
        ) from unknown


async def read(
    opened: Resources, actor: Actor, query: TimeAndFilters, interval: Interval = Interval.NONE
) -> Asked:
    """Read the time, the zone and the filters.

    Raises:
        PermissionDenied: They may see no usage anywhere.
        MalformedRequest: Something is not as it has to be; the message says what.
    """
    zone, tz, scope = await zone_and_scope(opened, actor, query)
    today = opened.clock().astimezone(zone).date()
    start = _moment(query.start, zone, "from") or month_start(today, zone)
    end = _moment(query.end, zone, "to") or day_start(today + timedelta(days=1), zone)
    if start >= end:
        raise MalformedRequest("`from` has to be earlier than `to`.", param="from")
    if end - start > LONGEST[interval]:
        raise MalformedRequest(
            f"By {interval} at most {LONGEST[interval].days} days can be asked for; choose a "
            "shorter time or a longer interval.",
            param="from",
        )
    return Asked(scope, start, end, zone, tz)


def groups(named: Sequence[str], kind: type[T], default: Sequence[T] = ()) -> tuple[T, ...]:
    """What is grouped by: names with commas between, or the parameter several times.

    Raises:
        MalformedRequest: One is none of `kind`.
    """
    words = [word for one in named for word in one.split(",") if word]
    unknown = [word for word in words if word not in set(kind)]
    if unknown:
        raise MalformedRequest(
            f"Nothing is grouped by {unknown[0][:60]!r}; choose from {', '.join(kind)}.",
            param="group_by",
        )
    return tuple(dict.fromkeys(kind(word) for word in words)) or tuple(default)


def cursor_of(query: BaseModel, offset: int) -> str:
    """Where the next page of this question begins; opaque to clients."""
    text = msgspec.json.encode([offset, _mark(query)])
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def offset_of(query: BaseModel, cursor: str | None) -> int:
    """Where a page begins.

    Raises:
        MalformedRequest: The cursor is of another question, or none of ours.
    """
    if cursor is None:
        return 0
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        offset, mark = msgspec.json.decode(text, type=tuple[int, str])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        offset, mark = -1, ""
    if offset < 0 or mark != _mark(query):
        raise MalformedRequest(
            "The cursor belongs to another question: ask for the first page anew.", param="cursor"
        )
    return offset


def _mark(query: BaseModel) -> str:
    asked = query.model_dump_json(exclude={"cursor", "limit"})
    return hashlib.blake2b(asked.encode(), digest_size=8).hexdigest()


async def zone_of(opened: Resources, actor: Actor) -> str:
    """The zone of the organisations whose usage somebody may see; UTC for who sees none."""
    try:
        nodes = nodes_for(actor, Permission.USAGE_READ)
    except PermissionDenied:
        return _UTC
    return await _own_zone(opened, Scope(nodes))


async def _own_zone(opened: Resources, scope: Scope) -> str:
    """The zone of the organisations that are looked at, where it is the same for all of them."""
    zones = {one.organisation: one.time_zone for one in await opened.costs.zones()}
    wanted = scope.filters.get(Dimension.ORGANISATION)
    mine = zones.keys() if scope.nodes is None else await _organisations(opened, scope.nodes)
    found = {zones[one] for one in mine if one in zones and (wanted is None or one in wanted)}
    return found.pop() if len(found) == 1 else _UTC


async def _organisations(opened: Resources, nodes: frozenset[str]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        try:
            path = await opened.administration.path_of(node)
        except OrganisationError:
            continue  # a role on what is gone by now
        found |= {one.partition(":")[2] for one in path if one.startswith("organisation:")}
    return found


def _moment(text: str | None, zone: ZoneInfo, param: str) -> datetime | None:
    if text is None:
        return None
    found: datetime | None
    try:
        if len(text) == len("2026-11-01"):
            found = day_start(date.fromisoformat(text), zone)
        else:
            # A `+` of an offset that was not encoded comes as a blank.
            found = datetime.fromisoformat(text.replace(" ", "+"))
            found = found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        found = None
    if found is None or found.year not in YEARS:
        raise MalformedRequest(
            f"Write `{param}` as a date, 2026-11-01, or as an instant with its zone, "
            "2026-11-01T12:00:00Z.",
            param=param,
        )
    return found
