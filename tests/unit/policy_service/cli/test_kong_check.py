"""`gatehouse kong check` on a Kong that is broken in one place at a time."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from policy_service.bundled import bundled
from policy_service.cli import app
from policy_service.cli.doctor.findings import Finding, State
from policy_service.cli.kong import proxied
from policy_service.cli.kong.admin_api import KongAdmin, KongRefused, headers_of
from policy_service.cli.kong.configured import configured_findings
from policy_service.cli.kong.plan import to_enable
from policy_service.cli.kong.probing import probed_findings
from policy_service.cli.kong.proxied import Proxy, proxied_findings
from policy_service.cli.kong.wanted import TAG, Choices, declared, entities

PRIORITIES = {"llm-auth": 1010, "llm-token-meter": 950, "llm-provider-transform": 760}


class GoodKong:
    """What a Kong tells on which everything is well; a test breaks one thing."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {
            "version": "3.9.1",
            "plugins": {
                "available_on_server": {
                    name: {"priority": priority} for name, priority in PRIORITIES.items()
                }
            },
            "configuration": {
                "database": "postgres",
                "plugins": ["bundled", *PRIORITIES],
                "nginx_http_directives": [
                    {"name": "client_body_buffer_size", "value": "16m"},
                    {"name": "client_max_body_size", "value": "32m"},
                    {"name": "lua_socket_read_timeout", "value": "3s"},
                ],
            },
        }
        wanted = entities(declared(bundled("kong.yaml"), Choices()))
        self.kept: dict[str, list[dict[str, Any]]] = {"services": [], "routes": [], "plugins": []}
        for change in to_enable(wanted, {**self.kept}, TAG, is_whole=True):
            self.kept[change.kind].append({"id": change.identity, **change.fields})

    def node(self) -> dict[str, Any]:
        return self.told

    def every(self, kind: str) -> Iterator[dict[str, Any]]:
        yield from self.kept[kind]

    def directive(self, name: str, value: str) -> None:
        [one] = [
            d for d in self.told["configuration"]["nginx_http_directives"] if d["name"] == name
        ]
        one["value"] = value


def bad(found: list[Finding]) -> list[tuple[str, State]]:
    return [(one.part, one.state) for one in found if one.state != State.GOOD]


def look(kong: GoodKong) -> list[Finding]:
    return configured_findings(kong)[0]  # type: ignore[arg-type]


def test_a_good_kong_has_nothing_wrong() -> None:
    assert bad(look(GoodKong())) == []


LOADED = "available_on_server"
BREAKS: list[tuple[Callable[[GoodKong], Any], str, State]] = [
    (lambda k: k.told.update(version="3.4.2"), "kong version", State.WARNING),
    (lambda k: k.told["plugins"][LOADED].pop("llm-auth"), "plugins loaded", State.BROKEN),
    (lambda k: k.told["plugins"][LOADED]["llm-auth"].update(priority=1), "order", State.BROKEN),
    (lambda k: k.kept["plugins"].pop(0), "route llm-me", State.BROKEN),
    (lambda k: k.kept["services"][0].update(path="/v1"), "route llm-me", State.BROKEN),
    (lambda k: k.kept["services"][0].update(retries=5), "route llm-me", State.BROKEN),
    (lambda k: k.kept["services"][0].update(read_timeout=5000), "route llm-me", State.WARNING),
    (lambda k: [r.update(strip_path=True) for r in k.kept["routes"]], "route llm-me", State.BROKEN),
    (lambda k: k.kept["plugins"].clear(), "routes", State.BROKEN),
    (lambda k: k.kept["plugins"][0]["config"].update(policy_secret="x"), "secrets", State.WARNING),
    (lambda k: k.directive("client_body_buffer_size", "8k"), "body sizes", State.WARNING),
    (lambda k: k.directive("client_max_body_size", "1m"), "body sizes", State.BROKEN),
    (lambda k: k.directive("lua_socket_read_timeout", "60s"), "timeouts", State.WARNING),
    (lambda k: k.directive("lua_socket_read_timeout", "2s"), "timeouts", State.BROKEN),
]  # fmt: skip


@pytest.mark.parametrize(("wreck", "part", "state"), BREAKS)
def test_each_fault_is_found_and_has_a_remedy(
    wreck: Callable[[GoodKong], Any], part: str, state: State
) -> None:
    kong = GoodKong()
    wreck(kong)
    found = look(kong)
    assert (part, state) in bad(found)
    assert all(one.remedy for one in found if one.state != State.GOOD)


def test_the_line_of_kong_conf_that_lacks_a_plugin_is_named() -> None:
    kong = GoodKong()
    del kong.told["plugins"]["available_on_server"]["llm-auth"]
    assert "`pluginserver_names = ...`" in look(kong)[1].what
    kong.told["configuration"]["plugins"] = ["bundled"]
    assert "`plugins = ...`" in look(kong)[1].what


