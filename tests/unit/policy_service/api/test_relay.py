import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from starlette.requests import Request

from llm_core.policy.caller import Caller
from llm_core.policy.decision import Decision, DecisionRequest
from policy_service.api import relay as module
from policy_service.services.reach import Reach
from policy_service.services.relay import StreamedAnswer
from tests.fakes.credentials import FakeCredentials
from tests.fakes.health import FakeHealth
from tests.fakes.providers import FakeAnswer, FakeProviders
from tests.fakes.running_service import INTERNAL, Api
from tests.fakes.samples import chat_body, chat_call, openai_answer, openai_events

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/relay/v1/chat/completions"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@pytest.fixture
def reaching(api: Api) -> Iterator[Callable[[FakeAnswer], FakeProviders]]:
    """Let the relay reach a provider that answers so, for one test."""
    real = api.opened.relay.reach

    def reach(answer: FakeAnswer) -> FakeProviders:
        providers = FakeProviders({"127.0.0.1": answer})
        object.__setattr__(
            api.opened.relay,
            "reach",
            Reach(providers, FakeCredentials({"openai": "sk-test"}), FakeHealth(), api.clock, 60),
        )
        return providers

    yield reach
    object.__setattr__(api.opened.relay, "reach", real)


async def ticket(api: Api, body: bytes) -> str:
    caller = msgspec.convert(await api.caller(), Caller)
    asked = msgspec.json.encode(DecisionRequest(caller, chat_call(body)))
    answer = await api.post("/v1/decisions", asked)
    return msgspec.json.decode(answer.content, type=Decision).ticket


@pytest.mark.parametrize(
    "path",
    ["/relay", "/relay/", CHAT, "/relay/v1/models", "/relay/v1/embeddings", "/relay/a/../b//c"],
)
@pytest.mark.parametrize("method", METHODS)
async def test_without_a_ticket_every_path_is_503(api: Api, path: str, method: str) -> None:
    for headers in ({}, INTERNAL, {"x-gatehouse-ticket": "gt1.dec_1.9.0"}):
        answer = await api.client.request(method, path, headers=headers, content=chat_body())
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        if method != "HEAD":
            assert answer.json()["error"]["code"] == "undecided"


async def test_a_body_that_is_too_long_is_not_read_to_its_end(api: Api) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 1_000_000:
            sent += 600
            yield b"x" * 600

    answer = await api.client.post(CHAT, content=endless())
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"
    assert sent <= 1800


async def test_with_its_ticket_a_call_is_served(
    api: Api, reaching: Callable[[FakeAnswer], FakeProviders]
) -> None:
    reaching(FakeAnswer([openai_answer("hello")]))
    body = chat_body()
    headers = {"x-gatehouse-ticket": await ticket(api, body)}
    answer = await api.client.post(CHAT, content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-gatehouse-decision-id"].startswith("dec_")
    again = await api.client.post(CHAT, content=body, headers=headers)
    assert again.status_code == 503


async def test_a_stream_is_sent_as_events(
    api: Api, reaching: Callable[[FakeAnswer], FakeProviders]
) -> None:
    reaching(FakeAnswer(openai_events("hel", "lo")))
    body = chat_body(stream=True)
    headers = {"x-gatehouse-ticket": await ticket(api, body)}
    answer = await api.client.post(CHAT, content=body, headers=headers)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text.endswith("data: [DONE]\n\n")
    assert "hel" in answer.text


async def test_a_provider_that_cannot_be_reached_is_502_in_openais_shape(api: Api) -> None:
    """Nothing listens on the catalogue's port 9."""
    body = chat_body()
    headers = {"x-gatehouse-ticket": await ticket(api, body)}
    answer = await api.client.post(CHAT, content=body, headers=headers)
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "provider_unavailable"
    assert "127.0.0.1" not in answer.text


class Closing:
    """An event stream that notes whether it was closed."""

    def __init__(self) -> None:
        self.is_closed = False

    def __aiter__(self) -> "Closing":
        return self

    async def __anext__(self) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def aclose(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("version", ["2.3", "2.4"], ids=["uvicorn", "newer servers"])
async def test_a_client_that_left_before_the_stream_began_still_ends_it(version: str) -> None:
    """Starlette then never iterates the stream, and nothing would be booked."""
    events = Closing()
    answer = module._EventStream(StreamedAnswer(events, {}))  # type: ignore[arg-type]

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(_message: Any) -> None:
        if version == "2.4":
            raise OSError("the client has left")
        await asyncio.sleep(0)

    scope = {"type": "http", "asgi": {"spec_version": version}, "headers": [], "method": "POST"}
    try:
        async with asyncio.timeout(10):
            await answer(Request(scope).scope, receive, send)
    except Exception as left:  # noqa: BLE001 - how starlette says so is its business
        assert type(left).__name__ == "ClientDisconnect"  # noqa: PT017
    assert events.is_closed


async def test_the_decision_binds_the_body(
    api: Api, reaching: Callable[[FakeAnswer], FakeProviders]
) -> None:
    providers = reaching(FakeAnswer([openai_answer()]))
    headers = {"x-gatehouse-ticket": await ticket(api, chat_body())}
    other = chat_body(messages=[{"role": "user", "content": "something else"}])
    answer = await api.client.post(CHAT, content=other, headers=headers)
    assert answer.status_code == 503
    assert providers.sent == []
