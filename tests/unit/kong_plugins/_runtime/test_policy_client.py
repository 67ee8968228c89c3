"""The client against a server on a real socket, whose every answer the test writes itself."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from kong_plugins._runtime.policy_client import (
    ChangeEvent,
    PolicyClient,
)
from llm_core.errors import PolicyUnavailable
from llm_core.operation import Operation
from llm_core.policy.call import Call
from llm_core.policy.caller import Caller, ProofOfIdentity
from llm_core.policy.credential import Credential, KongConsumer
from llm_core.policy.decision import Decision, DecisionRequest, Transport, UsageReport

SECRET = "internal-secret-of-the-test"
CALLER = {"organisation": "acme", "department": "r", "team": "search", "proof": "api_key"}
DECISION = {"decision_id": "d-1", "policy_revision": "r-1", "transport": "direct"}
REQUEST = DecisionRequest(
    Caller("acme", "r", "search", ProofOfIdentity.API_KEY), Call(Operation.CHAT_COMPLETIONS, "m")
)
REPORT = UsageReport("openai-1", Transport.DIRECT, 200)


@dataclass
class Asked:
    """A request as it arrived."""

    connection: int
    line: str
    headers: dict[str, str]
    body: dict


@dataclass
class Service:
    """Answers with what the test puts into `answers`, then with the last one again."""

    url: str = ""
    answers: list[bytes | None] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    hang_up: Callable[[], Awaitable[None]] | None = None
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self._writers.append(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *rest = head.strip().split("\r\n")
                headers = {k.lower(): v for k, v in (one.split(": ", 1) for one in rest)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.asked.append(Asked(number, line, headers, json.loads(body or b"{}")))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def close_connections(self) -> None:
        for writer in self._writers:
            writer.close()


def answer(status: int, body: object) -> bytes:
    content = json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(content), content)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    made = Service()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    made.close_connections()
    server.close()
    await server.wait_closed()


@pytest.fixture
async def client(service: Service) -> AsyncIterator[PolicyClient]:
    made = PolicyClient(service.url, SECRET, 5.0)
    yield made
    await made.close()


async def test_a_caller_is_found_by_key(service: Service, client: PolicyClient):
    service.answers = [answer(200, {"caller": CALLER})]
    identity = await client.identify(Credential(api_key="sk-1"))
    assert identity.caller == Caller("acme", "r", "search", ProofOfIdentity.API_KEY)
    (asked,) = service.asked
    assert asked.line == "POST /v1/callers/identify HTTP/1.1"
    assert asked.body == {"api_key": "sk-1"}
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    assert asked.headers["content-type"] == "application/json"


async def test_a_caller_is_found_by_consumer(service: Service, client: PolicyClient):
    service.answers = [answer(200, {"caller": None, "unknown": "unplaced", "detail": "d"})]
    identity = await client.identify(Credential(consumer=KongConsumer("u", None, ("g",))))
    assert (identity.caller, identity.unknown, identity.detail) == (None, "unplaced", "d")
    assert service.asked[0].body == {
        "consumer": {"username": "u", "custom_id": None, "groups": ["g"]}
    }


async def test_a_caller_is_found_by_token_and_the_tokens_end_is_told(
    service: Service, client: PolicyClient
):
    service.answers = [answer(200, {"caller": CALLER, "valid_until": "2026-11-21T10:00:00Z"})]
    identity = await client.identify(Credential(token="a.b.c"))
    assert identity.valid_until == datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert service.asked[0].body == {"token": "a.b.c"}


@pytest.mark.parametrize("credential", [Credential(), Credential(api_key="k", token="t")])
async def test_identify_takes_exactly_one_credential(client: PolicyClient, credential: Credential):
    with pytest.raises(ValueError, match="an API key, a token or a consumer"):
        await client.identify(credential)


def test_a_credential_is_not_shown():
    assert "gk-1" not in f"{Credential(api_key='gk-1')}"


async def test_a_trace_goes_along_with_questions_that_have_one(
    service: Service, client: PolicyClient
):
    service.answers = [answer(200, DECISION), answer(200, {"outcome": "settled"})]
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await client.decide(REQUEST, traceparent=trace)
    await client.report("d-1", REPORT, traceparent=trace)
    await client.report("d-1", REPORT)
    assert [asked.headers.get("traceparent") for asked in service.asked] == [trace, trace, None]
    assert all(asked.headers["authorization"] == f"Bearer {SECRET}" for asked in service.asked)


async def test_changes_come_line_by_line_until_the_service_ends_the_stream(
    service: Service, client: PolicyClient
):
    lines = b'{"event":"hello"}\n{"event":"key","key_id":"key_1"}\n{"event":"new","x":1}\n'
    head = b"HTTP/1.1 200 X\r\ncontent-length: %d\r\n\r\n" % len(lines)
    service.answers = [head + lines]
    told = [event async for event in client.changes(silence_s=5)]
    assert told == [ChangeEvent("hello"), ChangeEvent("key", "key_1"), ChangeEvent("new")]
    assert service.asked[0].line == "GET /v1/callers/changes HTTP/1.1"


@pytest.mark.parametrize(
    "given",
    [
        answer(503, {}),
        answer(401, {}),
        None,
        b"HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nnonsense\n",
        b"HTTP/1.1 200 X\r\ncontent-length: 99\r\n\r\n",
    ],
    ids=["503", "401", "hangs up", "nonsense", "silence"],
)
async def test_a_stream_that_is_none_is_policy_unavailable(
    service: Service, client: PolicyClient, given: bytes | None
):
    service.answers = [given]
    with pytest.raises(PolicyUnavailable):
        async for _ in client.changes(silence_s=0.1):
            pass


async def test_a_call_is_decided(service: Service, client: PolicyClient):
    service.answers = [answer(200, DECISION)]
    decision = await client.decide(REQUEST)
    assert decision == Decision("d-1", "r-1", transport=Transport.DIRECT)
    assert service.asked[0].body["call"]["asked_model"] == "m"


async def test_usage_is_reported_under_the_decisions_name(service: Service, client: PolicyClient):
    service.answers = [answer(200, {"outcome": "settled"})]
    await client.report("d/1 x", REPORT)
    assert service.asked[0].line == "POST /v1/decisions/d%2F1%20x/usage HTTP/1.1"
    assert service.asked[0].body["http_status"] == 200


async def test_one_connection_serves_many_questions(service: Service, client: PolicyClient):
    service.answers = [answer(200, DECISION)]
    for _ in range(5):
        await client.decide(REQUEST)
    assert service.connections == 1


async def test_a_connection_that_the_service_closed_is_replaced(
    service: Service, client: PolicyClient
):
    service.answers = [answer(200, DECISION), None, answer(200, DECISION)]
    await client.decide(REQUEST)
    assert (await client.decide(REQUEST)).decision_id == "d-1"
    assert [asked.connection for asked in service.asked] == [1, 1, 2]


async def test_a_service_that_always_hangs_up_is_asked_twice_and_no_more(
    service: Service, client: PolicyClient
):
    service.answers = [None]
    with pytest.raises(PolicyUnavailable):
        await client.decide(REQUEST)
    assert len(service.asked) == 2


@pytest.mark.parametrize(
    "given",
    [
        answer(500, {"error": {}}),
        answer(503, {}),
        answer(404, {}),
        answer(302, {}),
        answer(200, {"decision_id": 7}),
        answer(200, []),
        b"HTTP/1.1 200 X\r\ncontent-length: 5\r\n\r\n{{{{{",
        b"nonsense\r\n\r\n",
    ],
)
async def test_every_other_answer_is_policy_unavailable(
    service: Service, client: PolicyClient, given: bytes
):
    service.answers = [given]
    with pytest.raises(PolicyUnavailable) as error:
        await client.decide(REQUEST)
    assert error.value.public_message == "The policy service is not available."


async def test_a_service_that_is_not_there_is_policy_unavailable(service: Service):
    nowhere = PolicyClient("http://127.0.0.1:1", SECRET, 5.0)
    for question in (
        nowhere.identify(Credential(api_key="k")),
        nowhere.decide(REQUEST),
        nowhere.report("d", REPORT),
    ):
        with pytest.raises(PolicyUnavailable):
            await question
    await nowhere.close()


async def test_a_slow_service_is_policy_unavailable(service: Service):
    service.answers = [b""]  # it reads the question and never answers
    slow = PolicyClient(service.url, SECRET, 0.1)
    with pytest.raises(PolicyUnavailable):
        await slow.decide(REQUEST)
    await slow.close()


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_secret_is_told_once_with_what_to_do(
    service: Service, client: PolicyClient, caplog: pytest.LogCaptureFixture, status: int
):
    service.answers = [answer(status, {})]
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            with pytest.raises(PolicyUnavailable):
                await client.decide(REQUEST)
    assert caplog.text.count("refuses the internal secret") == 1
    assert "the same secret" in caplog.text
    assert SECRET not in caplog.text


async def test_a_closed_client_is_policy_unavailable(client: PolicyClient):
    await client.close()
    with pytest.raises(PolicyUnavailable):
        await client.decide(REQUEST)


def test_a_url_without_a_scheme_is_refused():
    with pytest.raises(ValueError, match="http"):
        PolicyClient("policy:8080", SECRET, 1.0)
