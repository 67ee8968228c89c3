"""How calls went: latencies, errors, fallbacks; and who was refused, and why."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from llm_core.errors import MalformedRequest
from policy_service.api.admins import CurrentActor
from policy_service.api.idempotency import AdminRoute
from policy_service.api.reading import TimeAndFilters, groups, read
from policy_service.api.wire import Opened, json_answer
from policy_service.ports.costs import Dimension, Ground, Refusal, Reliability

router = APIRouter(prefix="/admin/v1", route_class=AdminRoute)
_BY_DEFAULT = (Dimension.PROVIDER, Dimension.MODEL)
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
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


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


@router.get("/reliability")
async def reliability(
    opened: Opened, actor: CurrentActor, query: Annotated[ReliabilityQuery, Query()]
) -> Response:
    """Latency percentiles, errors and fallbacks, as far as your roles reach."""
    asked = await read(opened, actor, query)
    by = groups(query.group_by, Dimension, _BY_DEFAULT)
    rows, total = await opened.reliable.reliability(asked.scope, asked.start, asked.end, by)
    return json_answer(ListedReliability(rows, total))


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
    found = await opened.refusals.refusals(asked.scope, asked.start, asked.end, by, query.limit)
    return json_answer(ListedRefusals(*found))
