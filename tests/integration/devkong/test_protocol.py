"""devkong's side of the plugin server protocol, against a plugin server made of a test."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgpack

from tests.integration.devkong.harness import (
    Running,
    Upstream,
    call,
    devkong,
    eventually,
    gateway,
    probe,
    results,
    server_lines,
)

DESCRIPTION = [
    {
        "Name": "fake",
        "Version": "1",
        "Priority": 10,
        "Phases": ["access"],
        "Schema": {"name": "fake", "fields": [{"config": {"type": "record", "fields": []}}]},
    }
]
RET = {"Data": "ret", "EventId": 0}

Answer = Callable[[str, Any], Any]


class FakePluginServer:
    """Answers calls with what `answer` says; remembers calls and the connections they used."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.calls: list[tuple[str, Any]] = []
        self.connections: list[int] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        unpacker = msgpack.Unpacker(raw=False, unicode_errors="surrogateescape")
        while data := await reader.read(65536):
            unpacker.feed(data)
            for kind, number, method, args in unpacker:
                assert kind == 0
                self.calls.append((method, args[0]))
                self.connections.append(self.writers.index(writer))
                result = self.answer(method, args[0])
                if asyncio.iscoroutine(result):
                    self.tasks.append(asyncio.create_task(self.later(writer, number, result)))
                else:
                    self.reply(writer, number, result)
        writer.close()

    async def later(self, writer: asyncio.StreamWriter, number: int, result: Any) -> None:
        self.reply(writer, number, await result)

    def reply(self, writer: asyncio.StreamWriter, number: int, result: Any) -> None:
        error = result if isinstance(result, str) else None
        writer.write(msgpack.packb([1, number, error, None if error else result]))

    def count(self, method: str) -> int:
        return [name for name, _ in self.calls].count(method)


@contextlib.asynccontextmanager
async def faked(
    prefix: Path, upstream: Upstream, answer: Answer, conf: str = ""
) -> AsyncIterator[tuple[FakePluginServer, Running]]:
    fake = FakePluginServer(answer)
    server = await asyncio.start_unix_server(fake.serve, str(prefix / "fake.sock"))
    (prefix / "fake.json").write_text(json.dumps(DESCRIPTION))
    conf += (
        "plugins = bundled,fake\npluginserver_names = fake\n"
        f"pluginserver_fake_socket = {prefix}/fake.sock\n"
        f"pluginserver_fake_query_cmd = cat {prefix}/fake.json\n"
    )
    try:
        async with devkong(prefix, gateway(upstream.port, [{"name": "fake"}]), conf) as running:
            yield fake, running
    finally:
        server.close()


def script(*steps: Any) -> Answer:
    """Starts instances; asks one PDK call after the other in each event."""

    def answer(method: str, argument: Any) -> Any:
        if method == "plugin.StartInstance":
            return {"Name": "fake", "Id": 7, "Config": {}, "StartTime": 0}
        if method == "plugin.HandleEvent":
            answer.position = 0  # type: ignore[attr-defined]
        position = answer.position  # type: ignore[attr-defined]
        answer.position = position + 1  # type: ignore[attr-defined]
        data = steps[position] if position < len(steps) else "ret"
        return {"EventId": 3, "Data": data}

    return answer


def ask(method: str, *args: Any) -> dict[str, Any]:
    return {"Method": method, "Args": list(args)}


async def test_steps_travel_over_several_connections(prefix: Path, upstream: Upstream):
    steps = [ask("kong.request.get_method")] * 5
    async with faked(prefix, upstream, script(*steps)) as (fake, running):
        await running.client.get("/echo")
    assert len(set(fake.connections)) >= 3
    assert all(one != two for one, two in zip(fake.connections, fake.connections[1:], strict=False))


async def test_each_kind_of_answer_has_its_step_method(prefix: Path, upstream: Upstream):
    asked = {
        "kong.request.get_headers": "plugin.StepMultiMap",
        "kong.client.get_consumer": "plugin.StepConsumer",
        "kong.router.get_route": "plugin.StepRoute",
        "kong.router.get_service": "plugin.StepService",
        "kong.request.get_path": "plugin.Step",
        "kong.no.such.method": "plugin.StepError",
    }
    async with faked(prefix, upstream, script(*map(ask, asked))) as (fake, running):
        await running.client.get("/echo")
    steps = [(method, args) for method, args in fake.calls if method.startswith("plugin.Step")]
    assert [method for method, _ in steps] == list(asked.values())
    assert steps[1][1] == {"EventId": 3}  # no consumer: Lua's nil leaves no key behind
    assert steps[3][1]["Data"]["port"] == upstream.port
    assert "kong.no.such.method" in steps[5][1]["Data"]


async def test_bytes_that_are_no_utf_8_come_as_text_and_bodies_as_bytes(
    prefix: Path, upstream: Upstream
):
    steps = [ask("kong.request.get_header", "x-odd"), ask("kong.request.get_raw_body")]
    async with faked(prefix, upstream, script(*steps)) as (fake, running):
        await running.client.post("/echo", headers=[(b"x-odd", b"a\xffb")], content=b"\xfe")
    assert fake.calls[2][1]["Data"].encode("utf-8", "surrogateescape") == b"a\xffb"
    assert fake.calls[3][1]["Data"] == b"\xfe"


