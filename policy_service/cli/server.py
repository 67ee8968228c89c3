"""Talks to a policy service's admin API from the command line."""

from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from policy_service.cli.signing_in import is_guarded

_TIMEOUT_S = 30.0


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
            timeout=_TIMEOUT_S,
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
        query: dict[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Send a request.

        Args:
            method: Such as `GET`.
            path: For example `/admin/v1/whoami`.
            body: Whatever msgspec can encode; `None` for none.
            query: What stands behind the path's question mark.

        Returns:
            The answer's JSON; `None` where it has none.

        Raises:
            ServerRefused: It answered with an error, with something else, or not at all.
        """
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"content-type": "application/json"}
        try:
            answer = self._client.request(
                method, path, params=query, headers=headers, content=content
            )
        except httpx.HTTPError as fault:
            raise ServerRefused(f"{self._url} cannot be reached") from fault
        if not answer.is_success:
            raise ServerRefused(self._told(answer), answer.status_code)
        if not answer.content:
            return None
        try:
            return msgspec.json.decode(answer.content)
        except msgspec.DecodeError as fault:
            raise ServerRefused(f"{self._url} does not answer as a policy service does") from fault

    def whoami(self) -> dict[str, Any]:
        """`GET /admin/v1/whoami`."""
        told: dict[str, Any] = self.ask("GET", "/admin/v1/whoami")
        return told

    def sign_in(self) -> dict[str, str]:
        """`GET /v1/sign-in`: issuer, client_id, scopes."""
        told: dict[str, str] = self.ask("GET", "/v1/sign-in")
        return told

    def _told(self, answer: httpx.Response) -> str:
        try:
            message = msgspec.json.decode(answer.content, type=dict)["error"]["message"]
        except (msgspec.DecodeError, KeyError, TypeError):
            return f"{self._url} answered {answer.status_code}"
        return str(message)
