"""Clients that take their time, at the port of a real service: `gatehouse serve`."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from policy_service.cli.demo import processes
from tests.fakes.running_service import ADMIN, INTERNAL, MODELS
from tests.fixtures.services import free_port

pytestmark = pytest.mark.integration

HOST = "127.0.0.1"
WITHIN_S = 60
"""For what ends after two seconds."""
HEAD = b" HTTP/1.1\r\nhost: service\r\n"
HEALTH = b"GET /healthz" + HEAD + b"\r\n"


def begun(path: str, *headers: str, length: int = 9, body: bytes = b"{") -> bytes:
    """A `POST` whose body is longer than what comes of it."""
    lines = "".join(f"{line}\r\n" for line in (*headers, f"content-length: {length}"))
    return f"POST {path}".encode() + HEAD + lines.encode() + b"\r\n" + body


def bearer(headers: dict[str, str]) -> str:
    return f"authorization: {headers['authorization']}"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("service")
    logs = folder / "logs"
    logs.mkdir()
    (folder / "models.yaml").write_text(yaml.safe_dump(MODELS))
    port = free_port()
    spec = processes.Spec(
        "policy",
        ("-m", "policy_service", "serve", "--port", str(port)),
        _settings(folder),
        f"http://{HOST}:{port}/readyz",
    )
    running = processes.start(spec, logs)
    try:
        processes.wait_ready(spec, running, logs, lambda _: None)
        yield port
    finally:
        processes.stop({"policy": running.pid})
        running.wait(10)
    assert "Traceback" not in "".join(log.read_text() for log in logs.iterdir())


def _settings(folder: Path) -> dict[str, str]:
    return {
        "POLICY_INTERNAL_SECRET": INTERNAL["authorization"].removeprefix("Bearer "),
        "POLICY_TICKET_SECRET": "ticket-0123456789abcdef",
        "POLICY_ADMIN_TOKEN": ADMIN["authorization"].removeprefix("Bearer "),
        "POLICY_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/gatehouse.db",
        "POLICY_MODELS_FILE": str(folder / "models.yaml"),
        "POLICY_CREDENTIALS__OPENAI": "sk-test",
        "POLICY_REQUEST_TIMEOUT_S": "2",
    }


async def all_of(port: int, sent: bytes) -> bytes:
    """What comes back until the service ends the connection, which we never do."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(sent)
    try:
        async with asyncio.timeout(WITHIN_S):
            return await reader.read()
    finally:
        writer.close()


def answers(received: bytes) -> list[tuple[int, dict[str, str], Any]]:
    """Status, headers and JSON of each answer."""
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = int(headers["content-length"])
        found.append((int(first.split()[1]), headers, json.loads(rest[:length])))
        received = rest[length:]
    return found


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (b"", []),
        (b"POST /v1/decisions" + HEAD, [408]),
        (HEALTH + b"POST /v1/decisions" + HEAD, [200, 408]),
        (begun("/v1/callers/identify", bearer(INTERNAL)), [408]),
        (begun("/admin/v1/keys", bearer(ADMIN)), [408]),
        (begun("/relay/v1/chat/completions"), [408]),
        (begun("/v1/callers/identify"), [401]),
        (HEALTH.removesuffix(b"\r\n") + b"content-length: 9\r\n\r\n{", [200]),
    ],
    ids=["nothing", "head", "next head", "body", "admin's", "relay's", "unread", "not wanted"],
)
async def test_a_request_that_does_not_come_to_its_end_is_ended(
    port: int, sent: bytes, statuses: list[int]
) -> None:
    told = answers(await all_of(port, sent))
    assert [status for status, _, _ in told] == statuses
    for status, headers, body in told:
        if status == 408:
            assert headers["connection"] == "close"
            assert body["error"]["code"] == "request_timeout"
            assert "did not come within 2 s" in body["error"]["message"]
            is_problem = headers["content-type"] == "application/problem+json"
            assert is_problem == (b"/admin/" in sent)


@pytest.mark.parametrize(
    "sent",
    [b"POST /v1/decisions" + HEAD, begun("/v1/callers/identify", bearer(INTERNAL), length=10**6)],
    ids=["head", "body"],
)
async def test_a_byte_now_and_then_puts_nothing_off(port: int, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(sent)

    async def trickle() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"a")
                await writer.drain()
                await asyncio.sleep(0.05)

    trickling = asyncio.create_task(trickle())
    async with asyncio.timeout(WITHIN_S):
        with contextlib.suppress(ConnectionError):
            await reader.read()
    trickling.cancel()
    writer.close()


async def test_answers_may_last_longer_than_requests(port: int) -> None:
    """A stream goes on, and so does a connection with request after request."""
    url = f"http://{HOST}:{port}"
    async with httpx.AsyncClient(base_url=url, timeout=WITHIN_S) as client:
        async with client.stream("GET", "/v1/callers/changes", headers=INTERNAL) as answer:
            lines = answer.aiter_lines()
            assert json.loads(await anext(lines)) == {"event": "hello"}
            assert await all_of(port, b"") == b"", "longer than any request may last"
            unit = "/admin/v1/organisation/parts/organisation:acme"
            assert (await client.put(unit, headers=ADMIN, json={})).is_success
            assert json.loads(await anext(lines))["event"] in {"all", "heartbeat"}
        reader, writer = await asyncio.open_connection(HOST, port)
        for _ in range(3):
            writer.write(HEALTH)
            async with asyncio.timeout(WITHIN_S):
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200")
                await reader.readuntil(b"}")
        writer.close()


async def test_a_connection_without_requests_is_kept_for_the_next_one(port: int) -> None:
    """For longer than uvicorn would keep it, and than a request may take."""
    reader, writer = await asyncio.open_connection(HOST, port)
    for pause_s in (6, 0):
        writer.write(HEALTH)
        async with asyncio.timeout(WITHIN_S):
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(pause_s)
    writer.close()


async def test_a_body_that_comes_after_its_answer_holds_no_connection(port: int) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    async with asyncio.timeout(WITHIN_S):
        writer.write(begun("/v1/callers/identify", length=5, body=b""))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 401")
        writer.write(b"later")
        await reader.read()
    writer.close()


async def test_headers_without_end_are_refused(port: int) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"GET /healthz" + HEAD + b"x: " + b"a" * 4 * 1024 * 1024)
    async with asyncio.timeout(WITHIN_S):
        try:
            told = await reader.read()
        except ConnectionError:  # it did not read what we had sent beyond its limit
            told = b""
    assert told == b"" or answers(told)[0][0] == 431
    writer.close()


async def test_what_comes_after_a_body_is_no_header(port: int) -> None:
    head = b"POST /v1/callers/identify" + HEAD + b"transfer-encoding: chunked\r\n"
    body = b"2\r\n{}\r\n0\r\n" + bearer(INTERNAL).encode() + b"\r\n\r\n"
    told = answers(await all_of(port, head + b"connection: close\r\n\r\n" + body))
    assert [status for status, _, _ in told] == [401]
