"""What the Kong plugins ask.

Every call through the gateway waits for these, so they are plain Starlette routes: FastAPI's own
way of calling an endpoint and its dependencies costs several times what the endpoint does.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm_core.policy.decision import DecisionRequest, UsageReport
from policy_service.api.wire import for_plugins, json_answer, read_json
from policy_service.services.identify import IdentifyRequest, identify


async def identify_caller(request: Request) -> Response:
    """Say who is behind a credential."""
    opened = for_plugins(request)
    asked = await read_json(request, IdentifyRequest)
    return json_answer(await identify(asked, opened.callers))


async def decide(request: Request) -> Response:
    """Decide about a call, and reserve what it may use."""
    opened = for_plugins(request)
    asked = await read_json(request, DecisionRequest)
    return json_answer(await opened.decider.decide(asked))


async def report_usage(request: Request) -> Response:
    """Take the report of what a call used; the same report twice counts once."""
    opened = for_plugins(request)
    report = await read_json(request, UsageReport)
    outcome = await opened.settler.settle(request.path_params["decision_id"], report)
    return json_answer({"outcome": outcome.value})


routes = (
    Route("/v1/decisions", decide, methods=["POST"]),
    Route("/v1/decisions/{decision_id}/usage", report_usage, methods=["POST"]),
    Route("/v1/callers/identify", identify_caller, methods=["POST"]),
)
