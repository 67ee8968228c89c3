"""Our plugin server answers what kong-pdk's answers, as kong-pdk's own server tells it."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from kong_pdk.logger import Logger
from kong_pdk.module import Module
from kong_pdk.server import PluginServer as KongPdkServer

from kong_plugins._runtime.description import describe, plugin_info
from kong_plugins._runtime.server import KongConnection, PluginServer

SCHEMA = [{"greeting": {"type": "string", "required": True}}]
# `set_plugin_dir` is for a server of many plugins, `cleanup` is no request
NOT_FOR_KONG = {"set_plugin_dir", "cleanup"}


class ThreadedPlugin:
    """As kong-pdk wants it."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.greeting = config["greeting"]

    def access(self, kong: Any) -> None:
        """Read, write, and answer."""
        name = kong.request.get_header("x-name")
        kong.service.request.set_header("x-greeting", f"{self.greeting} {name}")
        kong.ctx.shared.set("body", kong.request.get_raw_body(0))
        if name == "nobody":
            kong.response.exit(403, "no", {"x-why": "nobody"})


class AsyncPlugin(ThreadedPlugin):
    """As we want it."""

    async def access(self, kong: Any) -> None:  # type: ignore[override]
        """The same story."""
        name = await kong.request.get_header("x-name")
        await kong.service.request.set_header("x-greeting", f"{self.greeting} {name}")
        await kong.ctx.shared.set("body", await kong.request.get_raw_body(0))
        if name == "nobody":
            await kong.response.exit(403, "no", {"x-why": "nobody"})


class MemoryTransport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.unpacker = msgpack.Unpacker()
        self.news = asyncio.Event()

    def get_extra_info(self, _name: str) -> Any:
        return self

    def fileno(self) -> int:
        return -1

    def write(self, data: bytes) -> None:
        self.unpacker.feed(data)
        self.news.set()


class OurServer:
    """Our server, asked without a socket."""

    def __init__(self) -> None:
        module = describe("greeter", AsyncPlugin, version="1.0", priority=5, schema=SCHEMA)
        loop = asyncio.get_running_loop()
        self.server = PluginServer(module, event_deadline_s=5.0, loop=loop)
        self.transport = MemoryTransport()
        self.connection = KongConnection(self.server)
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]
        assert next(self.transport.unpacker)[:2] == [2, "serverPid"]

    async def ask(self, method: str, *args: object) -> tuple[Any, Any]:
        """Give error and result."""
        self.transport.news.clear()
        self.connection.data_received(msgpack.packb([0, 1, method, list(args)]))
        await asyncio.wait_for(self.transport.news.wait(), 10)
        _, _, error, result = next(self.transport.unpacker)
        return error, result


def kong_pdk_server() -> KongPdkServer:
    class Described:
        Plugin = ThreadedPlugin
        Schema = SCHEMA
        version = "1.0"
        priority = 5

    server = KongPdkServer(loglevel=Logger.ERROR, lua_style=False)
    server.plugins["greeter"] = Module("greeter", module=Described)
    return server


ANSWERS: dict[str, Callable[[str], object]] = {
    "kong.request.get_header": lambda name: name,
    "kong.request.get_raw_body": lambda _name: b"\xff\x00",
}


def given(told: dict[str, Any], name: str) -> object:
    return ANSWERS.get(told["Method"], lambda _name: None)(name)


def ending(told: object) -> bool:
    return told == "ret" or (isinstance(told, dict) and told["Method"] == "kong.response.exit")


@pytest.mark.parametrize("name", ["ada", "nobody"])
async def test_the_same_plugin_says_the_same_to_kong_on_both_servers(name: str):
    config = json.dumps({"greeting": "hello", "__plugin_id": "x"})
    event = {"EventName": "access"}

    theirs = kong_pdk_server()
    instance = theirs.start_instance({"Name": "greeter", "Config": config})["Id"]
    told = theirs.handle_event({"InstanceId": instance, **event})
    said_there = [told["Data"]]
    while not ending(told["Data"]):
        data = {"EventId": told["EventId"], "Data": given(told["Data"], name)}
        told = theirs.step(data)
        said_there.append(told["Data"])

    ours = OurServer()
    _, started = await ours.ask("plugin.StartInstance", {"Name": "greeter", "Config": config})
    _, told = await ours.ask("plugin.HandleEvent", {"InstanceId": started["Id"], **event})
    said_here = [told["Data"]]
    while not ending(told["Data"]):
        data = {"EventId": told["EventId"], "Data": given(told["Data"], name)}
        _, told = await ours.ask("plugin.Step", data)
        said_here.append(told["Data"])

    # compared as Kong sees them: packed, tuples and lists alike
    assert msgpack.packb(said_here) == msgpack.packb(said_there)
    assert len(said_here) == 5


def camel(name: str) -> str:
    return "plugin." + "".join(part.capitalize() for part in name.split("_"))


async def test_every_request_that_kong_pdk_answers_is_known():
    known = {
        name
        for name in dir(KongPdkServer)
        if not name.startswith("_") and callable(getattr(KongPdkServer, name))
    } - NOT_FOR_KONG
    assert "handle_event" in known
    ours = OurServer()
    for name in known:
        error, _ = await ours.ask(camel(name), {})
        assert "not supported" not in str(error), name


async def test_instances_are_started_described_and_closed_with_the_same_members():
    theirs, ours = kong_pdk_server(), OurServer()
    asked = {"Name": "greeter", "Config": '{"greeting": "hi"}'}
    there = theirs.start_instance(dict(asked))
    _, here = await ours.ask("plugin.StartInstance", asked)
    assert set(here) == set(there)
    assert here["Config"] == there["Config"] == {"greeting": "hi"}
    _, status = await ours.ask("plugin.GetStatus")
    assert set(theirs.get_status()) <= set(status)
    assert set(theirs.get_status()["Plugins"]["greeter"]) == set(status["Plugins"]["greeter"])
    assert "Config" not in status["Plugins"]["greeter"]["Instances"][0]  # it holds credentials
    _, closed = await ours.ask("plugin.CloseInstance", here["Id"])
    assert set(closed) == set(theirs.close_instance(there["Id"]))


async def test_an_unknown_instance_is_refused_in_the_same_words():
    theirs, ours = kong_pdk_server(), OurServer()
    with pytest.raises(Exception, match=r"^no plugin instance #5$") as there:
        theirs.handle_event({"InstanceId": 5, "EventName": "access"})
    error, _ = await ours.ask("plugin.HandleEvent", {"InstanceId": 5, "EventName": "access"})
    assert error == str(there.value)
    assert re.search("no plugin instance", error.lower())  # what Kong looks for


async def test_plugin_information_is_the_same():
    error, ours = await OurServer().ask("plugin.GetPluginInfo", "greeter")
    assert error is None
    assert ours == kong_pdk_server().get_plugin_info("greeter")


def test_a_phase_that_is_not_async_is_refused_at_start():
    with pytest.raises(
        TypeError, match=r"ThreadedPlugin\.access is a phase and must be `async def`"
    ):
        describe("greeter", ThreadedPlugin, version="1.0", priority=5, schema=SCHEMA)


def test_a_schema_may_be_any_sequence():
    module = describe("g", AsyncPlugin, version="1.0", priority=5, schema=tuple(SCHEMA))
    assert plugin_info(module)["Schema"]["fields"][0]["config"]["fields"] == SCHEMA
