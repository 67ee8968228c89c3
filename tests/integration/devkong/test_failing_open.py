"""Kong proxies a request when a plugin server fails; each row of the table of measured facts."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.devkong.harness import (
    PLUGINS,
    Upstream,
    call,
    devkong,
    eventually,
    gateway,
    late_probe,
    probe,
    server_lines,
)

SHORT_TIMEOUT = "nginx_http_lua_socket_read_timeout = 2s\n"


@contextlib.asynccontextmanager
async def own_plugin_server(prefix: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `probe` ourselves, so that nobody starts it again."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PLUGINS / "probe.py"), "--kong-prefix", str(prefix),
        "--no-lua-style", stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await eventually((prefix / "probe.sock").exists)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_a_dead_server_with_a_known_instance_leaves_the_gateway_open(
    prefix: Path, upstream: Upstream
):
    config = gateway(upstream.port, [probe(call("kong.request.get_method"))])
    conf = "plugins = bundled,probe\n" + server_lines(prefix, "probe", is_ours=False)
    async with own_plugin_server(prefix) as server, devkong(prefix, config, conf) as running:
        first = await running.client.get("/echo")
        server.kill()
        await server.wait()
        second = await running.client.get("/echo")
    assert (first.status_code, second.status_code) == (200, 200)
    assert "x-probe" in upstream.seen[0]["headers"]
    assert "x-probe" not in upstream.seen[1]["headers"]


async def test_a_server_killed_while_in_access_leaves_the_gateway_open(
    prefix: Path, upstream: Upstream
):
    config = gateway(upstream.port, [probe(call("kong.request.get_method"), call("kill"))])
    conf = "plugins = bundled,probe\n" + server_lines(prefix, "probe")
    async with devkong(prefix, config, conf) as running:
        answer = await running.client.get("/echo")
    assert answer.status_code == 200
    assert "x-probe" not in upstream.seen[0]["headers"]


async def test_a_dead_server_at_the_first_use_of_a_configuration_is_a_500(
    prefix: Path, upstream: Upstream
):
    config = gateway(upstream.port, [probe(call("kong.request.get_method"))])
    conf = "plugins = bundled,probe\n" + server_lines(prefix, "probe", is_ours=False)
    async with devkong(prefix, config, conf) as running:
        answer = await running.client.get("/echo")
    assert answer.status_code == 500
    assert answer.json()["message"] == "An unexpected error occurred"
    assert answer.json()["request_id"] == answer.headers["x-kong-request-id"]
    assert upstream.seen == []


async def test_a_stopped_server_costs_the_read_timeout_and_then_the_gateway_is_open(
    prefix: Path, upstream: Upstream
):
    config = gateway(upstream.port, [probe(call("kong.request.get_method"))])
    conf = SHORT_TIMEOUT + "plugins = bundled,probe\n" + server_lines(prefix, "probe")
    async with devkong(prefix, config, conf) as running:
        await running.client.get("/echo")
        pid = running.state()["pluginservers"]["probe"]
        os.kill(pid, signal.SIGSTOP)
        try:
            answer = await running.client.get("/echo")
        finally:
            os.kill(pid, signal.SIGCONT)
    assert answer.status_code == 200
    assert "x-probe" not in upstream.seen[1]["headers"]
    assert any("access: no data" in line for line in running.log)


@pytest.mark.parametrize(
    "calls",
    [(call("kong.request.get_method"), call("raise")), (call("raise"),)],
    ids=["after a PDK call", "before any PDK call"],
)
async def test_an_exception_in_access_hangs_until_the_timeout_and_then_the_gateway_is_open(
    prefix: Path, upstream: Upstream, calls: tuple[str, ...]
):
    config = gateway(upstream.port, [probe(*calls)])
    conf = SHORT_TIMEOUT + "plugins = bundled,probe\n" + server_lines(prefix, "probe")
    async with devkong(prefix, config, conf) as running:
        answer = await running.client.get("/echo")
    assert answer.status_code == 200
    assert any("access: no data" in line for line in running.log)


async def test_an_exception_in_response_lets_the_upstreams_answer_through(
    prefix: Path, upstream: Upstream
):
    plugin = late_probe(call("kong.service.response.get_status"), call("raise"))
    conf = SHORT_TIMEOUT + "plugins = bundled,late-probe\n" + server_lines(prefix, "late_probe")
    async with devkong(prefix, gateway(upstream.port, [plugin]), conf) as running:
        answer = await running.client.get("/status/418")
    assert (answer.status_code, answer.text) == (418, "upstream says 418")


async def test_a_killed_server_is_started_again_and_works_as_before(
    prefix: Path, upstream: Upstream
):
    config = gateway(upstream.port, [probe(call("kong.request.get_method"))])
    conf = "plugins = bundled,probe\n" + server_lines(prefix, "probe")
    async with devkong(prefix, config, conf) as running:
        await running.client.get("/echo")
        old = running.state()["pluginservers"]["probe"]
        os.kill(old, signal.SIGKILL)
        new = await eventually(
            lambda: running.state()["pluginservers"].get("probe", old) != old, timeout_s=5.0
        )
        assert new

        async def is_back() -> bool:
            await running.client.get("/echo")
            return "x-probe" in upstream.seen[-1]["headers"]

        async with asyncio.timeout(10):
            while not await is_back():  # noqa: ASYNC110 - another process sets no events
                await asyncio.sleep(0.02)


async def test_stopping_devkong_stops_its_plugin_servers(prefix: Path, upstream: Upstream):
    config = gateway(upstream.port, [probe()])
    conf = "plugins = bundled,probe\n" + server_lines(prefix, "probe")
    async with devkong(prefix, config, conf) as running:
        pid = running.state()["pluginservers"]["probe"]
    assert running.process.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
