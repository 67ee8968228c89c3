"""How calls went: latencies, errors, fallbacks, breakers; and who was refused, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from llm_core.errors import MalformedRequest
from llm_core.policy.roles import Permission
from llm_core.routing.facts import BreakerState
from llm_core.routing.transitions import Cause
from policy_service.api.admins import CurrentActor, nodes_for
from policy_service.api.idempotency import AdminRoute
from policy_service.api.paging import MOST_ROWS, Page, Pages
from policy_service.api.reading import (
    YEARS,
    TimeAndFilters,
    cursor_of,
    groups,
    offset_of,
    read,
)
from policy_service.api.wire import Opened, json_answer
from policy_service.ports.breakers import BreakerTransition, TransitionFilter
from policy_service.ports.costs import Dimension, Ground, Refusal, Reliability

router = APIRouter(prefix="/admin/v1", route_class=AdminRoute)
_BY_DEFAULT = (Dimension.PROVIDER, Dimension.MODEL)


def _sensible(at: datetime) -> datetime:
    if at.year not in YEARS:
        raise ValueError(f"write a year from {YEARS[0]} to {YEARS[-1]}")
    return at


_Instant = Annotated[AwareDatetime, AfterValidator(_sensible)]
_BREAKERS = Pages("breakers", tuple[datetime, str])
_Names = Annotated[
    list[Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]],
    Field(default_factory=list, max_length=200, description="Any of these; all if left out."),
]
_LOGGED = frozenset(
    {
        Dimension.ORGANISATION,
        Dimension.DEPARTMENT,
        Dimension.TEAM,
        Dimension.USER,
        Dimension.MODEL,
        Dimension.OPERATION,
    }
)


class ReliabilityQuery(TimeAndFilters):
    """The query of `GET /admin/v1/reliability`."""

    group_by: list[str] = Field(
        default_factory=list,
        description="Dimensions, with commas between; provider and model by default.",
    )


class RefusalsQuery(TimeAndFilters):
    """The query of `GET /admin/v1/refusals`."""

    group_by: list[str] = Field(
        default_factory=list,
        description="Of code, rule, team, model, user, department; code by default.",
    )
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS, description="How many rows at most.")] = 100
    cursor: Annotated[
        str | None, Field(max_length=200, description="The `next` of the page before.")
    ] = None


class BreakersQuery(BaseModel):
    """The query of `GET /admin/v1/reliability/breakers`."""

    model_config = ConfigDict(extra="forbid")

    since: Annotated[
        _Instant | None, Field(description="With its zone; the beginning if left out.")
    ] = None
    until: Annotated[
        _Instant | None, Field(description="With its zone, exclusive; now if left out.")
    ] = None
    provider: _Names
    deployment: _Names
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS, description="How many rows at most.")] = 100
    cursor: Annotated[
        str | None,
        Field(max_length=2000, description="The `next_cursor` of the page before."),
    ] = None


class ShownTransition(msgspec.Struct, frozen=True, rename={"before": "from", "after": "to"}):
    """A step of a deployment's breaker from one state into another."""

    id: str
    at: datetime
    deployment_id: str
    provider: str
    model: str
    before: BreakerState
    after: BreakerState
    reason: Cause
    error_class: str
    opens_until: datetime | None


class ListedTransitions(msgspec.Struct, frozen=True):
    """Steps of breakers, the newest first; `next_cursor` is null on the last page."""

    data: Sequence[ShownTransition]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ListedReliability:
    """Each group, the busiest first, and all together."""

    rows: tuple[Reliability, ...]
    total: Reliability


@dataclass(frozen=True, slots=True)
class ListedRefusals:
    """The most frequent refusals, and how many there were in all."""

    rows: tuple[Refusal, ...]
    total: int
    next: str | None


@router.get("/reliability")
async def reliability(
    opened: Opened, actor: CurrentActor, query: Annotated[ReliabilityQuery, Query()]
) -> Response:
    """Latency percentiles, errors and fallbacks, as far as your roles reach."""
    asked = await read(opened, actor, query)
    by = groups(query.group_by, Dimension, _BY_DEFAULT)
    rows, total = await opened.reliable.reliability(asked.scope, asked.start, asked.end, by)
    return json_answer(ListedReliability(rows, total))


@router.get("/reliability/breakers")
async def breakers(
    opened: Opened, actor: CurrentActor, query: Annotated[BreakersQuery, Query()]
) -> Response:
    """Which steps the deployments' breakers took, the newest first; the same for everybody.

    That an open breaker became half-open is told once the next call has come.
    """
    nodes_for(actor, Permission.USAGE_READ)
    page = Page(query.limit, query.cursor)
    wanted = TransitionFilter(
        query.since, query.until, tuple(query.provider), tuple(query.deployment)
    )
    found = await opened.breaker_log.read(wanted, after=_BREAKERS.after(page), limit=page.wanted)
    rows, following = _BREAKERS.cut(found, page, lambda one: (one.at, one.id))
    return json_answer(ListedTransitions([_shown(one) for one in rows], following))


@router.get("/refusals")
async def refusals(
    opened: Opened, actor: CurrentActor, query: Annotated[RefusalsQuery, Query()]
) -> Response:
    """Who was refused, and why, from the decision log, as far as your roles reach."""
    asked = await read(opened, actor, query)
    for dimension in asked.scope.filters:
        if dimension not in _LOGGED:
            raise MalformedRequest(
                f"The decision log is not filtered by {dimension}; choose from "
                f"{', '.join(sorted(_LOGGED))}.",
                param=dimension.value,
            )
    by = groups(query.group_by, Ground, (Ground.CODE,))
    offset = offset_of(query, query.cursor)
    rows, total = await opened.refusals.refusals(
        asked.scope, asked.start, asked.end, by, query.limit + 1, offset=offset
    )
    following = cursor_of(query, offset + query.limit) if len(rows) > query.limit else None
    return json_answer(ListedRefusals(rows[: query.limit], total, following))


def _shown(one: BreakerTransition) -> ShownTransition:
    return ShownTransition(
        id=one.id,
        at=one.at,
        deployment_id=one.deployment_id,
        provider=one.provider,
        model=one.model,
        before=one.before,
        after=one.after,
        reason=one.reason,
        error_class=one.error_class,
        opens_until=one.opens_until,
    )
