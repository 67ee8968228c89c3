"""The policy service, as the plugins see it.

Every failure is `PolicyUnavailable`: no decision means no. Paths and bodies stand in
`docs/architecture.md`.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec

from kong_plugins._runtime import measures
from llm_core.errors import PolicyUnavailable
from llm_core.policy.caller import Caller
from llm_core.policy.credential import Credential
from llm_core.policy.decision import Decision, DecisionRequest, UsageReport
from llm_core.policy.journal_standing import JOURNAL_HEADER, JournalStanding, written

_KEEPALIVE_S: Final = 4.0
"""Shorter than servers and balancers keep an idle connection, so that we let go first."""

_MAX_CONNECTIONS: Final = 256
_REPEAT_WARNING_S: Final = 60.0
_PUBLIC_MESSAGE: Final = "The policy service is not available."

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is behind a credential, or why nobody is known by it.

    Args:
        valid_until: When the credential ends, UTC; `None` for no end.
        unknown: Why, in a word; `mistyped` or `revoked` for example.
        detail: More about it, safe to show.
    """

    caller: Caller | None = None
    valid_until: datetime | None = None
    unknown: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """A line of the stream of changes.

    Args:
        event: `hello`, `key`, `all` or `heartbeat`; a newer service may send others.
        key_id: With `key`: which.
    """

    event: str
    key_id: str | None = None