class Clock:
    """Goes on when it is told, so that what takes time takes none."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


def pieces(clock: Clock, *waits_s: float) -> Iterator[bytes]:
    for wait_s in waits_s:
        clock.now_s += wait_s
        yield b"data: 1\n\n"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(proxied, "time", fake)
    return fake


def calls(answer: Callable[[httpx.Request], httpx.Response]) -> list[Finding]:
    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://kong") as client:
        return list(proxied_findings(Proxy(client, None, "gk-key", "a-model")))


def our_error(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": "No."}})


def well(request: httpx.Request) -> httpx.Response:
    if "authorization" not in request.headers:
        return our_error(401, "invalid_api_key")
    if b"gatehouse-check" in request.content:
        return our_error(404, "model_not_found")
    if b'"stream":true' in request.content:
        return httpx.Response(200, content=iter([b"data: 1\n\n"]))
    return httpx.Response(200, headers={"x-gatehouse-decision-id": "dec_1"}, json={})


def streams(body: Iterator[bytes]) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        if b'"stream":true' in request.content:
            return httpx.Response(200, content=body)
        return well(request)

    return answer


def test_a_good_proxy_has_nothing_wrong(clock: Clock) -> None:
    assert bad(calls(streams(pieces(clock, 0.5, 0.1, 0.1)))) == []


@pytest.mark.parametrize("waits_s", [(2.0,), (2.0, 0.001, 0.001)])
def test_a_collected_stream_is_found_by_when_it_arrives(
    clock: Clock, waits_s: tuple[float, ...]
) -> None:
    found = calls(streams(pieces(clock, *waits_s)))
    assert bad(found) == [("streaming", State.WARNING)]
    assert "at once, 200" in found[-1].what


def test_a_stream_without_anything_is_broken(clock: Clock) -> None:
    assert bad(calls(streams(pieces(clock)))) == [("streaming", State.BROKEN)]


@pytest.mark.parametrize(
    ("refusal", "state", "said"),
    [
        (httpx.Response(200, json={}), State.BROKEN, "answered 200"),
        (our_error(503, "policy_unavailable"), State.BROKEN, "cannot ask the policy service"),
        (our_error(503, "undecided"), State.BROKEN, "llm-auth did not run"),
        (httpx.Response(404, json={"message": "no Route matched"}), State.BROKEN, "No route"),
        (httpx.Response(500, json={}), State.WARNING, "500"),
        (httpx.Response(401, json={"message": "No API key found"}), State.GOOD, "Kong's own"),
    ],
)
def test_what_a_call_without_a_key_gets_tells_what_is_wrong(
    refusal: httpx.Response, state: State, said: str
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        is_keyless = "authorization" not in request.headers
        return (
            httpx.Response(refusal.status_code, content=refusal.content)
            if is_keyless
            else well(request)
        )

    found = {one.part: one for one in calls(answer)}["closed without a key"]
    assert found.state == state
    assert said in found.what


def test_a_long_prompt_that_kong_cannot_hand_on_is_found() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if len(request.content) > 100_000:
            return httpx.Response(500, json={"message": "An unexpected error occurred"})
        return well(request)

    assert ("long prompts", State.BROKEN) in bad(calls(answer))


def test_nobody_at_the_proxy_is_said() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    assert bad(calls(answer)) == [("proxy", State.BROKEN)]


def test_nobody_at_the_admin_api_is_said_in_a_sentence() -> None:
    ran = CliRunner().invoke(app, ["kong", "check", "--admin-url", "http://127.0.0.1:9"])
    assert ran.exit_code == 1
    assert "cannot be reached" in ran.output


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(401), "--header"),
        (httpx.Response(200, json={"hello": "world"}), "no Kong Admin API"),
        (httpx.Response(200, html="<html>Log in</html>"), "no Kong Admin API"),
        (httpx.Response(400, json={"message": "schema violation (x)"}), "schema violation"),
        (httpx.Response(502, text="bad"), "502"),
    ],
)
def test_what_the_admin_api_refuses_is_told(answer: httpx.Response, said: str) -> None:
    kong = KongAdmin("http://kong:8001", transport=httpx.MockTransport(lambda _: answer))
    with kong, pytest.raises(KongRefused, match=said):
        kong.node()


def test_a_header_needs_a_name() -> None:
    assert headers_of(["Kong-Admin-Token: abc: d"]) == {"Kong-Admin-Token": "abc: d"}
    with pytest.raises(KongRefused, match="Name: value"):
        headers_of(["abc"])


def test_the_variable_holds_one_header_with_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KONG_ADMIN_HEADER", "Authorization: Bearer a b")
    assert headers_of(None) == {"Authorization": "Bearer a b"}
    assert headers_of(["A: 1", "B: 2"]) == {"A": "1", "B": "2"}
    ran = CliRunner().invoke(app, ["kong", "check", "--admin-url", "http://127.0.0.1:9"])
    assert "cannot be reached" in ran.output, "it is not split into two headers"


def test_a_proxy_that_hangs_up_during_a_probe_is_a_finding() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset", request=request)

    done: list[str] = []

    def admin(request: httpx.Request) -> httpx.Response:
        done.append(request.method)
        return httpx.Response(200, json={})

    route = configured_findings(GoodKong())[1][0]  # type: ignore[arg-type]
    with (
        httpx.Client(transport=httpx.MockTransport(answer), base_url="http://kong") as client,
        KongAdmin("http://kong:8001", transport=httpx.MockTransport(admin)) as kong,
    ):
        found = list(probed_findings(kong, Proxy(client), route))
    assert {one.state for one in found} == {State.BROKEN}
    assert all("ReadError" in one.what for one in found)
    assert done.count("DELETE") == 4, "what the probes made is removed all the same"
