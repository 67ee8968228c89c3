"""Checks over Kong's Admin API: what is loaded, and how routes, plugins and nginx are set."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policy_service.cli.doctor.findings import Finding, broken, good, warning
from policy_service.cli.kong.admin_api import Entity, KongAdmin, missing_plugins
from policy_service.cli.kong.installing import PLUGINS
from policy_service.cli.kong.plan import Existing, existing

TESTED = "3.9"
"""The last series of Kong OSS, and whose plugin-server protocol was measured."""
PLUGIN_DEADLINE_S = 2.5
"""The plugins answer Kong within this."""

_MAX_BODY_BYTES = 16 * 1024 * 1024
_LEAST_READ_MS = 60_000
_MOST_HANG_S = 10.0
_DEFAULT_HANG = "60s"
_BYTES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0}
_HOW = "`gatehouse kong enable` mends it; without a database, `gatehouse kong declare` prints it."


@dataclass(frozen=True, slots=True)
class GuardedRoute:
    """A route with plugins of ours.

    Attributes:
        service: `None` when it has none.
        plugins: Ours that run on it, by name.
        others: Names of further plugins on it.
    """

    route: Entity
    service: Entity | None
    plugins: Mapping[str, Entity]
    others: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name, or its id."""
        return str(self.route.get("name") or self.route["id"])


def configured_findings(kong: KongAdmin) -> tuple[list[Finding], list[GuardedRoute]]:
    """All checks that the Admin API allows, and the routes they are about.

    Raises:
        KongRefused: It cannot be asked.
    """
    node = kong.node()
    found = [_version(node)]
    missing = missing_plugins(node)
    if missing:
        found.append(broken("plugins loaded", f"{missing}", "See the sentence before."))
        return found, []
    found.append(good("plugins loaded", "All three are."))
    found.append(_order(node))
    guarded = guarded_routes(existing(kong))
    found += _route_findings(guarded)
    found += _body_findings(node, guarded)
    found.append(_hang(node))
    return found, guarded


def guarded_routes(there: Existing) -> list[GuardedRoute]:
    """Every route on which a plugin of ours runs, with what runs there."""
    services = {one["id"]: one for one in there["services"]}
    guarded = []
    for route in there["routes"]:
        service = services.get((route.get("service") or {}).get("id"))
        running = [
            one
            for one in there["plugins"]
            if one.get("enabled", True) and _runs(one, route, service)
        ]
        ours = {one["name"]: one for one in running if one["name"] in PLUGINS}
        if ours:
            others = tuple(sorted({one["name"] for one in running} - set(PLUGINS)))
            guarded.append(GuardedRoute(route, service, ours, others))
    return guarded


def _runs(plugin: Entity, route: Entity, service: Entity | None) -> bool:
    if plugin.get("consumer"):
        return False
    on_route, on_service = plugin.get("route"), plugin.get("service")
    if on_route and on_route["id"] != route["id"]:
        return False
    return not on_service or (service is not None and on_service["id"] == service["id"])


def _version(node: Entity) -> Finding:
    version = str(node.get("version"))
    if version.startswith(f"{TESTED}."):
        return good("kong version", f"{version}.")
    return warning(
        "kong version",
        f"{version}; Kong's plugin-server protocol was measured on 3.9.1.",
        "Try it on a test node first: the protocol may differ.",
    )


def _order(node: Entity) -> Finding:
    loaded = node["plugins"]["available_on_server"]
    told = {name: loaded[name] for name in PLUGINS}
    if not all(isinstance(one, dict) and "priority" in one for one in told.values()):
        return warning("order", "This Kong tells no priorities.", "Kong 3 tells them.")
    priorities = [int(told[name]["priority"]) for name in PLUGINS]
    shown = ", ".join(f"{name} ({told[name]['priority']})" for name in PLUGINS)
    if priorities == sorted(set(priorities), reverse=True):
        return good("order", f"{shown}.")
    return broken("order", f"They run in another order: {shown}.", "Install one release of all.")


def _route_findings(guarded: list[GuardedRoute]) -> Iterator[Finding]:
    if not guarded:
        yield broken("routes", "No route has a plugin of ours.", _HOW)
        return
    faults = [fault for one in guarded for fault in _faults(one)]
    yield from faults
    if not faults:
        yield good("routes", f"{len(guarded)} routes have all three plugins and end at the relay.")
    clear = sorted({place for one in guarded for place in _clear_secrets(one)})
    if clear:
        yield warning(
            "secrets",
            f"In clear in Kong's configuration: {', '.join(clear)}.",
            'Write "{vault://env/name}", and set the variable for Kong.',
        )
    else:
        yield good("secrets", "All are vault references.")