class PolicyClient:
    """Asks the policy service; one per plugin instance, for one event loop.

    Args:
        base_url: `http://host:port`, without a path.
        secret: The internal secret, shared with the service; sent as a bearer token.
        timeout_s: Longest wait for one answer, connecting and a second try included.

    Raises:
        ValueError: `base_url` is not an HTTP URL.
    """

    def __init__(self, base_url: str, secret: str, timeout_s: float) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the policy service's URL must look like http://host:8100")
        self._base_url = base_url.rstrip("/")
        self._secret = secret
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False
        self._next_warning_at = 0.0

    async def identify(self, credential: Credential) -> Identity:
        """Find out who calls.

        Raises:
            PolicyUnavailable: No answer can be had.
        """
        named: dict[str, object | None] = {
            "api_key": credential.api_key,
            "token": credential.token,
            "consumer": credential.consumer,
        }
        asked = {name: value for name, value in named.items() if value is not None}
        if len(asked) != 1:
            raise ValueError("identify takes an API key, a token or a consumer")
        if credential.source_ip is not None:
            asked["source_ip"] = credential.source_ip
        return await self._post("/v1/callers/identify", asked, _decode_identity)

    async def changes(self, silence_s: float) -> AsyncIterator[ChangeEvent]:
        """What changes about callers, as it happens; ends when the service ends it.

        Args:
            silence_s: A stream that says nothing for longer is broken: heartbeats come more often.

        Raises:
            PolicyUnavailable: There is no stream, or it broke.
        """
        asking = self._open_session().get(
            f"{self._base_url}/v1/callers/changes",
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self._timeout_s, sock_read=silence_s
            ),
        )
        try:
            async with asking as response:
                if response.status != HTTPStatus.OK:
                    self._tell("/v1/callers/changes", response.status)
                    raise PolicyUnavailable(_PUBLIC_MESSAGE)
                async for line in response.content:
                    yield _decode_event(line)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            # A line that is too long, or of another form, is a `ValueError` each.
            raise PolicyUnavailable(_PUBLIC_MESSAGE) from error

    async def decide(self, request: DecisionRequest, *, traceparent: str | None = None) -> Decision:
        """Have a call decided and its worst case reserved; a refusal is a decision too.

        Args:
            request: What is to be decided.
            traceparent: The trace that it belongs to.

        Raises:
            PolicyUnavailable: No answer can be had.
        """
        headers = {"traceparent": traceparent} if traceparent else None
        return await self._post("/v1/decisions", request, _decode_decision, headers)

    async def report(
        self,
        decision_id: str,
        report: UsageReport,
        *,
        traceparent: str | None = None,
        journal: JournalStanding | None = None,
    ) -> str:
        """Say what became of an allowed call. Saying it twice does no harm.

        Args:
            decision_id: Which call.
            report: What became of it.
            traceparent: The trace that it belongs to.
            journal: How the journal of waiting reports stands, where there is something to say.

        Returns:
            `settled`, `already_settled`, or `unknown` when the service has no such decision.

        Raises:
            PolicyUnavailable: The report did not arrive, as far as we know.
        """
        path = f"/v1/decisions/{quote(decision_id, safe='')}/usage"
        headers = {"traceparent": traceparent} if traceparent else {}
        if journal is not None:
            headers[JOURNAL_HEADER] = written(journal)
        settled = await self._post(path, report, _decode_settled, headers)
        return settled.outcome

    async def close(self) -> None:
        """Let go of connections; every later question is `PolicyUnavailable`."""
        self._is_closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(
        self,
        path: str,
        body: object,
        decode: Callable[[bytes], T],
        headers: Mapping[str, str] | None = None,
    ) -> T:
        with measures.asking(path):
            return await self._asked(path, body, decode, headers)

    async def _asked(
        self,
        path: str,
        body: object,
        decode: Callable[[bytes], T],
        headers: Mapping[str, str] | None,
    ) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                status, content = await self._send(path, _encode(body), headers)
        except TimeoutError as error:
            _log.warning("%s: no answer within %.0f ms", path, self._timeout_s * 1000)
            raise PolicyUnavailable(_PUBLIC_MESSAGE) from error
        except aiohttp.ClientError as error:
            _log.warning("%s: %s", path, type(error).__name__)
            raise PolicyUnavailable(_PUBLIC_MESSAGE) from error
        if status != HTTPStatus.OK:
            self._tell(path, status)
            raise PolicyUnavailable(_PUBLIC_MESSAGE)
        try:
            return decode(content)
        except msgspec.MsgspecError as error:
            _log.error("%s: the answer has not the expected form", path)
            raise PolicyUnavailable(_PUBLIC_MESSAGE) from error

    async def _send(
        self, path: str, content: bytes, headers: Mapping[str, str] | None
    ) -> tuple[int, bytes]:
        try:
            return await self._send_once(path, content, headers)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            # The service closed a connection that had been idle, before it read the question.
            return await self._send_once(path, content, headers)

    async def _send_once(
        self, path: str, content: bytes, headers: Mapping[str, str] | None
    ) -> tuple[int, bytes]:
        asking = self._open_session().post(
            self._base_url + path, data=content, headers=headers, allow_redirects=False
        )
        async with asking as response:
            return response.status, await response.read()

    def _open_session(self) -> aiohttp.ClientSession:
        """The session is made here, for it belongs to the loop it is first used on."""
        if self._is_closed:
            raise PolicyUnavailable(_PUBLIC_MESSAGE)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={
                    "authorization": f"Bearer {self._secret}",
                    "content-type": "application/json",
                },
                skip_auto_headers=("accept", "accept-encoding", "user-agent"),
                timeout=aiohttp.ClientTimeout(total=None),  # `_post` has one around both tries
                connector=aiohttp.TCPConnector(
                    limit=_MAX_CONNECTIONS, keepalive_timeout=_KEEPALIVE_S
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,  # no proxy and no netrc between us and our own service
            )
        return self._session

    def _tell(self, path: str, status: int) -> None:
        if status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            _log.warning("%s: the policy service answered %d", path, status)
        elif time.monotonic() >= self._next_warning_at:
            self._next_warning_at = time.monotonic() + _REPEAT_WARNING_S
            _log.error(
                "the policy service refuses the internal secret (%d): give the plugin's "
                "configuration the same secret as the service's settings",
                status,
            )


@dataclass(frozen=True, slots=True)
class _Settled:
    outcome: str


_encode = msgspec.json.Encoder().encode
_decode_identity: Callable[[bytes], Identity] = msgspec.json.Decoder(Identity).decode
_decode_event: Callable[[bytes], ChangeEvent] = msgspec.json.Decoder(ChangeEvent).decode
_decode_decision: Callable[[bytes], Decision] = msgspec.json.Decoder(Decision).decode
_decode_settled: Callable[[bytes], _Settled] = msgspec.json.Decoder(_Settled).decode
