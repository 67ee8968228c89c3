"""Whatever happens in a phase, Kong hears a closed answer within the deadline."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kong_plugins._runtime.flags import DEFAULT_EVENT_DEADLINE_MS
from tests.integration.runtime.kong_side import (
    KongConnection,
    PdkFailure,
    RpcFailure,
    ServerProcess,
    drive,
    eventually,
    running_server,
)

SECRET = "sk-never-to-be-seen"


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
    return kong.start_instance(json.dumps({"trouble": trouble, "__plugin_id": "x", **config}))


def assert_refused(call: tuple[str, list], status: int, code: str) -> dict:
    method, (got_status, body, headers) = call
    assert method == "kong.response.exit"
    assert got_status == status
    assert headers["content-type"] == "application/json"
    error = json.loads(body)["error"]
    assert error["code"] == code
    assert set(error) >= {"message", "type", "param", "code"}
    assert SECRET not in body
    return headers


@pytest.mark.parametrize("phase", ["access", "response"])
@pytest.mark.parametrize(
    ("trouble", "calls_before"),
    [
        ("raise_first", 0),
        ("raise_between", 1),
        ("raise_after", 2),
        ("sys_exit", 0),
        ("raise_untellable_refusal", 0),
        ("exit_unpackable", 0),
        ("call_unpackable", 0),
    ],
)
def test_an_exception_anywhere_is_answered_with_500(
    server: ServerProcess, kong: KongConnection, trouble: str, calls_before: int, phase: str
):
    calls = drive([kong], start(kong, trouble), phase)
    assert len(calls) == calls_before + 1
    assert_refused(calls[-1], 500, "internal_error")
    assert SECRET not in server.output
    assert server.status()["Events"] == 0


@pytest.mark.parametrize("trouble", ["raise_first", "raise_between", "raise_after"])
def test_an_exception_in_log_is_only_logged(
    server: ServerProcess, kong: KongConnection, trouble: str
):
    calls = drive([kong], start(kong, trouble), "log")
    assert all(method == "kong.request.get_header" for method, _ in calls)
    server.wait_for_line("ERROR - ")
    server.wait_for_line("troubled_plugin.py")
    assert SECRET not in server.output


def test_a_gateway_error_is_answered_with_its_own_status_body_and_headers(kong: KongConnection):
    for trouble in ("raise_refusal", "raise_refusal_in_group"):
        calls = drive([kong], start(kong, trouble))
        headers = assert_refused(calls[-1], 429, "rate_limit_exceeded")
        assert headers["retry-after"] == "2"


def test_a_phase_that_cancels_itself_is_refused(kong: KongConnection):
    calls = drive([kong], start(kong, "cancel_itself"))
    assert_refused(calls[-1], 503, "policy_unavailable")


def test_an_exit_ends_the_phase_and_runs_its_finally_blocks(
    server: ServerProcess, kong: KongConnection, tmp_path: Path
):
    marks = tmp_path / "marks"
    calls = drive([kong], start(kong, "exit", marks=str(marks)))
    assert calls == [("kong.response.exit", [418, "teapot", {"x-tea": "green"}])]
    eventually(lambda: server.status()["Events"] == 0)
    assert marks.read_text() == "finally\n"


def test_an_exit_that_nobody_awaits_still_ends_the_phase_with_headers_in_place(
    kong: KongConnection, tmp_path: Path
):
    marks = tmp_path / "marks"
    calls = drive([kong], start(kong, "exit_unawaited", marks=str(marks)))
    # Lua's unpack stops at the first nil: without "" it would never see the headers
    assert calls == [("kong.response.exit", [403, "", {"x-reason": "none"}])]
    assert not marks.exists()


def test_nothing_can_be_asked_of_kong_after_an_exit(server: ServerProcess, kong: KongConnection):
    calls = drive([kong], start(kong, "exit_swallowed"))
    assert calls == [("kong.response.exit", [401])]
    eventually(lambda: server.status()["Events"] == 0)


def test_a_pdk_error_is_an_exception_in_the_plugin(kong: KongConnection):
    told = drive(
        [kong],
        start(kong, "pdk_error"),
        answers=lambda method, _: PdkFailure("no") if "get_header" in method else None,
    )[-1]
    assert told[1] == ["told", "PDKException: exception from kong.request.get_header: no"]


@pytest.mark.parametrize("phase", ["access", "response"])
def test_a_phase_that_never_ends_is_refused_at_its_deadline(
    server: ServerProcess, kong: KongConnection, tmp_path: Path, phase: str
):
    marks = tmp_path / "marks"
    instance = start(kong, "sleep_for_ever", event_deadline_ms=200, marks=str(marks))
    calls = drive([kong], instance, phase)
    if phase == "access":
        assert_refused(calls[-1], 503, "policy_unavailable")
    else:
        assert_refused(calls[-1], 500, "internal_error")
    eventually(lambda: marks.exists() and marks.read_text() == "cancelled\n")
    assert server.status()["Events"] == 0


def test_the_default_deadline_is_below_three_seconds(kong: KongConnection):
    assert DEFAULT_EVENT_DEADLINE_MS < 3000
    instance = start(kong, "sleep_for_ever")
    assert_refused(drive([kong], instance)[-1], 503, "policy_unavailable")


def test_a_log_phase_that_never_ends_is_ended_at_its_deadline(kong: KongConnection):
    instance = start(kong, "sleep_for_ever", event_deadline_ms=200)
    assert drive([kong], instance, "log") == []


def test_a_phase_that_swallows_its_cancellation_is_answered_and_cannot_ask_kong_again(
    server: ServerProcess, kong: KongConnection, tmp_path: Path
):
    marks = tmp_path / "marks"
    instance = start(kong, "swallow_cancellation", event_deadline_ms=200, marks=str(marks))
    assert_refused(drive([kong], instance)[-1], 503, "policy_unavailable")
    assert server.status()["Events"] == 0
    eventually(lambda: server.status()["LingeringPhases"] == 0)
    assert not marks.exists()


def test_an_abandoned_event_is_forgotten_after_its_deadline(
    server: ServerProcess, kong: KongConnection
):
    instance = start(kong, "raise_between", event_deadline_ms=200)
    told = kong.handle_event(instance)
    assert told["Data"]["Method"] == "kong.request.get_header"
    assert server.status()["Events"] == 1
    eventually(lambda: server.status()["Events"] == 0)
    assert server.status()["LingeringPhases"] == 0

    # Kong comes after all: an error would let the request through
    late = kong.step(told["EventId"], "value")
    assert_refused((late["Data"]["Method"], late["Data"]["Args"]), 503, "policy_unavailable")


def test_a_late_step_of_a_log_phase_is_told_to_return(server: ServerProcess, kong: KongConnection):
    told = kong.handle_event(start(kong, "raise_between", event_deadline_ms=100), "log")
    eventually(lambda: server.status()["Events"] == 0)
    assert kong.step(told["EventId"], "value")["Data"] == "ret"


def test_a_step_for_an_event_of_another_process_is_refused(kong: KongConnection):
    told = kong.step(4, "value")
    assert_refused((told["Data"]["Method"], told["Data"]["Args"]), 503, "policy_unavailable")


def test_a_step_that_nobody_asked_for_is_refused_and_takes_no_answer_away(
    server: ServerProcess, kong: KongConnection
):
    instance = start(kong, "five_calls")
    first = kong.handle_event(instance)["EventId"]
    waiting = start(kong, "sleep_for_ever", event_deadline_ms=500)
    other = server.connect()
    other.send("plugin.HandleEvent", {"InstanceId": waiting, "EventName": "access"})
    eventually(lambda: server.status()["Events"] == 2)
    told = kong.step(first + 2, "unasked")["Data"]  # ids of access events rise by two
    assert_refused((told["Method"], told["Args"]), 503, "policy_unavailable")
    told = other.receive()["Data"]
    assert_refused((told["Method"], told["Args"]), 503, "policy_unavailable")
    other.close()


def test_a_constructor_that_fails_is_an_error_that_quotes_nothing(
    server: ServerProcess, kong: KongConnection
):
    with pytest.raises(RpcFailure, match="RuntimeError") as failure:
        start(kong, "no_birth")
    assert SECRET not in str(failure.value)
    assert SECRET not in server.output


def test_a_configuration_that_is_not_json_is_an_error(kong: KongConnection):
    with pytest.raises(RpcFailure, match="not JSON"):
        kong.start_instance("{")


def test_a_deadline_that_is_no_positive_number_is_an_error(kong: KongConnection):
    for wrong in (0, -5, "soon", True):
        with pytest.raises(RpcFailure, match="event_deadline_ms"):
            start(kong, "none", event_deadline_ms=wrong)


def test_a_phase_that_blocks_the_loop_is_refused_and_the_process_ends_for_a_new_start():
    with running_server("--event-deadline-ms", "500") as server:
        blocked, other = server.connect(), server.connect()
        waiting = start(other, "sleep_for_ever", event_deadline_ms=60_000)
        other.send("plugin.HandleEvent", {"InstanceId": waiting, "EventName": "access"})
        calls = drive([blocked], start(blocked, "block"))
        assert_refused(calls[-1], 503, "policy_unavailable")
        told = other.receive()["Data"]
        assert_refused((told["Method"], told["Args"]), 503, "policy_unavailable")
        assert server.wait() == 75
        assert "blocks the event loop" in server.output
        assert "do_block" in server.output
        blocked.close()
        other.close()
