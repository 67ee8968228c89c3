"""Access tokens of Google service accounts: a signed assertion for a token that lives an hour.

The credential is the JSON text of the account's key, as the Google Cloud console hands it out.

Source:
    https://developers.google.com/identity/protocols/oauth2/service-account#httprest
    (checked 2026-11-20)
    https://www.rfc-editor.org/rfc/rfc7523 (checked 2026-11-20)
"""

import asyncio
import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import msgspec

from llm_core.chat.encoding import decode_object
from llm_core.errors import ProviderUnavailable

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""Vertex AI's own; what the account may do is decided by its roles."""

_ASSERTION_LIFE = timedelta(hours=1)
_RENEWAL = timedelta(minutes=5)
"""How long before its end a token is renewed; until then a failing renewal does no harm."""
_MARGIN = timedelta(seconds=30)
"""A token is not sent in its last moments: it must still be good when it arrives."""
_TIMEOUT_S = 10.0
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class _Account:
    """The members of a key's JSON that are needed."""

    client_email: str
    private_key: str = field(repr=False)
    private_key_id: str
    token_uri: str


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    expires_at: datetime


class GoogleServiceAccounts:
    """Keeps a token for each account; the secrets themselves are not kept."""

    def __init__(self, timeout_s: float = _TIMEOUT_S) -> None:
        """Start without tokens.

        Args:
            timeout_s: Longest wait for each step of fetching one.
        """
        self._timeout_s = timeout_s
        self._client: asyncio.Task[httpx.AsyncClient] | None = None
        self._tokens: dict[str, _Token] = {}
        self._fetches: dict[str, asyncio.Task[_Token]] = {}

    async def headers(self, secret: str, now: datetime) -> dict[str, str]:
        """Give the header of a call.

        Args:
            secret: JSON text of the account's key.
            now: UTC.

        Raises:
            ProviderUnavailable: There is no token to be had. The message quotes no secret.
        """
        account = hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
        token = self._tokens.get(account)
        if token is None or now >= token.expires_at - _RENEWAL:
            try:
                token = await self._fetched(account, secret, now)
            except ProviderUnavailable:
                if token is None or now >= token.expires_at - _MARGIN:
                    raise
        return {"authorization": f"Bearer {token.value}"}

    async def close(self) -> None:
        """End what is under way, and close the connections."""
        for fetch in list(self._fetches.values()):
            fetch.cancel()
        await asyncio.gather(*self._fetches.values(), return_exceptions=True)
        if self._client is not None:
            with suppress(OSError, ValueError):
                await (await self._client).aclose()

    async def _fetched(self, account: str, secret: str, now: datetime) -> _Token:
        fetch = self._fetches.get(account)
        if fetch is None:
            fetch = asyncio.create_task(self._fetch(account, secret, now))
            self._fetches[account] = fetch
            fetch.add_done_callback(lambda done: self._forget(account, done))
        # Others wait for the same answer: a caller that goes away must not end it for them.
        return await asyncio.shield(fetch)

    async def _opened(self) -> httpx.AsyncClient:
        """The connections; to read whom it trusts takes a new client a tenth of a second."""
        if self._client is None:
            self._client = asyncio.create_task(asyncio.to_thread(self._open))
        try:
            return await asyncio.shield(self._client)
        except (OSError, ValueError) as fault:  # of the machine's certificates, or its proxy
            self._client = None
            raise ProviderUnavailable("Google's token server cannot be asked.") from fault

    def _open(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=self._timeout_s, follow_redirects=False)

    def _forget(self, account: str, fetch: asyncio.Task[_Token]) -> None:
        del self._fetches[account]
        if not fetch.cancelled():
            # Looked at, for when every caller has gone away.
            fetch.exception()

    async def _fetch(self, account: str, secret: str, now: datetime) -> _Token:
        key = _account(secret)
        form = {"grant_type": GRANT_TYPE, "assertion": _assertion(key, now)}
        try:
            client = await self._opened()
            answer = await client.post(key.token_uri, data=form)
        except (httpx.HTTPError, httpx.InvalidURL):
            raise ProviderUnavailable(
                "Google's token server cannot be reached for the service account."
            ) from None
        token = _token(answer, now)
        self._tokens[account] = token
        return token


def _account(secret: str) -> _Account:
    try:
        account = msgspec.json.decode(secret, type=_Account)
    except (msgspec.DecodeError, UnicodeError):
        raise ProviderUnavailable(
            "The credential is no key of a Google service account; an administrator of this "
            "gateway has to mend it."
        ) from None
    address = urlsplit(account.token_uri)
    if address.scheme != "https" and address.hostname not in _LOOPBACK:
        raise ProviderUnavailable("The Google service account's token_uri is not https.")
    return account


def _assertion(account: _Account, now: datetime) -> str:
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": now,
        "exp": now + _ASSERTION_LIFE,
    }
    try:
        return jwt.encode(
            claims,
            account.private_key,
            algorithm="RS256",
            headers={"kid": account.private_key_id},
        )
    except (jwt.PyJWTError, ValueError, TypeError):
        # The library's message may quote the key.
        raise ProviderUnavailable(
            "The Google service account's private key cannot be read; an administrator of this "
            "gateway has to mend it."
        ) from None


def _token(answer: httpx.Response, now: datetime) -> _Token:
    body = _object(answer.content)
    if not answer.is_success:
        code = body.get("error")
        known = isinstance(code, str) and _ERROR_CODE.fullmatch(code)
        raise ProviderUnavailable(
            f"Google refuses the service account ({code if known else answer.status_code})."
        )
    value, lives_s = body.get("access_token"), body.get("expires_in")
    if not isinstance(value, str) or not value.isascii() or not isinstance(lives_s, int):
        raise ProviderUnavailable("Google's token server answered without a token.")
    return _Token(value, now + timedelta(seconds=lives_s))


def _object(body: bytes) -> dict[str, Any]:
    return decode_object(body) or {}
