"""The chain reaches a file, a webhook and syslog: in order, whole, whatever breaks meanwhile."""

import asyncio
import hmac
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_core.audit.event import Checkpoint, Event, Header
from llm_core.audit.verify import Verifier, verify_lines
from policy_service.adapters.sinks import FileSink, SyslogSink, WebhookSink, open_sink
from policy_service.adapters.sinks.syslog import message
from policy_service.adapters.sinks.webhook import signature
from policy_service.adapters.sql.audit_chain import SqlAuditChain
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.schema import upgrade
from policy_service.ports.audit import Noted, Sink, SinkUnavailable
from policy_service.services.shipping import Shipper
from tests.fakes.audit_chains import STARTED, chain_of, checkpoint, key_pair, new_event
from tests.fakes.clock import FakeClock
from tests.fixtures.services import free_port

SECRET = "webhook-secret-0123456789"
EVENTS = chain_of(new_event(number) for number in range(1, 4))


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(f"sqlite:///{tmp_path}/gatehouse.db")
    await upgrade(engine)
    yield engine
    await engine.dispose()


def shipper(engine: AsyncEngine, sink: Sink, owner: str = "us") -> Shipper:
    chain = SqlAuditChain(engine, lambda: STARTED)
    return Shipper(chain, chain, sink, FakeClock(), owner)


async def add(engine: AsyncEngine, *numbers: int) -> None:
    await SqlAuditChain(engine, lambda: STARTED).append([Noted(new_event(n)) for n in numbers])


async def ship_all(shipping: Shipper) -> None:
    while await shipping.step():
        pass


class Receiver:
    """A webhook's other side; answers what it is told to."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.bodies: list[bytes] = []
        self.signatures: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        status = self.answers.pop(0) if self.answers else 200
        body = await request.read()
        if status == 200:
            self.bodies.append(body)
            self.signatures.append(request.headers["x-gatehouse-signature"])
        return web.Response(status=status)


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    receiver, port = Receiver(), free_port()
    app = web.Application()
    app.router.add_post("/audit", receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield receiver, f"http://127.0.0.1:{port}/audit"
    await runner.cleanup()


async def test_what_is_in_the_file_verifies_and_a_rotated_file_is_made_anew(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    signer, keys = key_pair()
    file = tmp_path / "audit.jsonl"
    shipping = shipper(engine, FileSink("file", file))
    await add(engine, 1, 2)
    await ship_all(shipping)
    file.rename(tmp_path / "audit.jsonl.1")
    await add(engine, 3)
    chain = SqlAuditChain(engine, lambda: STARTED)
    await chain.seal(signer, STARTED, least=1, age_s=0)
    await ship_all(shipping)
    both = (tmp_path / "audit.jsonl.1").read_bytes() + file.read_bytes()
    verifier = Verifier(lambda one: keys.is_genuine(one.key_id, one.signed_bytes, one.signature))
    list(verify_lines(both.splitlines(), verifier))
    assert verifier.finish() == ()
    assert verifier.chains[0].sealed == 3


async def test_half_a_line_of_a_full_disk_spoils_no_other(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_bytes(b'{"type":"event","cha')
    await FileSink("file", file).send(EVENTS[:1])
    half, whole = file.read_bytes().splitlines()
    assert msgspec.json.decode(whole, type=Event) == EVENTS[0]
    assert half.startswith(b'{"type"')
    with pytest.raises(SinkUnavailable):
        await FileSink("file", tmp_path / "missing" / "audit.jsonl").send(EVENTS)


async def test_a_webhook_that_fails_gets_everything_in_order_afterwards(
    engine: AsyncEngine, receiver: tuple[Receiver, str]
) -> None:
    there, url = receiver
    sink = WebhookSink("webhook", url, SECRET)
    shipping = shipper(engine, sink)
    await add(engine, 1, 2)
    there.answers = [503, 500]
    for _ in range(2):
        with pytest.raises(SinkUnavailable, match="it answered 50"):
            await shipping.step()
    await ship_all(shipping)
    await add(engine, 3)
    await ship_all(shipping)
    await sink.close()
    lines = b"".join(there.bodies).splitlines()
    assert [msgspec.json.decode(line, type=Event).seq for line in lines] == [1, 2, 3]
    for body, sent in zip(there.bodies, there.signatures, strict=True):
        at_s = int(sent.partition(",")[0].removeprefix("t="))
        assert hmac.compare_digest(sent, signature(SECRET.encode(), at_s, body))


async def test_a_webhook_that_is_not_there_is_unavailable_and_its_address_is_no_ones_to_know() -> (
    None
):
    sink = open_sink(f"http://127.0.0.1:{free_port()}/hooks/very-secret-token", SECRET)
    assert "very-secret-token" not in sink.name
    with pytest.raises(SinkUnavailable) as told:
        await sink.send(EVENTS)
    assert "very-secret-token" not in str(told.value)
    await sink.close()


async def test_of_two_processes_one_ships(engine: AsyncEngine, tmp_path: Path) -> None:
    sink = FileSink("file", tmp_path / "audit.jsonl")
    first, second = shipper(engine, sink, "first"), shipper(engine, sink, "second")
    await add(engine, 1)
    assert await first.step() == 1
    assert await second.step() is None


async def test_shipping_goes_on_by_itself_after_an_outage(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    class Stumbling(FileSink):
        failures = 1
        came = asyncio.Event()

        async def send(self, lines: object) -> None:
            if self.failures:
                self.failures -= 1
                raise SinkUnavailable("not now")
            await super().send(lines)  # type: ignore[arg-type]
            self.came.set()

    sink = Stumbling("file", tmp_path / "audit.jsonl")
    await add(engine, 1, 2)
    task = asyncio.create_task(shipper(engine, sink).run())
    async with asyncio.timeout(20):
        await sink.came.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert len((tmp_path / "audit.jsonl").read_bytes().splitlines()) == 2


# --- syslog


@contextmanager
def datagrams(family: int, address: object) -> Iterator[socket.socket]:
    with socket.socket(family, socket.SOCK_DGRAM) as receiving:
        receiving.settimeout(10)
        receiving.bind(address)  # type: ignore[arg-type]
        yield receiving


def test_a_message_is_rfc_5424s() -> None:
    """https://datatracker.ietf.org/doc/html/rfc5424#section-6 (checked 2026-11-29)."""
    head, line = message(EVENTS[0], "host").split(b" - ", 1)
    priority, at, host, app, process, kind = head.split(b" ")
    assert (priority, host, app, kind) == (b"<110>1", b"host", b"gatehouse", b"decision")
    assert at == EVENTS[0].at.encode()
    assert process.isdigit()
    assert msgspec.json.decode(line, type=Event) == EVENTS[0]
    assert b" checkpoint - " in message(checkpoint(EVENTS[0]), "host")


