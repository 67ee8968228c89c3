"""Which route a request takes, and the path the upstream sees."""

import pytest

from devkong.entities import Route
from devkong.headers import Headers
from devkong.routing import Match, Router, normalized, upstream_path


def route(name: str, **criteria: object) -> Route:
    return Route(id=name, name=name, service=None, **criteria)  # type: ignore[arg-type]


ROUTES = [
    route("root", paths=("/",)),
    route("short", paths=("/v1",)),
    route("long", paths=("/v1/chat",)),
    route("post", paths=("/v1",), methods=("POST",)),
    route("regex", paths=(r"~/v1/models/(?<name>[^/]+)$".replace("?<", "?P<"),)),
    route("host", paths=("/",), hosts=("*.example",)),
    route("header", paths=("/",), headers=(("x-tier", ("gold",)),)),
]


@pytest.mark.parametrize(
    ("method", "host", "path", "headers", "expected"),
    [
        ("GET", "a", "/", [], "root"),
        ("GET", "a", "/v1x", [], "short"),
        ("GET", "a", "/v1/chat/completions", [], "long"),
        ("POST", "a", "/v1/chat/completions", [], "post"),
        ("GET", "a", "/v1/models/gpt", [], "regex"),
        ("GET", "a", "/v1/models/gpt/x", [], "short"),
        ("GET", "api.example:8000", "/v1", [], "host"),
        ("GET", "a", "/v1", [("X-Tier", "Gold")], "header"),
        ("GET", "a", "/v1", [("X-Tier", "iron")], "short"),
    ],
)
def test_the_most_specific_route_wins(
    method: str, host: str, path: str, headers: list[tuple[str, str]], expected: str
):
    match = Router(ROUTES).match(method, host, path, Headers(headers))
    assert match is not None
    assert match.route.name == expected


def test_nothing_matches_without_a_route():
    assert Router([route("a", paths=("/a",))]).match("GET", "h", "/b", Headers()) is None


def test_a_regex_path_captures():
    match = Router(ROUTES).match("GET", "a", "/v1/models/gpt", Headers())
    assert match is not None
    assert match.captures() == {"named": {"name": "gpt"}, "unnamed": ["gpt"]}


@pytest.mark.parametrize(
    ("service_path", "prefix", "strip", "path", "expected"),
    [
        (None, "/v1", True, "/v1/chat", "/chat"),
        (None, "/v1", False, "/v1/chat", "/v1/chat"),
        (None, "/v1", True, "/v1", "/"),
        ("/base", "/v1", True, "/v1/chat", "/base/chat"),
        ("/base/", "/v1", True, "/v1/chat", "/base/chat"),
        ("/base", "/v1", False, "/v1/chat", "/base/v1/chat"),
        ("/base", "/v1", True, "/v1", "/base"),
        ("/base", "/v1", True, "/v1/", "/base/"),
        ("/base", "/v1", True, "/v1chat", "/base/chat"),
        ("/base", "/", False, "/", "/base"),
    ],
)
def test_the_services_path_comes_first_and_one_slash_joins(
    service_path: str | None, prefix: str, strip: bool, path: str, expected: str
):
    match = Match(route("r", paths=(prefix,), strip_path=strip), prefix, path[len(prefix) :])
    assert upstream_path(match, service_path, path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/b", "/a/b"),
        ("/a//b/", "/a/b/"),
        ("/a/./b/../c", "/a/c"),
        ("/../..", "/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/.hidden", "/a/.hidden"),
    ],
)
def test_paths_are_normalised_before_they_are_matched(path: str, expected: str):
    assert normalized(path) == expected
