"""What the Kong plugins ask.

Every call through the gateway waits for these, so they are plain Starlette routes: FastAPI's own
way of calling an endpoint and its dependencies costs several times what the endpoint does.
"""

from collections.abc import AsyncIterator

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from llm_core.policy.credential import Credential
from llm_core.policy.decision import DecisionRequest, UsageReport
from llm_core.policy.journal_standing import JOURNAL_HEADER
from llm_core.trace_context import TRACEPARENT
from policy_service import call_context
from policy_service.api.identified import identified
from policy_service.api.wire import for_plugins, json_answer, only, read_json
from policy_service.ports.changes import ChangeKind
from policy_service.services.changes import Changes

HEARTBEAT_S = 5.0
"""How often a stream of changes shows that it is alive."""


async def identify_caller(request: Request) -> Response:
    """Say who is behind a credential."""
    opened = for_plugins(request)
    asked = await read_json(request, Credential)
    return json_answer(await identified(opened, asked))


async def changes(request: Request) -> Response:
    """Tell what to forget about callers, line by line, for as long as somebody listens.

    The first line says `hello`: whatever changes after it will be told. Then come `key` with a
    `key_id`, `all` when anybody may have changed, and `heartbeat` when nothing did for a while.
    """
    opened = for_plugins(request)
    return StreamingResponse(_lines(opened.changes), media_type="application/x-ndjson")


async def decide(request: Request) -> Response:
    """Decide about a call, and reserve what it may use."""
    opened = for_plugins(request)
    call_context.traceparent.set(request.headers.get(TRACEPARENT))
    asked = await read_json(request, DecisionRequest)
    return json_answer(await opened.decider.decide(asked))


async def report_usage(request: Request) -> Response:
    """Take the report of what a call used; the same report twice counts once.

    Its header says how the plugin's journal stands, also when the report itself is not taken.
    """
    opened = for_plugins(request)
    opened.journals.note(only(request, JOURNAL_HEADER))
    call_context.traceparent.set(request.headers.get(TRACEPARENT))
    report = await read_json(request, UsageReport)
    outcome = await opened.settler.settle(request.path_params["decision_id"], report)
    return json_answer({"outcome": outcome.value})


async def _lines(followed: Changes) -> AsyncIterator[bytes]:
    with followed.listening() as listener:
        yield _line("hello")
        while (told := await listener.next(HEARTBEAT_S)) is not None:
            of_callers = [one for one in told if one.kind is not ChangeKind.APPROVALS]
            for change in of_callers:
                yield _line(change.kind.value, change.key_id)
            if not of_callers:
                yield _line("heartbeat")


def _line(event: str, key_id: str | None = None) -> bytes:
    told = {"event": event} if key_id is None else {"event": event, "key_id": key_id}
    return msgspec.json.encode(told) + b"\n"


routes = (
    Route("/v1/decisions", decide, methods=["POST"]),
    Route("/v1/decisions/{decision_id}/usage", report_usage, methods=["POST"]),
    Route("/v1/callers/identify", identify_caller, methods=["POST"]),
    Route("/v1/callers/changes", changes, methods=["GET"]),
)
