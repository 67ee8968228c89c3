"""What Prometheus scrapes."""

import hmac
from typing import Final

from fastapi import APIRouter, Request, Response

from llm_core.errors import InvalidKey, NotServed
from policy_service.api.wire import Opened, bearer

router = APIRouter()
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
    openapi_extra={"security": [{"metrics_token": []}]},
)
async def metrics(request: Request, opened: Opened) -> Response:
    """Counters, durations and where things stand, for Prometheus; all processes of a host.

    Off, and 404, unless `POLICY_METRICS_TOKEN` is set, which is then the bearer token to send, or
    `POLICY_METRICS_OPEN`.
    """
    if opened.metrics is None:
        raise NotServed(
            "Metrics are off: set POLICY_METRICS_TOKEN, or POLICY_METRICS_OPEN=true where only "
            "Prometheus reaches this port."
        )
    token = opened.settings.metrics_token
    if token is not None:
        secret = token.get_secret_value()
        if not hmac.compare_digest(bearer(request).encode(), secret.encode()):
            raise InvalidKey("Send POLICY_METRICS_TOKEN as a bearer token.")
    return Response(await opened.metrics.written(), headers={"content-type": _TEXT})
