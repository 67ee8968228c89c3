"""Any bytes on a plugin server's socket: each request is answered once, or the connection ends."""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kong_plugins._runtime import guard, pdk_calls
from kong_plugins._runtime.description import describe
from kong_plugins._runtime.server import KongConnection, PluginServer
from kong_plugins._runtime.wire import GarbledMessage, Request, RequestReader
from tests.fixtures.fuzzing import cut, fuzzed, fuzzed_less

METHODS = (
    *("HandleEvent", "StartInstance", "CloseInstance", "InstanceStatus", "GetStatus"),
    *("GetPluginInfo", "Step", "StepError", "StepService", "StepMultiMap", "Unheard", ""),
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=10)
    | st.binary(max_size=10)
    | st.sampled_from(["llm-auth", "access", "log", "{}", '{"trouble": 1}', "[" * 3000]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["InstanceId", "EventName", "EventId", "Data", "Name", "Config"])
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=10,
)
requests = st.tuples(
    st.just(0),
    st.integers(0, 2**32),
    st.sampled_from(METHODS).map("plugin.{}".format) | st.text(max_size=5),
    st.lists(values, max_size=3),
)
streams = st.lists(
    requests.map(list).map(msgpack.packb) | values.map(msgpack.packb) | st.binary(max_size=12),
    max_size=5,
).map(b"".join)


class Quiet:
    """A plugin with a phase that asks Kong one thing."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = dict(config)

    async def access(self, kong: Any) -> None:
        await kong.request.get_headers()


class Socket:
    """What a connection writes to."""

    def __init__(self) -> None:
        self.answers = msgpack.Unpacker(raw=False, unicode_errors="surrogateescape")
        self.is_aborted = False

    def get_extra_info(self, _name: str) -> "Socket":
        return self

    def fileno(self) -> int:
        return -1

    def write(self, written: bytes) -> None:
        self.answers.feed(written)

    def abort(self) -> None:
        self.is_aborted = True


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def read(parts: list[bytes]) -> tuple[list[Request], bool]:
    reader = RequestReader()
    found: list[Request] = []
    try:
        for part in parts:
            found += reader.feed(part)
    except GarbledMessage:
        return found, True
    return found, False


@fuzzed_less
@given(stream=streams, cuts=st.lists(st.integers(0, 200), max_size=10))
@example(stream=b"\x91" * 5000, cuts=[])  # nested without end
@example(stream=b"\xdd\xff\xff\xff\xff", cuts=[])  # an array of four thousand million
@example(stream=b"\x81\x91\x01\x01", cuts=[])  # an array for a key
@example(stream=b"\xd6\xff\xff\xff\xff\xff", cuts=[])  # a time
def test_any_bytes_are_requests_or_garbled_however_cut(stream: bytes, cuts: list[int]):
    whole, is_garbled = read([stream])
    parts, are_garbled = read(cut(stream, cuts))
    assert are_garbled == is_garbled
    # What stands before the fault in the same piece is not carried out.
    assert repr(parts[: len(whole)]) == repr(whole)


@fuzzed_less
@given(sent=st.lists(requests, max_size=6))
@example(sent=[(0, 1, "plugin.HandleEvent", [])])
@example(sent=[(0, 1, "plugin.HandleEvent", [{"InstanceId": [], "EventName": {}}])])
@example(sent=[(0, 1, "plugin.StartInstance", [{"Name": "llm-auth", "Config": "[" * 100_000}])])
def test_each_request_is_answered_once_and_no_plugin_call_is_left_open(
    loop: asyncio.AbstractEventLoop, sent: list[tuple[int, int, str, list[Any]]]
):
    module = describe("llm-auth", Quiet, version="1", priority=1, schema=())
    socket = Socket()

    async def converse() -> None:
        server = PluginServer(module, event_deadline_s=5, loop=loop)
        connection = KongConnection(server)
        connection.connection_made(socket)  # type: ignore[arg-type]
        started = {"Name": "llm-auth", "Config": "{}"}
        connection.data_received(msgpack.packb([0, 1, "plugin.StartInstance", [started]]))
        for request in sent:
            connection.data_received(msgpack.packb(list(request)))
        await server.drain(0)

    loop.run_until_complete(converse())
    assert not socket.is_aborted
    (label, name, _), *answers = socket.answers
    assert (label, name) == (2, "serverPid")
    assert [answer[1] for answer in answers] == [1, *(message_id for _, message_id, *_ in sent)]
    for _, _, error, result in answers:
        assert error is None or isinstance(error, str)
        if error is None and "Data" in result:
            # Nobody was let through: what is not understood is refused.
            assert result["Data"] != guard.RETURN


@fuzzed
@given(method=st.sampled_from(["kong.log.serialize", "kong.request.get_raw_body"]), value=values)
@example(method="kong.log.serialize", value="[" * 100_000)
def test_any_answer_of_kongs_is_taken_or_is_its_failure(method: str, value: Any):
    try:
        pdk_calls.result(method, value)
    except pdk_calls.PDKException:
        return
