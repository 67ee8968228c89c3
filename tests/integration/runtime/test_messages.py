"""Messages of any size and content, over any connection."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from tests.integration.runtime.kong_side import (
    KongConnection,
    RpcFailure,
    ServerProcess,
    drive,
    eventually,
    running_server,
)

STEP_KINDS = (
    "Step",
    "StepConsumer",
    "StepCredential",
    "StepMemoryStats",
    "StepMultiMap",
    "StepRoute",
    "StepService",
)


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server() as running:
        yield running


@pytest.fixture
def kong(server: ServerProcess) -> Iterator[KongConnection]:
    connection = server.connect()
    yield connection
    connection.close()


def start(kong: KongConnection, trouble: str, **config: object) -> int:
    return kong.start_instance(json.dumps({"trouble": trouble, **config}))


@pytest.mark.parametrize("n_bytes", [0, 1, 70_000, 220_000, 5_000_000, 20_000_000])
def test_a_body_passes_both_ways_byte_for_byte(kong: KongConnection, n_bytes: int):
    body = os.urandom(n_bytes)
    calls = drive(
        [kong],
        start(kong, "echo_body"),
        answers=lambda method, _: body if "get_raw_body" in method else None,
    )
    assert calls[-1][0] == "kong.service.request.set_raw_body"
    assert calls[-1][1] == [body]


def test_a_body_that_comes_as_a_lua_string_is_bytes_all_the_same(kong: KongConnection):
    body = b"\xff\xfe plain \x00\x80"
    as_text = body.decode("utf-8", "surrogateescape")
    calls = drive([kong], start(kong, "echo_body"), answers=lambda _m, _a: as_text)
    assert calls[-1][1] == [body]


def test_text_that_is_not_utf8_passes_unchanged(kong: KongConnection):
    odd = b"caf\xe9 \xf0\x28\x8c".decode("utf-8", "surrogateescape")
    calls = drive([kong], start(kong, "echo_header"), answers=lambda _m, _a: odd)
    assert calls[-1][1] == ["x-odd", odd]


def test_answers_arrive_in_order(kong: KongConnection):
    calls = drive([kong], start(kong, "five_calls"), answers=lambda _m, args: args[0].upper())
    assert calls[-1] == ("kong.ctx.shared.set", ["told", ["H0", "H1", "H2", "H3", "H4"]])


def test_every_step_may_come_over_another_connection_and_the_first_may_be_closed(
    server: ServerProcess, kong: KongConnection
):
    instance = start(kong, "five_calls")
    first = server.connect()
    told = first.handle_event(instance)
    first.close()
    others = [server.connect() for _ in range(3)]
    for number in range(6):
        told = others[number % 3].step(told["EventId"], f"v{number}")
    assert told["Data"] == "ret"
    for connection in others:
        connection.close()


@pytest.mark.parametrize("kind", STEP_KINDS)
def test_every_kind_of_step_is_taken(kong: KongConnection, kind: str):
    told = kong.handle_event(start(kong, "echo_header"))
    told = kong.step(told["EventId"], "value", kind)
    assert told["Data"]["Args"] == ["x-odd", "value"]
    assert kong.step(told["EventId"], None)["Data"] == "ret"


def test_a_step_without_data_is_none(kong: KongConnection):
    """Lua leaves a nil out of a table."""
    told = kong.handle_event(start(kong, "five_calls"))
    for _ in range(5):
        told = kong.call("plugin.Step", {"EventId": told["EventId"]})
    assert told["Data"]["Args"] == ["told", [None] * 5]
    assert kong.step(told["EventId"], None)["Data"] == "ret"


def test_serialized_log_data_is_a_mapping_though_kong_sends_json_text(kong: KongConnection):
    text = json.dumps({"latencies": {"kong": 7}})
    assert drive([kong], start(kong, "serialize"), "log", answers=lambda _m, _a: text)[-1] == (
        "kong.ctx.shared.set",
        ["told", 7],
    )


def test_calls_made_at_once_are_carried_out_one_by_one(kong: KongConnection):
    calls = drive([kong], start(kong, "calls_at_once"), answers=lambda _m, args: args[0])
    assert calls[-1] == ("kong.ctx.shared.set", ["told", ["h0", "h1", "h2"]])


def test_a_call_that_the_plugin_gave_up_on_does_not_confuse_the_next(
    kong: KongConnection, tmp_path: Path
):
    marks = tmp_path / "marks"
    told = kong.handle_event(start(kong, "give_up_a_call", marks=str(marks)))
    assert told["Data"]["Args"] == ["slow"]
    eventually(marks.exists)
    # the plugin has made its next call by now, which waits for Kong to be done with the first
    told = kong.step(told["EventId"], "too late")
    assert told["Data"] == {"Method": "kong.ctx.shared.set", "Args": ["told", "gave up"]}
    assert kong.step(told["EventId"], None)["Data"] == "ret"


def test_64_events_at_once_keep_their_own_state(server: ServerProcess, kong: KongConnection):
    instance = start(kong, "five_calls")
    connections = [server.connect() for _ in range(64)]
    for connection in connections:
        connection.send("plugin.HandleEvent", {"InstanceId": instance, "EventName": "access"})
    told = [connection.receive() for connection in connections]
    assert len({one["EventId"] for one in told}) == 64
    for turn in range(5):
        # every event moves to its neighbour's connection
        connections.append(connections.pop(0))
        for number, connection in enumerate(connections):
            data = {"EventId": told[number]["EventId"], "Data": [number, turn]}
            connection.send("plugin.Step", data)
        told = [connection.receive() for connection in connections]
    for number, one in enumerate(told):
        assert one["Data"]["Args"] == ["told", [[number, turn] for turn in range(5)]]
    for number, connection in enumerate(connections):
        assert connection.step(told[number]["EventId"], None)["Data"] == "ret"
        connection.close()
    assert server.status()["Events"] == 0


def test_an_event_ends_when_kong_hangs_up_while_it_waits(
    server: ServerProcess, kong: KongConnection, tmp_path: Path
):
    marks = tmp_path / "marks"
    instance = start(kong, "sleep_for_ever", event_deadline_ms=60_000, marks=str(marks))
    leaving = server.connect()
    leaving.send("plugin.HandleEvent", {"InstanceId": instance, "EventName": "access"})
    eventually(lambda: server.status()["Events"] == 1)
    leaving.close()
    eventually(lambda: server.status()["Events"] == 0)
    assert marks.read_text() == "cancelled\n"


def test_a_log_phase_goes_on_when_kong_hangs_up(
    server: ServerProcess, kong: KongConnection, tmp_path: Path
):
    marks = tmp_path / "marks"
    instance = start(kong, "work_in_log", marks=str(marks))
    leaving = server.connect()
    leaving.send("plugin.HandleEvent", {"InstanceId": instance, "EventName": "log"})
    eventually(marks.exists)
    leaving.close()
    eventually(lambda: marks.read_text() == "begun\nreported\n")
    eventually(lambda: server.status()["Events"] == 0)


def test_an_unknown_instance_is_refused_in_the_words_kong_looks_for(kong: KongConnection):
    for call in (
        lambda: kong.handle_event(1),
        lambda: kong.call("plugin.CloseInstance", 1),
        lambda: kong.call("plugin.InstanceStatus", 1),
    ):
        with pytest.raises(RpcFailure, match=r"^no plugin instance #1$"):
            call()


def test_a_closed_instance_is_unknown_and_its_plugin_is_closed(
    kong: KongConnection, tmp_path: Path
):
    marks = tmp_path / "marks"
    instance = start(kong, "none", marks=str(marks))
    assert kong.call("plugin.CloseInstance", instance)["Id"] == instance
    with pytest.raises(RpcFailure, match="no plugin instance"):
        kong.handle_event(instance)
    eventually(lambda: marks.exists() and marks.read_text() == "closed\n")


def test_an_instance_closes_only_after_the_events_that_use_it(kong: KongConnection, tmp_path: Path):
    """Kong closes an instance as soon as it has a newer one, requests under way or not."""
    marks = tmp_path / "marks"
    instance = start(kong, "exit", marks=str(marks))
    busy = start(kong, "five_calls", marks=str(marks))
    told = kong.handle_event(busy)
    kong.call("plugin.CloseInstance", busy)
    drive([kong], instance)
    for _ in range(6):
        told = kong.step(told["EventId"], "v")
    assert told["Data"] == "ret"
    eventually(lambda: marks.read_text() == "finally\nclosed\n")


def test_an_unknown_method_and_an_unknown_phase_are_errors(kong: KongConnection):
    for method in ("plugin.Dance", "kong.request.get_header", "plugin", "plugin._run", ""):
        with pytest.raises(RpcFailure, match="not supported"):
            kong.call(method)
    with pytest.raises(RpcFailure, match="no phase"):
        kong.handle_event(start(kong, "none"), "close")
    with pytest.raises(RpcFailure, match="failed"):
        kong.call("plugin.StartInstance")


def test_a_malformed_event_is_refused_not_let_through(kong: KongConnection):
    for method in ("plugin.HandleEvent", "plugin.Step", "plugin.StepError"):
        for args in ([], [7], [{}]):
            assert kong.call(method, *args)["Data"]["Method"] == "kong.response.exit"


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xc1" * 10,  # never used in MessagePack
        b"\xdd\xff\xff\xff\xff",  # an array of four thousand million
        b"\x91" * 5000,  # nested too deeply
        msgpack.packb([2, "serverPid", 1]),
        msgpack.packb([0, "id", "plugin.GetStatus", []]),
        msgpack.packb([0, 1, "plugin.GetStatus"]),
        b"\x81\x90\x01",  # a map with an array for a key
    ],
)
def test_garbage_closes_its_connection_and_no_other(
    server: ServerProcess, kong: KongConnection, garbage: bytes
):
    other = server.connect()
    other.socket.sendall(garbage)
    with pytest.raises(ConnectionError):
        other.receive()
    other.close()
    assert drive([kong], start(kong, "none")) == []


def test_a_message_cut_into_single_bytes_is_read(server: ServerProcess):
    connection = server.connect()
    message = msgpack.packb([0, 1, "plugin.GetStatus", []])
    connection._message_id = 1
    for number in range(len(message)):
        connection.socket.sendall(message[number : number + 1])
    assert connection.receive()["Pid"] == server.process.pid
    connection.close()


def test_two_requests_in_one_piece_are_both_answered(server: ServerProcess):
    connection = server.connect()
    both = [msgpack.packb([0, number, "plugin.GetStatus", []]) for number in (1, 1)]
    connection._message_id = 1
    connection.socket.sendall(b"".join(both))
    assert connection.receive()["Pid"] == connection.receive()["Pid"]
    connection.close()


def test_10_000_exits_leave_memory_flat(server: ServerProcess, kong: KongConnection):
    """kong-pdk's own server keeps about 9 kB of each."""
    instance = start(kong, "exit")

    def exits(number: int) -> None:
        for _ in range(number):
            assert kong.handle_event(instance)["Data"]["Method"] == "kong.response.exit"

    exits(2_000)
    before_kib = server.resident_kib()
    exits(10_000)
    assert server.resident_kib() - before_kib < 2_000
    assert server.status()["Events"] == 0


def test_memory_for_large_messages_is_given_back(server: ServerProcess, kong: KongConnection):
    body = os.urandom(8_000_000)
    instance = start(kong, "echo_body")
    connections = [server.connect() for _ in range(8)]
    before_kib = server.resident_kib()
    for connection in connections:
        drive([connection], instance, answers=lambda _m, _a: body)
    # eight connections stay open, as in Kong's pool; none keeps its 8 MB
    assert server.resident_kib() - before_kib < 30_000
    for connection in connections:
        connection.close()
