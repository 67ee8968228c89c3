"""A short way to what every call through the gateway waits for.

FastAPI puts seven layers around every endpoint, for what its own can do, and looks through
all routes to find one. The plugins' three questions need none of that: they are plain functions
that read a request and give an answer. Here they are called by their path, and what goes wrong in
them is answered as it is everywhere else (see `wire`). Whatever is not one of them, or is asked in
any other way, goes the usual way.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from llm_core.errors import GatewayError, GatewayFault
from policy_service.api.bodies import BoundedBodies
from policy_service.api.internal import decide, identify_caller, report_usage
from policy_service.api.wire import failure_answer

_Endpoint = Callable[[Request], Awaitable[Response]]
_BY_PATH: dict[str, _Endpoint] = {
    "/v1/decisions": decide,
    "/v1/callers/identify": identify_caller,
}
_REPORTS, _REPORT = "/v1/decisions/", "/usage"


class ShortWay:
    """Answers the plugins itself, and leaves everybody else to the app.

    Args:
        app: With all its layers.
        most_bytes: Of a body, as everywhere.
        timeout_s: For a body, likewise.
    """

    def __init__(self, app: ASGIApp, most_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._answering = BoundedBodies(_answer, most_bytes, timeout_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the short way where there is one."""
        endpoint = _endpoint(scope)
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        scope["gatehouse_endpoint"] = endpoint
        await self._answering(scope, receive, send)


def _endpoint(scope: Scope) -> _Endpoint | None:
    if scope["type"] != "http" or scope["method"] != "POST" or scope.get("root_path"):
        return None
    path: str = scope["path"]
    endpoint = _BY_PATH.get(path)
    if endpoint is None and path.startswith(_REPORTS) and path.endswith(_REPORT):
        decision_id = path[len(_REPORTS) : -len(_REPORT)]
        if decision_id and "/" not in decision_id:
            scope["path_params"] = {"decision_id": decision_id}
            return report_usage
    return endpoint


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    fault: Exception | None = None
    try:
        answer = await scope["gatehouse_endpoint"](request)
    except GatewayError as error:
        answer = failure_answer(request, error)
    except Exception as unforeseen:  # noqa: BLE001 - told below, where the server logs it
        answer, fault = failure_answer(request, GatewayFault("The gateway failed.")), unforeseen
    await answer(scope, receive, send)
    if fault is not None:
        raise fault
