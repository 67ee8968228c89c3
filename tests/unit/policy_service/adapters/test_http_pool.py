"""Connections are lent, not shared: no call can harm another's, also where HTTP/2 is spoken."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, StreamEnded

from llm_core.errors import ProviderTimeout
from llm_core.providers.translator import ProviderRequest
from policy_service.adapters.http_pool import ConnectionPool
from policy_service.adapters.http_providers import HttpProviders
from policy_service.ports.providers import ProviderAnswer

PATIENCE_S = 20.0


@dataclass
class Http2Server:
    """Answers every call's head and a word, and ends what the test does not leave open.

    Args:
        leaves_open: Whether answers go on for ever.
        says_nothing: Calls are not answered at all.
        gone: How many connections their client has closed.
    """

    url: str = ""
    leaves_open: bool = False
    says_nothing: bool = False
    connections: int = 0
    gone: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        speaking = H2Connection(H2Configuration(client_side=False))
        speaking.initiate_connection()
        try:
            while received := await self._flushed_and_read(speaking, reader, writer):
                for event in speaking.receive_data(received):
                    self._heed(speaking, event)
        except ConnectionError:
            pass
        finally:
            self.gone.put_nowait(None)
            writer.close()

    async def _flushed_and_read(
        self, speaking: H2Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        writer.write(speaking.data_to_send())
        await writer.drain()
        return await reader.read(65_536)

    def _heed(self, speaking: H2Connection, event: Event) -> None:
        if isinstance(event, DataReceived):
            speaking.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded) and not self.says_nothing:
            speaking.send_headers(event.stream_id, [(":status", "200")])
            speaking.send_data(event.stream_id, b"word", end_stream=not self.leaves_open)
        elif isinstance(event, ConnectionTerminated):
            speaking.close_connection()


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Http2Server]:
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trusted.load_cert_chain(certificate(tmp_path))
    trusted.set_alpn_protocols(["h2"])
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    made = Http2Server()
    async with listening(made.serve, trusted) as port:
        made.url = f"https://127.0.0.1:{port}/v1/chat"
        yield made


@pytest.fixture
async def providers(server: Http2Server) -> AsyncIterator[HttpProviders]:
    """Made when the server's certificate is trusted."""
    made = HttpProviders(idle_timeout_s=10)
    yield made
    await made.close()


def certificate(folder: Path) -> Path:
    """A self-signed certificate of 127.0.0.1 and its key, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    trusted: ssl.SSLContext,
) -> AsyncIterator[int]:
    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=trusted)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


def request(server: Http2Server) -> ProviderRequest:
    return ProviderRequest(server.url, {"content-type": "application/json"}, b"{}")


async def read(answer: ProviderAnswer) -> bytes:
    body = b"".join([piece async for piece in answer.chunks()])
    await answer.close()
    return body


async def test_http_2_is_spoken_where_it_is_offered_and_a_connection_is_used_again(
    server: Http2Server, providers: HttpProviders
) -> None:
    for _ in range(3):  # the server speaks nothing else
        assert await read(await providers.send(request(server), {}, PATIENCE_S)) == b"word"
    assert server.connections == 1


async def test_a_call_that_is_given_up_is_hung_up_on(
    server: Http2Server, providers: HttpProviders
) -> None:
    """Else the provider writes on, and is paid for it."""
    server.leaves_open = True
    answer = await providers.send(request(server), {}, PATIENCE_S)
    assert await anext(aiter(answer.chunks())) == b"word"
    await answer.close()
    async with asyncio.timeout(PATIENCE_S):
        await server.gone.get()


async def test_one_calls_timeout_is_no_others(
    server: Http2Server, providers: HttpProviders
) -> None:
    server.leaves_open = True
    other = await providers.send(request(server), {}, PATIENCE_S)
    words = aiter(other.chunks())
    assert await anext(words) == b"word"
    server.says_nothing = True
    with pytest.raises(ProviderTimeout):
        await providers.send(request(server), {}, 0.1)
    waiting = asyncio.ensure_future(anext(words))
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert not done  # it waits for its next word as if nothing had happened
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await other.close()


async def test_connections_that_nobody_uses_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = ConnectionPool(httpx.create_ssl_context())
    first, second = await pool.lend(), await pool.lend()
    await pool.give_back(first)
    monkeypatch.setattr("policy_service.adapters.http_pool._IDLE_S", -1.0)
    await pool.give_back(second)
    assert first.is_closed
    assert second.is_closed
    assert not (await pool.lend()).is_closed
    await pool.close()


async def test_a_pool_that_closes_closes_what_is_lent_as_well() -> None:
    pool = ConnectionPool(httpx.create_ssl_context())
    lent, idle = await pool.lend(), await pool.lend()
    await pool.give_back(idle)
    await pool.close()
    assert lent.is_closed
    assert idle.is_closed