async def test_syslog_by_udp_and_by_a_unix_socket(tmp_path: Path) -> None:
    port = free_port()
    with datagrams(socket.AF_INET, ("127.0.0.1", port)) as receiving:
        sink = open_sink(f"syslog+udp://127.0.0.1:{port}", None)
        await sink.send(EVENTS)
        got = [receiving.recv(65536) for _ in EVENTS]
    assert [one[:6] for one in got] == [b"<110>1"] * 3
    path = str(tmp_path / "log")
    with datagrams(socket.AF_UNIX, path) as receiving:
        sink = open_sink(f"syslog+unix://{path}", None)
        await sink.send(EVENTS[:1])
        assert EVENTS[0].hash.encode() in receiving.recv(65536)
    with pytest.raises(SinkUnavailable):
        await open_sink(f"syslog+unix://{tmp_path}/missing", None).send(EVENTS)


async def test_syslog_by_tcp_counts_octets_and_connects_anew() -> None:
    got: asyncio.Queue[bytes] = asyncio.Queue()
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(asyncio.IncompleteReadError):
            while True:
                length = int(await reader.readuntil(b" "))
                got.put_nowait(await reader.readexactly(length))

    port = free_port()
    sink = SyslogSink("syslog", "tcp", ("127.0.0.1", port))
    with pytest.raises(SinkUnavailable):
        await sink.send(EVENTS)
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with asyncio.timeout(20):
        await sink.send(EVENTS)
        assert [await got.get() for _ in EVENTS]
        writers[0].close()  # the receiver was stopped, and is back
        await writers[0].wait_closed()
        await asyncio.sleep(0.05)
        await sink.send(EVENTS[:1])
        assert EVENTS[0].hash.encode() in await got.get()
    await sink.close()
    server.close()
    for writer in writers[1:]:
        writer.close()
        await writer.wait_closed()
    await server.wait_closed()


@pytest.mark.parametrize(
    "address",
    ["ftp://host/x", "file://host/x", "syslog://host", "syslog+udp:///x", "https:///x", "nonsense"],
)
def test_an_address_that_is_none_is_refused_without_being_quoted(address: str) -> None:
    with pytest.raises(ValueError, match="POLICY_AUDIT_SHIP") as told:
        open_sink(address, SECRET)
    assert address not in str(told.value)


def test_a_webhook_needs_a_secret() -> None:
    with pytest.raises(ValueError, match="POLICY_AUDIT_WEBHOOK_SECRET"):
        open_sink("https://siem.example/audit", None)


def test_lines_can_be_told_apart_by_their_type() -> None:
    line = msgspec.json.encode(checkpoint(EVENTS[0]))
    assert isinstance(msgspec.json.decode(line, type=Header | Event | Checkpoint), Checkpoint)
