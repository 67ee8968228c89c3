"""Talks to Kong's Admin API.

Source:
    https://developer.konghq.com/api/gateway/admin-oss/3.9/ (checked 2026-11-29)
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import httpx

from policy_service.cli.kong.installing import PLUGINS

_TIMEOUT_S = 30.0
_PAGE = 500

HEADER_VARIABLE = "KONG_ADMIN_HEADER"

Entity = dict[str, Any]


class KongRefused(Exception):
    """Kong did not do it; the text says why, and what to do."""


class KongAdmin:
    """Kong's Admin API. Use it in a `with`.

    Args:
        url: Its base URL, `http://127.0.0.1:8001`.
        headers: What every request carries, such as a token that a proxy before it asks for.
        transport: In place of the network, for tests.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.Client(
            base_url=self.url,
            headers=dict(headers or {}),
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

    def node(self) -> Entity:
        """What Kong tells of itself: version, plugins, configuration.

        Raises:
            KongRefused: What answers there is no Admin API.
        """
        told = self._ask("GET", "/")
        if not isinstance(told, dict) or "plugins" not in told or "configuration" not in told:
            raise self._no_admin_api()
        return told

    def every(self, kind: str) -> Iterator[Entity]:
        """All entities of a kind, page by page."""
        path: str | None = f"/{kind}?size={_PAGE}"
        while path:
            page = self._ask("GET", path)
            yield from page["data"]
            path = page.get("next")

    def put(self, kind: str, identity: str, fields: Entity) -> None:
        """Make an entity what is given."""
        self._ask("PUT", f"/{kind}/{identity}", fields)

    def patch(self, kind: str, identity: str, fields: Entity) -> None:
        """Change some fields of an entity."""
        self._ask("PATCH", f"/{kind}/{identity}", fields)

    def delete(self, kind: str, identity: str) -> None:
        """Take an entity away; none is no fault."""
        self._ask("DELETE", f"/{kind}/{identity}")

    def _ask(self, method: str, path: str, body: Entity | None = None) -> Any:  # noqa: ANN401
        try:
            answer = self._client.request(method, path, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            raise KongRefused(
                f"{self.url} cannot be reached ({type(fault).__name__}): is it Kong's Admin API, "
                "and may this machine reach it? (`admin_listen` in kong.conf)"
            ) from fault
        if answer.is_success:
            return self._told(answer)
        if answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise KongRefused(
                f"{self.url} wants to know who asks ({answer.status_code}): give its token with "
                '--header "Name: value".'
            )
        raise KongRefused(f"Kong refuses {method} {path}: {_reason(answer)}")

    def _told(self, answer: httpx.Response) -> Any:  # noqa: ANN401
        try:
            return answer.json() if answer.content else None
        except ValueError as fault:  # a page: the dashboard, a proxy's login
            raise self._no_admin_api() from fault

    def _no_admin_api(self) -> KongRefused:
        return KongRefused(
            f"What answers at {self.url} is no Kong Admin API: name the address that "
            "`admin_listen` in kong.conf has, by default http://127.0.0.1:8001."
        )


def is_without_database(node: Entity) -> bool:
    """Whether a node takes its entities from a file only."""
    return bool(node["configuration"].get("database") == "off")


def missing_plugins(node: Entity) -> str:
    """What is to be mended in kong.conf when plugins are not loaded; empty when all are."""
    loaded = node["plugins"]["available_on_server"]
    missing = [name for name in PLUGINS if name not in loaded]
    if not missing:
        return ""
    conf = node["configuration"]
    line = "plugins"
    if all(name in (conf.get("plugins") or ()) for name in missing):
        line = "pluginserver_names"
    names = ", ".join(missing)
    return (
        f"{names}: not loaded by this Kong. Add to the line `{line} = ...` of kong.conf, and start "
        "Kong again; `gatehouse kong config` prints all lines that it needs."
    )


def headers_of(given: Sequence[str] | None) -> dict[str, str]:
    """Headers from `Name: value`; without any, the one that the variable holds.

    Raises:
        KongRefused: One has no colon.
    """
    headers = {}
    # Not by Typer, which splits the variable of an option given many times at each space.
    line = os.environ.get(HEADER_VARIABLE)  # noqa: TID251 - no setting of the service
    for one in given or ([line] if line else ()):
        name, colon, value = one.partition(":")
        if not colon:
            raise KongRefused('Write a header as "Name: value".')
        headers[name.strip()] = value.strip()
    return headers


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"it answered {answer.status_code}"