async def test_an_unknown_instance_is_started_anew_and_the_event_repeated(
    prefix: Path, upstream: Upstream
):
    lost = iter([True])

    def answer(method: str, argument: Any) -> Any:
        if method == "plugin.StartInstance":
            return {"Id": 1}
        return "no plugin instance #1" if next(lost, False) else RET

    async with faked(prefix, upstream, answer) as (fake, running):
        reply = await running.client.get("/echo")
    assert reply.status_code == 200
    assert (fake.count("plugin.StartInstance"), fake.count("plugin.HandleEvent")) == (2, 2)


async def test_any_other_error_of_the_server_leaves_the_gateway_open(
    prefix: Path, upstream: Upstream
):
    def answer(method: str, argument: Any) -> Any:
        return {"Id": 1} if method == "plugin.StartInstance" else "something went wrong"

    async with faked(prefix, upstream, answer) as (_, running):
        reply = await running.client.get("/echo")
    assert reply.status_code == 200
    assert any("something went wrong" in line for line in running.log)


async def test_an_instance_that_cannot_be_started_is_a_500(prefix: Path, upstream: Upstream):
    async with faked(prefix, upstream, lambda *_: "bad configuration") as (fake, running):
        replies = [await running.client.get("/echo") for _ in range(2)]
    assert [reply.status_code for reply in replies] == [500, 500]
    assert fake.count("plugin.StartInstance") == 2


async def test_parallel_first_requests_start_one_instance(prefix: Path, upstream: Upstream):
    started = asyncio.Event()

    async def slow_start() -> Any:
        await started.wait()
        return {"Id": 1}

    def answer(method: str, argument: Any) -> Any:
        return slow_start() if method == "plugin.StartInstance" else RET

    async with faked(prefix, upstream, answer) as (fake, running):
        requests = [asyncio.create_task(running.client.get("/echo")) for _ in range(5)]
        await eventually(lambda: fake.calls)
        started.set()
        replies = await asyncio.gather(*requests)
    assert [reply.status_code for reply in replies] == [200] * 5
    assert fake.count("plugin.StartInstance") == 1
    assert fake.count("plugin.HandleEvent") == 5


async def test_a_changed_server_pid_drops_the_instances(prefix: Path, upstream: Upstream):
    pids = iter([100, 100, 200])
    fake_holder: list[FakePluginServer] = []

    def answer(method: str, argument: Any) -> Any:
        if method == "plugin.StartInstance":
            return {"Id": 1}
        fake = fake_holder[0]
        writer = fake.writers[fake.connections[-1]]
        writer.write(msgpack.packb([2, "serverPid", next(pids, 200)]))
        return RET

    async with faked(prefix, upstream, answer) as (fake, running):
        fake_holder.append(fake)
        for _ in range(4):
            await running.client.get("/echo")
    assert fake.count("plugin.HandleEvent") == 4
    assert fake.count("plugin.StartInstance") == 2


async def test_a_late_answer_meets_the_next_request_on_that_connection(
    prefix: Path, upstream: Upstream
):
    """A call that timed out poisons its connection: the next call on it is answered with a 500."""
    asked_again = asyncio.Event()
    never = asyncio.Event()
    late_connection: list[int] = []

    async def late() -> Any:
        await asked_again.wait()
        return RET

    async def silent() -> Any:
        await never.wait()

    def answer(method: str, argument: Any) -> Any:
        if method == "plugin.StartInstance":
            return {"Id": 1}
        used = fakes[0].connections
        if not late_connection:
            late_connection.append(used[-1])
            return late()
        if used[-1] == late_connection[0]:
            asked_again.set()
            return silent()  # so that the late answer is all that comes
        return RET

    fakes: list[FakePluginServer] = []
    conf = "nginx_http_lua_socket_read_timeout = 1s\n"
    async with faked(prefix, upstream, answer, conf) as (fake, running):
        fakes.append(fake)
        replies = [await running.client.get("/echo") for _ in range(5)]
        never.set()
    # Open after the timeout, two on connections that are fine, the poisoned one, and all is well.
    assert [reply.status_code for reply in replies] == [200, 200, 200, 500, 200]


async def test_plugin_servers_get_an_empty_environment_but_for_nginx_main_env(
    prefix: Path, upstream: Upstream
):
    conf = "plugins = bundled,probe\nnginx_main_env = KEEP; env SET=here\n"
    async with devkong(
        prefix,
        gateway(upstream.port, [probe(call("environ"))]),
        conf + server_lines(prefix, "probe"),
        {"SECRET": "x", "KEEP": "kept"},
    ) as running:
        await running.client.get("/echo")
    environment = results(upstream)[0]
    assert set(environment) <= {"PWD", "LC_CTYPE", "KEEP", "SET", "SHLVL", "_"}
    assert (environment["KEEP"], environment["SET"]) == ("kept", "here")
