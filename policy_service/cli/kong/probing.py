"""Checks with routes that exist for seconds: what happens when a plugin or the service is away.

Each gets a path that nobody can guess, and is removed whatever happens.
"""

import secrets
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import httpx

from llm_core.policy.decision import TICKET_HEADER
from policy_service.cli.doctor.findings import Finding, broken, good
from policy_service.cli.kong.admin_api import Entity, KongAdmin
from policy_service.cli.kong.configured import GuardedRoute
from policy_service.cli.kong.installing import PLUGINS
from policy_service.cli.kong.proxied import Proxy

TAG = "gatehouse-check"
_SETTLE_S = 20.0
_PAUSE_S = 0.25
_NOBODY = "http://127.0.0.1:9"
"""The discard port: nobody listens there, on no host that is well."""
_UPSTREAM = ("protocol", "host", "port", "path", "retries", "read_timeout")
_HOW = "Look at Kong's error log, and at `url` and `policy_url` as Kong's host resolves them."


def probed_findings(kong: KongAdmin, proxy: Proxy, guarded: GuardedRoute) -> Iterator[Finding]:
    """Proofs on a live Kong, on routes of their own beside `guarded`.

    Raises:
        KongRefused: The routes cannot be made.
    """
    service = guarded.service
    if service is None:
        return
    with _route(kong, service, ()) as path:
        yield _expect(
            proxy,
            path,
            "closed when plugins are away",
            "undecided",
            "Without plugins, Kong reaches the relay, and it refuses.",
        )
        yield _expect(
            proxy,
            path,
            "closed to forged tickets",
            "undecided",
            "Without plugins, a ticket of the client's own making opens nothing.",
            {TICKET_HEADER: "forged.ticket"},
        )
    plugins = [{"name": name, "config": _severed(guarded.plugins.get(name))} for name in PLUGINS]
    with _route(kong, service, plugins) as path:
        yield _expect(
            proxy,
            path,
            "closed when the service is away",
            "policy_unavailable",
            "When the policy service cannot be asked, llm-auth refuses.",
        )


def _severed(plugin: Entity | None) -> dict[str, Any]:
    """A plugin's configuration with a policy service that is not there."""
    given = (plugin or {}).get("config") or {}
    config = {key: value for key, value in given.items() if value is not None}
    return {**config, "policy_url": _NOBODY} if "policy_url" in config else config


@contextmanager
def _route(
    kong: KongAdmin, service: Entity, plugins: list[dict[str, Any]] | tuple[()]
) -> Iterator[str]:
    name = f"{TAG}-{secrets.token_hex(8)}"
    # A service of its own: the plugins of the real one would run on the route as well.
    upstream, identity = str(uuid.uuid4()), str(uuid.uuid4())
    copied = {key: service[key] for key in _UPSTREAM if service.get(key) is not None}
    kong.put("services", upstream, {**copied, "name": name, "tags": [TAG]})
    try:
        route = {"paths": [f"/{name}"], "service": {"id": upstream}, "tags": [TAG]}
        kong.put("routes", identity, route)
        for plugin in plugins:
            body = {**plugin, "route": {"id": identity}, "tags": [TAG]}
            kong.put("plugins", str(uuid.uuid4()), body)
        yield f"/{name}"
    finally:
        kong.delete("routes", identity)  # its plugins go with it
        kong.delete("services", upstream)


def _expect(  # noqa: PLR0917 - what is asked, and what is to be told
    proxy: Proxy,
    path: str,
    part: str,
    code: str,
    what: str,
    more: Mapping[str, str] | None = None,
) -> Finding:
    """Ask until Kong's workers know the route and what hangs on it; that takes seconds."""
    until_s = time.monotonic() + _SETTLE_S
    headers = {} if proxy.host is None else {"host": proxy.host}
    headers |= {"authorization": "Bearer gk-gatehouse-check", **(more or {})}
    while True:
        try:
            answer = proxy.client.post(f"{path}/v1/chat/completions", json={}, headers=headers)
        except httpx.HTTPError as fault:
            return broken(part, f"Kong did not answer ({type(fault).__name__}).", _HOW)
        if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE and code in answer.text:
            return good(part, f"{what} ({answer.status_code} {code})")
        if answer.is_success or time.monotonic() > until_s:
            return broken(part, f"Kong answered {answer.status_code}: {_told(answer)}", _HOW)
        time.sleep(_PAUSE_S)


def _told(answer: httpx.Response) -> str:
    return answer.text[:200].replace("\n", " ")
