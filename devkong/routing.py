"""Which route a request takes, and which path the upstream then sees.

Order as in Kong's `traditional_compatible` router: a route with more kinds of criteria wins, then
more header criteria, then a regex path over a prefix, then `regex_priority`, then the longer path.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from devkong.entities import Route
from devkong.headers import Headers


@dataclass(frozen=True, slots=True)
class Match:
    """A matched route, and how much of the path it matched."""

    route: Route
    prefix: str
    """What X-Forwarded-Prefix says when the path is stripped."""
    rest: str
    """What is left of the path after the matched part."""
    groups: re.Match[str] | None = None
    """What a regex path captured."""

    def captures(self) -> dict[str, Any]:
        """Captures as `kong.request.get_uri_captures` gives them."""
        if self.groups is None:
            return {"named": [], "unnamed": []}
        named = {key: value for key, value in self.groups.groupdict().items() if value}
        return {"named": named or [], "unnamed": [value or "" for value in self.groups.groups()]}


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One path of one route; a route without paths is one candidate without a path."""

    route: Route
    prefix: str | None
    regex: re.Pattern[str] | None

    def rank(self) -> tuple[int, int, int, int, int]:
        route = self.route
        criteria = sum(map(bool, (route.hosts, route.headers, route.methods, route.paths)))
        is_regex = self.regex is not None
        return (
            -criteria,
            -len(route.headers),
            -is_regex,
            -route.regex_priority if is_regex else 0,
            -len(self.prefix or (self.regex.pattern if self.regex else "")),
        )

    def match(self, path: str) -> Match | None:
        if self.regex is not None:
            found = self.regex.match(path)
            if found is None:
                return None
            return Match(self.route, found[0], path[found.end() :], found)
        if self.prefix is None:
            return Match(self.route, "", path)
        if not path.startswith(self.prefix):
            return None
        return Match(self.route, self.prefix, path[len(self.prefix) :])


class Router:
    """Finds routes."""

    def __init__(self, routes: Sequence[Route]) -> None:
        candidates = [candidate for route in routes for candidate in _candidates(route)]
        self._candidates = sorted(candidates, key=_Candidate.rank)

    def match(self, method: str, host: str, path: str, headers: Headers) -> Match | None:
        """The route for a request, or `None`: Kong then answers 404.

        Args:
            method: As sent.
            host: The Host header, lower-case, with or without a port.
            path: Normalised, without the query.
            headers: The request's headers.
        """
        for candidate in self._candidates:
            if _accepts(candidate.route, method, host, headers):
                match = candidate.match(path)
                if match is not None:
                    return match
        return None


def upstream_path(match: Match, service_path: str | None, request_path: str) -> str:
    """The path for the upstream (Kong's path handling `v0`).

    The service's path comes first; the matched part of the request's path goes when the route says
    `strip_path`. Exactly one slash joins the two.
    """
    base = service_path or "/"
    rest = match.rest if match.route.strip_path else request_path
    if not rest or rest == "/":
        keeps_slash = request_path.endswith("/") and request_path != "/"
        return base + "/" if keeps_slash and not base.endswith("/") else base
    return base.removesuffix("/") + "/" + rest.removeprefix("/")


def normalized(path: str) -> str:
    """A request's path without `.`, `..` and doubled slashes; what the router looks at."""
    if "//" not in path and "/." not in path:
        return path
    segments: list[str] = []
    parts = path.split("/")[1:]
    for part in parts:
        if part == "..":
            del segments[-1:]
        elif part not in ("", "."):
            segments.append(part)
    ends_open = parts[-1] in ("", ".", "..") and segments
    return "/" + "/".join(segments) + ("/" if ends_open else "")


def _candidates(route: Route) -> list[_Candidate]:
    if not route.paths:
        return [_Candidate(route, None, None)]
    return [
        _Candidate(route, None, re.compile(path[1:]))
        if path.startswith("~")
        else _Candidate(route, path, None)
        for path in route.paths
    ]


def _accepts(route: Route, method: str, host: str, headers: Headers) -> bool:
    if route.methods and method not in route.methods:
        return False
    if route.hosts and not any(_host_matches(pattern, host) for pattern in route.hosts):
        return False
    for name, accepted in route.headers:
        sent = {value.lower() for value in headers.values_of(name)}
        if not sent or (accepted and not sent & {value.lower() for value in accepted}):
            return False
    return True


def _host_matches(pattern: str, host: str) -> bool:
    if ":" not in pattern:
        host = host.partition(":")[0]
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    if pattern.endswith(".*"):
        return host.startswith(pattern[:-1])
    return host == pattern
