"""Talks to a policy service's admin API from the command line."""

import time
import uuid
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import msgspec

from policy_service.cli.signing_in import is_guarded
from policy_service.ports.organisation import Applied

_TIMEOUT_S = 30.0
_COMPANY_TIMEOUT_S = 600.0
"""A company of thousands of teams takes minutes, and its new keys are in that answer only."""
_TRIES = 4
"""Of a request whose answer was lost; with an idempotency key nothing is done twice."""
_LONGEST_PAUSE_S = 5.0


def path_part(name: str) -> str:
    """An id as a part of a path, whatever somebody has typed."""
    return quote(name, safe=":")


class ServerRefused(Exception):
    """The service did not do it; the text says why.

    Args:
        status: What it answered; `None` when it did not.
    """

    def __init__(self, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status


class AdminApi:
    """A policy service, and the token that opens its admin API. Use it in a `with`.

    Args:
        url: Its base URL; https, but on this machine.
        token: An admin token or a person's access token; empty for what needs none.
        transport: In place of the network, for tests.

    Raises:
        ServerRefused: A token must not be sent there.
    """

    def __init__(
        self, url: str, token: str = "", *, transport: httpx.BaseTransport | None = None
    ) -> None:
        if not is_guarded(url):
            raise ServerRefused(f"{url} is not reached by https: a token sent there can be read")
        self._url = url.rstrip("/")
        self._client = httpx.Client(
            base_url=self._url,
            headers={"authorization": f"Bearer {token}"} if token else {},
            transport=transport,
        )

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the connections."""
        self._client.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, str | list[str]] | None = None,
        if_match: str | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> Any:  # noqa: ANN401 - JSON
        """Send a request. A `POST` to the admin API is done once, also when its answer was lost.

        Args:
            method: Such as `GET`.
            path: For example `/admin/v1/whoami`.
            body: Whatever msgspec can encode, or bytes as they are; `None` for none.
            query: What stands behind the path's question mark.
            if_match: The ETag that what is changed has to have.
            timeout_s: For how long it may be silent.

        Returns:
            The answer's JSON; `None` where it has none.

        Raises:
            ServerRefused: It answered with an error, with something else, or not at all.
        """
        answer = self._answer(
            method, path, body=body, query=query, if_match=if_match, timeout_s=timeout_s
        )
        return self._decoded(answer) if answer.content else None

    def ask_tagged(
        self, path: str, query: Mapping[str, str | list[str]] | None = None
    ) -> tuple[Any, str]:
        """`GET` one thing, with its ETag.

        Raises:
            ServerRefused: As `ask`.
        """
        answer = self._answer("GET", path, query=query, timeout_s=_TIMEOUT_S)
        return self._decoded(answer), answer.headers.get("etag", "")

    def fetch(
        self, path: str, *, query: Mapping[str, str] | None = None, timeout_s: float = _TIMEOUT_S
    ) -> bytes:
        """Get what is no JSON, such as a file.

        Raises:
            ServerRefused: It answered with an error, or not at all.
        """
        return self._answer("GET", path, query=query, timeout_s=timeout_s).content

    def pieces(
        self, path: str, *, query: Mapping[str, str | list[str]] | None = None
    ) -> Iterator[bytes]:
        """Get what may be too long to hold, piece by piece.

        Raises:
            ServerRefused: It answered with an error, not at all, or broke off.
        """
        try:
            with self._client.stream("GET", path, params=query, timeout=_TIMEOUT_S) as answer:
                if not answer.is_success:
                    answer.read()
                    raise ServerRefused(self._told(answer), answer.status_code)
                yield from answer.iter_bytes()
        except httpx.HTTPError as fault:
            raise ServerRefused(f"{self._url} did not answer to the end") from fault

    def whoami(self) -> dict[str, Any]:
        """`GET /admin/v1/whoami`."""
        told: dict[str, Any] = self.ask("GET", "/admin/v1/whoami")
        return told

    def sign_in(self) -> dict[str, str]:
        """`GET /v1/sign-in`: issuer, client_id, scopes."""
        told: dict[str, str] = self.ask("GET", "/v1/sign-in")
        return told

    def export_company(self, organisation: str | None = None) -> dict[str, Any]:
        """`GET /admin/v1/organisation/company`: the company's file, in JSON's types."""
        query = None if organisation is None else {"organisation": organisation}
        path = "/admin/v1/organisation/company"
        document: dict[str, Any] = self.ask("GET", path, query=query, timeout_s=_COMPANY_TIMEOUT_S)
        return document

    def apply_company(self, document: object, *, prune: bool, dry_run: bool) -> Applied:
        """`PUT /admin/v1/organisation/company`: make the company what the document says."""
        told = self.ask(
            "PUT",
            "/admin/v1/organisation/company",
            body=document,
            query={"prune": str(prune).lower(), "dry_run": str(dry_run).lower()},
            timeout_s=_COMPANY_TIMEOUT_S,
        )
        try:
            return msgspec.convert(told, Applied)
        except msgspec.ValidationError as fault:
            raise ServerRefused(f"{self._url} does not answer as a policy service does") from fault

    def _answer(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, str | list[str]] | None = None,
        if_match: str | None = None,
        timeout_s: float,
    ) -> httpx.Response:
        headers, content = {}, b""
        if isinstance(body, bytes):
            headers, content = {"content-type": "application/octet-stream"}, body
        elif body is not None:
            headers, content = {"content-type": "application/json"}, msgspec.json.encode(body)
        if if_match is not None:
            headers["if-match"] = if_match
        is_kept = method == "POST" and path.startswith("/admin/")
        if is_kept:
            headers["idempotency-key"] = str(uuid.uuid4())
        request = self._client.build_request(
            method, path, params=query, headers=headers, content=content or None, timeout=timeout_s
        )
        answer = self._sent(request, _TRIES if is_kept else 1)
        if not answer.is_success:
            raise ServerRefused(self._told(answer), answer.status_code)
        return answer

    def _sent(self, request: httpx.Request, tries: int) -> httpx.Response:
        """Send it, and again when the answer was lost or the first is under way yet."""
        while True:
            tries -= 1
            try:
                answer = self._client.send(request)
            except (httpx.ReadError, httpx.RemoteProtocolError, httpx.ReadTimeout) as fault:
                if tries:
                    continue
                why = "in time" if isinstance(fault, httpx.TimeoutException) else "to the end"
                raise ServerRefused(f"{self._url} did not answer {why}") from fault
            except httpx.TimeoutException as fault:
                raise ServerRefused(f"{self._url} did not answer in time") from fault
            except httpx.HTTPError as fault:
                raise ServerRefused(
                    f"{self._url} cannot be reached: is the address right, does the service run?"
                ) from fault
            pause = answer.headers.get("retry-after", "")
            if answer.status_code != HTTPStatus.CONFLICT or not pause.isdecimal() or not tries:
                return answer
            time.sleep(min(float(pause), _LONGEST_PAUSE_S))

    def _decoded(self, answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON
        try:
            return msgspec.json.decode(answer.content)
        except msgspec.DecodeError as fault:
            raise ServerRefused(f"{self._url} does not answer as a policy service does") from fault

    def _told(self, answer: httpx.Response) -> str:
        try:
            message = msgspec.json.decode(answer.content, type=dict)["error"]["message"]
        except (msgspec.DecodeError, KeyError, TypeError):
            return f"{self._url} answered {answer.status_code}"
        return str(message)
