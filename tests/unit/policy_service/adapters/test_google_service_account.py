import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt as google_jwt

from llm_core.errors import ProviderUnavailable
from policy_service.adapters.google_service_account import GRANT_TYPE, GoogleServiceAccounts
from sandbox.server import running

NOW = datetime.now(UTC).replace(microsecond=0)
EMAIL = "gateway@example-project.iam.gserviceaccount.com"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture
async def accounts() -> AsyncIterator[GoogleServiceAccounts]:
    made = GoogleServiceAccounts(timeout_s=5)
    yield made
    await made.close()


def secret(pem: str, token_uri: str) -> str:
    return json.dumps(
        {
            "type": "service_account",
            "client_email": EMAIL,
            "private_key": pem,
            "private_key_id": "key-1",
            "token_uri": token_uri,
        }
    )


class TokenServer:
    """A server that answers as it is told and remembers what it was sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.status = 200
        self.answer: Any = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.has_been_asked = asyncio.Event()
        self.url = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["TokenServer"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/token"
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        self.bodies.append(await reader.readexactly(length))
        self.has_been_asked.set()
        await self.may_answer.wait()
        token = {"access_token": f"ya29.{len(self.bodies)}", "expires_in": 3600}
        body = json.dumps(token if self.answer is None else self.answer).encode()
        writer.write(
            f"HTTP/1.1 {self.status} X\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    async with TokenServer().listening() as server:
        yield server


async def test_the_sandboxs_token_server_gives_a_token(
    accounts: GoogleServiceAccounts, sandbox: str, pem: str
):
    headers = await accounts.headers(secret(pem, f"{sandbox}/google/token"), NOW)
    assert headers["authorization"].startswith("Bearer ya29.sandbox-")
    path = "projects/p/locations/l/publishers/google/models/gemini-3.5-flash:generateContent"
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            f"{sandbox}/vertex/v1/{path}",
            headers=headers,
            json={"contents": [{"parts": [{"text": "hi"}]}]},
        )
    assert answer.status_code == 200


async def test_the_assertion_is_one_that_googles_own_library_verifies(
    accounts: GoogleServiceAccounts, server: TokenServer, key: rsa.RSAPrivateKey, pem: str
):
    await accounts.headers(secret(pem, server.url), NOW)
    form = dict(httpx.QueryParams(server.bodies[0].decode()))
    assert form["grant_type"] == GRANT_TYPE
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    verify: Callable[..., dict[str, Any]] = google_jwt.decode
    claims = verify(form["assertion"], certs={"key-1": public}, audience=server.url)
    assert claims["iss"] == EMAIL
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"


async def test_a_token_is_kept_until_shortly_before_its_end(
    accounts: GoogleServiceAccounts, server: TokenServer, pem: str
):
    text = secret(pem, server.url)
    first = await accounts.headers(text, NOW)
    assert await accounts.headers(text, NOW + timedelta(minutes=54)) == first
    second = await accounts.headers(text, NOW + timedelta(minutes=56))
    assert second != first
    assert len(server.bodies) == 2


async def test_accounts_do_not_share_a_token(
    accounts: GoogleServiceAccounts, server: TokenServer, pem: str
):
    first = await accounts.headers(secret(pem, server.url), NOW)
    second = await accounts.headers(secret(pem, f"{server.url}?other"), NOW)
    assert first != second


async def test_many_callers_share_one_fetch_and_one_that_leaves_does_not_end_it(
    accounts: GoogleServiceAccounts, server: TokenServer, pem: str
):
    server.may_answer.clear()
    text = secret(pem, server.url)
    first = asyncio.create_task(accounts.headers(text, NOW))
    others = [asyncio.create_task(accounts.headers(text, NOW)) for _ in range(20)]
    await asyncio.wait_for(server.has_been_asked.wait(), 10)
    first.cancel()
    server.may_answer.set()
    answers = await asyncio.gather(*others)
    assert first.cancelled() or first.cancelling()
    assert {one["authorization"] for one in answers} == {"Bearer ya29.1"}
    assert len(server.bodies) == 1


async def test_a_failing_renewal_does_no_harm_while_the_token_is_good(
    accounts: GoogleServiceAccounts, server: TokenServer, pem: str
):
    text = secret(pem, server.url)
    first = await accounts.headers(text, NOW)
    server.status = 503
    assert await accounts.headers(text, NOW + timedelta(minutes=57)) == first
    with pytest.raises(ProviderUnavailable):
        await accounts.headers(text, NOW + timedelta(minutes=60))


async def test_a_failure_is_not_kept(
    accounts: GoogleServiceAccounts, server: TokenServer, pem: str
):
    server.status = 500
    with pytest.raises(ProviderUnavailable, match="500"):
        await accounts.headers(secret(pem, server.url), NOW)
    server.status = 200
    assert await accounts.headers(secret(pem, server.url), NOW)


@pytest.mark.parametrize(
    "answered",
    [
        (400, {"error": "invalid_grant", "error_description": "Invalid JWT"}, "invalid_grant"),
        (400, {"error": "-----BEGIN PRIVATE KEY-----"}, "400"),
        (401, "text", "401"),
        (200, {"token_type": "Bearer"}, "without a token"),
        (200, {"access_token": "x", "expires_in": "soon"}, "without a token"),
        (200, [], "without a token"),
    ],
)
async def test_what_is_no_token_is_said_without_quoting(
    accounts: GoogleServiceAccounts,
    server: TokenServer,
    pem: str,
    answered: tuple[int, Any, str],
):
    server.status, server.answer, said = answered
    with pytest.raises(ProviderUnavailable, match=said) as raised:
        await accounts.headers(secret(pem, server.url), NOW)
    assert "PRIVATE" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AIza-key",
        "[]",
        '{"client_email": "a"}',
        secret("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n", "https://oauth2.googleapis.com/token"),
        secret("secret", "https://oauth2.googleapis.com/token"),
        secret("secret", "http://metadata.internal/token"),
        secret("secret", "nonsense"),
    ],
)
async def test_a_credential_that_is_no_key_is_said_without_quoting(
    accounts: GoogleServiceAccounts, text: str
):
    with pytest.raises(ProviderUnavailable) as raised:
        await accounts.headers(text, NOW)
    assert "c2VjcmV0" not in str(raised.value)
    assert "secret" not in str(raised.value)


async def test_a_token_server_that_is_not_there_is_said(accounts: GoogleServiceAccounts, pem: str):
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        await accounts.headers(secret(pem, "http://127.0.0.1:1/token"), NOW)
