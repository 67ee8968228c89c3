"""devkong's Admin API answers as Kong's does, and the gateway follows it at once."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.devkong import harness

ECHO = {"name": "probe", "config": {"access": [harness.call("kong.request.get_method")]}}


@pytest.fixture
async def running(prefix: Path) -> AsyncIterator[harness.Running]:
    conf = "plugins = bundled,probe\n" + harness.server_lines(prefix, "probe")
    async with harness.devkong(prefix, None, conf, options=("--admin-port", "0")) as started:
        yield started


async def ask(running: harness.Running, method: str, path: str, body: Any = None) -> httpx.Response:
    return await running.client.request(method, f"{running.admin_url}{path}", json=body)


async def test_the_gateway_is_empty_and_follows_each_change(
    running: harness.Running, upstream: harness.Upstream
) -> None:
    assert (await running.client.get(f"{running.url}/echo")).status_code == 404
    url = f"http://127.0.0.1:{upstream.port}"
    service = await ask(running, "PUT", "/services/up", {"url": url, "tags": ["mine"]})
    assert service.status_code == 200
    assert service.json()["host"] == "127.0.0.1"
    assert service.json()["retries"] == 5
    route = {"paths": ["/"], "service": {"id": service.json()["id"]}, "tags": ["mine", "too"]}
    assert (await ask(running, "PUT", "/routes/all", route)).status_code == 200
    assert (await running.client.get(f"{running.url}/echo")).status_code == 200

    plugin = await ask(running, "POST", "/plugins", {**ECHO, "route": {"name": "all"}})
    assert plugin.status_code == 201
    await running.client.get(f"{running.url}/echo")
    assert harness.results(upstream) == ["GET"]
    other = {"config": {"access": [harness.call("kong.request.get_path")]}}
    await ask(running, "PATCH", f"/plugins/{plugin.json()['id']}", other)
    await running.client.get(f"{running.url}/echo")
    assert harness.results(upstream) == ["/echo"]

    tagged = await ask(running, "GET", "/routes?tags=mine,too")
    assert [each["name"] for each in tagged.json()["data"]] == ["all"]
    nested = await ask(running, "GET", "/routes/all/plugins")
    assert [each["name"] for each in nested.json()["data"]] == ["probe"]
    assert (await ask(running, "DELETE", "/services/up")).json()["fields"] == {
        "@referenced_by": "routes"
    }
    assert (await ask(running, "DELETE", "/routes/all")).status_code == 204
    assert (await ask(running, "GET", "/plugins")).json() == {"data": [], "next": None}
    assert (await ask(running, "DELETE", "/services/up")).status_code == 204
    assert (await ask(running, "DELETE", "/services/up")).status_code == 204
    assert (await running.client.get(f"{running.url}/echo")).status_code == 404


NOT_ENABLED = "plugin 'absent' not enabled; add it to the 'plugins' configuration property"
NOTHING_TO_MATCH = "route r: must set one of methods, hosts, headers, paths"
REFUSED: list[tuple[str, dict[str, Any], int, Any]] = [
    ("/plugins", {"name": "probe", "config": {"x": 1}}, 400, {"config": {"x": "unknown field"}}),
    ("/plugins", {"name": "absent"}, 400, {"name": NOT_ENABLED}),
    ("/plugins", {"config": {}}, 400, {"name": "required field missing"}),
    ("/services", {"name": "s", "url": "ftp://x"}, 400, {"url": "invalid url"}),
    ("/services", {"name": "s", "colour": "red"}, 400, {"colour": "unknown field"}),
    ("/routes", {"name": "r", "paths": ["/"], "service": {"id": "none"}}, 400, None),
    ("/routes", {"name": "r"}, 400, {"@entity": [NOTHING_TO_MATCH]}),
    ("/services", {"name": "taken", "url": "http://b"}, 409, {"name": "taken"}),
]


async def test_what_does_not_fit_is_refused_and_changes_nothing(running: harness.Running) -> None:
    await ask(running, "POST", "/services", {"name": "taken", "url": "http://a"})
    for path, body, status, field in REFUSED:
        refused = await ask(running, "POST", path, body)
        assert refused.status_code == status, refused.text
        assert refused.json().get("fields") == field
        kept = (await ask(running, "GET", path)).json()["data"]
        assert len(kept) == (path == "/services")


async def test_the_node_tells_of_itself_as_kong_does(running: harness.Running) -> None:
    told = (await ask(running, "GET", "/")).json()
    assert told["plugins"]["available_on_server"]["probe"]["priority"] == 1000
    assert told["configuration"]["database"] == "postgres"
    assert {"name": "client_body_buffer_size", "value": "8k"} in told["configuration"][
        "nginx_http_directives"
    ]
    assert (await ask(running, "GET", "/schemas/plugins/probe")).status_code == 200
    assert (await ask(running, "GET", "/schemas/plugins/none")).status_code == 404
    assert (await ask(running, "POST", "/")).status_code == 405
    assert (await ask(running, "GET", "/nothing")).status_code == 404


async def test_long_lists_come_in_pages(running: harness.Running) -> None:
    for number in range(5):
        await ask(running, "PUT", f"/consumers/c{number}", {"tags": ["many"]})
    path, names = "/consumers?size=2&tags=many", []
    while path:
        page = (await ask(running, "GET", path)).json()
        names += [each["username"] for each in page["data"]]
        path = page["next"]
    assert names == [f"c{number}" for number in range(5)]


async def test_without_a_database_nothing_can_be_changed(
    prefix: Path, upstream: harness.Upstream
) -> None:
    declared = harness.gateway(upstream.port, [])
    options = ("--admin-port", "0")
    async with harness.devkong(prefix, declared, options=options) as running:
        found = (await ask(running, "GET", "/services/upstream")).json()
        assert found["port"] == upstream.port
        refused = await ask(running, "PUT", "/services/upstream", {"url": "http://a"})
        assert refused.status_code == 405
        assert refused.json()["name"] == "operation unsupported"
        assert (await running.client.get(f"{running.url}/echo")).status_code == 200


async def test_without_a_database_another_file_takes_the_place_of_the_first(
    prefix: Path, upstream: harness.Upstream, running: harness.Running
) -> None:
    declared = harness.gateway(upstream.port, [])
    other = "{_format_version: '3.0', services: [{name: none, url: 'http://127.0.0.1:9'}]}"
    options = ("--admin-port", "0")
    (prefix / "second").mkdir()
    async with harness.devkong(prefix / "second", declared, options=options) as without:
        for wrong in ({}, {"config": "{"}, {"config": "{_format_version: '3.0', routes: 1}"}):
            assert (await ask(without, "POST", "/config", wrong)).status_code == 400
        assert (await without.client.get(f"{without.url}/echo")).status_code == 200
        assert (await ask(without, "POST", "/config", {"config": other})).status_code == 201
        assert (await without.client.get(f"{without.url}/echo")).status_code == 404
        services = (await ask(without, "GET", "/services")).json()["data"]
        assert [each["name"] for each in services] == ["none"]
        assert (await ask(without, "GET", "/config")).status_code == 405
    refused = await ask(running, "POST", "/config", {"config": other})
    assert refused.json()["message"].startswith("this endpoint is only available when Kong")