def _faults(one: GuardedRoute) -> Iterator[Finding]:
    part = f"route {one.name}"
    missing = [name for name in PLUGINS if name not in one.plugins]
    if missing:
        yield broken(part, f"{', '.join(missing)} does not run on it, so nobody is served.", _HOW)
    if one.service is None or not str(one.service.get("path") or "").rstrip("/").endswith("/relay"):
        # What Kong proxies to when no plugin ran: it must refuse by itself.
        yield broken(
            part,
            "Its service is not the policy service's relay: with a dead plugin server Kong would "
            "let everybody through to it.",
            _HOW,
        )
        return
    if one.service.get("retries"):
        yield broken(
            part,
            f"Kong sends a call again up to {one.service['retries']} times, and a provider may "
            "have taken it.",
            "Set `retries: 0` on its service.",
        )
    read_ms = int(one.service.get("read_timeout") or 0)
    if read_ms < _LEAST_READ_MS:
        yield warning(
            part,
            f"Kong gives up on an answer after {read_ms / 1000:.0f} s.",
            "Set `read_timeout: 600000` on its service: models think long.",
        )
    if one.route.get("strip_path"):
        yield broken(
            part,
            "It strips the path, by which the relay knows what is asked.",
            "`strip_path: false`",
        )


def _clear_secrets(one: GuardedRoute) -> Iterator[str]:
    for name, plugin in one.plugins.items():
        config: Mapping[str, Any] = plugin.get("config") or {}
        secrets = {
            "policy_secret": config.get("policy_secret"),
            **(config.get("credentials") or {}),
        }
        for key, value in secrets.items():
            if value and not str(value).startswith("{vault://"):
                yield f"{key} of {name}"


def _body_findings(node: Entity, guarded: list[GuardedRoute]) -> Iterator[Finding]:
    most = max(
        (
            int((plugin.get("config") or {}).get("max_body_bytes") or _MAX_BODY_BYTES)
            for one in guarded
            for plugin in one.plugins.values()
        ),
        default=_MAX_BODY_BYTES,
    )
    buffered = _bytes(_directive(node, "client_body_buffer_size", "8k"))
    longest = _bytes(_directive(node, "client_max_body_size", "0"))
    if longest and longest < most:
        yield broken(
            "body sizes",
            f"Kong itself refuses bodies over {longest} bytes; the plugins take {most}.",
            "Set `nginx_http_client_max_body_size = 32m` in kong.conf.",
        )
    if buffered < most:
        yield warning(
            "body sizes",
            f"Kong writes bodies over {buffered} bytes to disk; the plugins take {most}.",
            "Set `nginx_http_client_body_buffer_size = 16m` in kong.conf: prompts stay in memory.",
        )
    if buffered >= most and not 0 < longest < most:
        yield good("body sizes", f"Up to {most} bytes come through, in memory.")


def _hang(node: Entity) -> Finding:
    told = _directive(node, "lua_socket_read_timeout", _DEFAULT_HANG)
    hang_s = _seconds(told)
    how = "Set `nginx_http_lua_socket_read_timeout = 3s` in kong.conf."
    if hang_s <= PLUGIN_DEADLINE_S:
        return broken(
            "timeouts",
            f"Kong gives a plugin up after {told}, and they take up to {PLUGIN_DEADLINE_S} s: a "
            "late answer would meet the next request.",
            how,
        )
    if hang_s > _MOST_HANG_S:
        return warning(
            "timeouts", f"A hung plugin server holds each call for {told} in each phase.", how
        )
    return good("timeouts", f"A hung plugin server is given up after {told}.")


def _directive(node: Entity, name: str, default: str) -> str:
    directives = node["configuration"].get("nginx_http_directives")
    for one in directives if isinstance(directives, list) else ():
        if one.get("name") == name:
            return str(one.get("value"))
    return str(node["configuration"].get(f"nginx_http_{name}", default))


def _bytes(told: str) -> int:
    found = re.fullmatch(r"(\d+)([kmg]?)", told.strip().lower())
    return int(found[1]) * _BYTES[found[2]] if found else 0


def _seconds(told: str) -> float:
    found = re.fullmatch(r"(\d+)(ms|[sm]?)", told.strip().lower())
    return int(found[1]) * _SECONDS[found[2]] if found else 0.0
