"""What the Kong plugins ask."""

from fastapi import APIRouter, Depends, Request, Response

from llm_core.policy.decision import DecisionRequest, UsageReport
from policy_service.api.wire import Opened, internal_only, json_answer, read_json
from policy_service.services.identify import IdentifyRequest, identify

router = APIRouter(prefix="/v1", dependencies=[Depends(internal_only)])


@router.post("/callers/identify")
async def identify_caller(request: Request, opened: Opened) -> Response:
    """Say who is behind a credential."""
    asked = await read_json(request, IdentifyRequest)
    return json_answer(await identify(asked, opened.callers))


@router.post("/decisions")
async def decide(request: Request, opened: Opened) -> Response:
    """Decide about a call, and reserve what it may use."""
    asked = await read_json(request, DecisionRequest)
    return json_answer(await opened.decider.decide(asked))


@router.post("/decisions/{decision_id}/usage")
async def report_usage(decision_id: str, request: Request, opened: Opened) -> Response:
    """Take the report of what a call used; the same report twice counts once."""
    report = await read_json(request, UsageReport)
    outcome = await opened.settler.settle(decision_id, report)
    return json_answer({"outcome": outcome.value})
