"""The short way answers as the usual one does, for whatever is asked."""

from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from policy_service.api import short_way
from tests.fakes.running_service import INTERNAL, Api

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATHS = [
    "/v1/decisions",
    "/v1/decisions/",
    "/v1/decisions/usage",
    "/v1/decisions//usage",
    "/v1/decisions/dec_1/usage",
    "/v1/decisions/dec_1/usage/",
    "/v1/decisions/dec_1/more/usage",
    "/v1/decisions/%2F/usage",
    "/v1/decisions/%0A/usage",
    "/v1/decisions/dec_1/usage?again=1",
    "/v1/callers/identify",
    "/v1/callers/identity",
]
BODIES = [b"", b"{}", b"[", b"\xff", b'{"api_key": "gh_no_such_key"}', b"[" * 5000]


def usual_way(api: Api) -> httpx.ASGITransport:
    """The app's own layers and routes."""
    stack = api.app.build_middleware_stack()
    assert isinstance(stack, short_way.ShortWay)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = api.app
        await stack._app(scope, receive, send)

    return httpx.ASGITransport(app, raise_app_exceptions=False)


def told(answer: httpx.Response) -> tuple[int, Any, bytes]:
    return answer.status_code, sorted(answer.headers.items()), answer.content


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "OPTIONS"])
@pytest.mark.parametrize("path", PATHS)
async def test_both_ways_answer_alike(api: Api, method: str, path: str) -> None:
    async with httpx.AsyncClient(transport=usual_way(api), base_url="http://service") as usual:
        for headers in ({}, INTERNAL):
            for body in BODIES:
                short = await api.client.request(method, path, content=body, headers=headers)
                long = await usual.request(method, path, content=body, headers=headers)
                assert told(short) == told(long), (headers, body)


async def test_a_body_that_does_not_end_is_refused_alike(api: Api) -> None:
    async with httpx.AsyncClient(transport=usual_way(api), base_url="http://service") as usual:
        body = b" " * (api.app.most_bytes + 1)  # type: ignore[attr-defined]
        short = await api.client.post("/v1/decisions", content=body, headers=INTERNAL)
        long = await usual.post("/v1/decisions", content=body, headers=INTERNAL)
        assert told(short) == told(long)
        assert short.status_code == 413


async def test_what_nobody_foresaw_is_answered_and_told_to_the_server(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_request: Request) -> Response:
        raise ZeroDivisionError("a secret")

    monkeypatch.setitem(short_way._BY_PATH, "/v1/decisions", broken)
    transport = httpx.ASGITransport(api.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        answer = await client.post("/v1/decisions", content=b"{}", headers=INTERNAL)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    loud = httpx.ASGITransport(api.app)
    async with httpx.AsyncClient(transport=loud, base_url="http://service") as client:
        with pytest.raises(ZeroDivisionError):
            await client.post("/v1/decisions", content=b"{}", headers=INTERNAL)
