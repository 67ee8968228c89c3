"""The server as a process: how it starts, what it says about itself, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.runtime.kong_side import (
    ROOT,
    TIMEOUT_S,
    TROUBLED_PLUGIN,
    ServerProcess,
    eventually,
    running_server,
    short_folder,
)

KONG_PDK_DUMP = """
import sys
sys.path.insert(0, {folder!r})
import troubled_plugin as p
from kong_pdk.cli import start_dedicated_server
start_dedicated_server(p.NAME, p.Plugin, p.VERSION, p.PRIORITY, list(p.SCHEMA))
"""


def output_of(*command: str) -> str:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    ).stdout


def test_the_dump_is_what_kong_pdk_says_about_the_same_plugin():
    ours = output_of(sys.executable, str(TROUBLED_PLUGIN), "--dump")
    code = KONG_PDK_DUMP.format(folder=str(TROUBLED_PLUGIN.parent))
    theirs = output_of(sys.executable, "-c", code, "--dump")
    assert ours == theirs
    told = json.loads(ours)[0]
    assert told["Name"] == "troubled"
    assert sorted(told["Phases"]) == ["access", "log", "response"]


def test_the_dump_works_without_the_scripts_folder_on_the_path():
    """kong-pdk 0.36 cannot start under `python -P`."""
    assert json.loads(output_of(sys.executable, "-P", str(TROUBLED_PLUGIN), "--dump"))


def test_kong_is_told_the_pid_on_every_connection():
    with running_server() as server:
        for _ in range(2):
            connection = server.connect()
            connection.call("plugin.GetStatus")
            assert connection.notifications == [["serverPid", server.process.pid]]
            connection.close()


def test_instance_ids_of_two_processes_do_not_meet():
    """A stale id must not find an instance with another configuration."""
    ids = []
    for _ in range(2):
        with running_server() as server:
            connection = server.connect()
            ids.append(connection.start_instance("{}"))
            connection.close()
    assert ids[0] != ids[1]


def test_flags_that_kong_pdk_knows_are_taken():
    with short_folder() as prefix:
        server = ServerProcess(
            [
                sys.executable, str(TROUBLED_PLUGIN), "-p", str(prefix), "--socket-name", "x.sock",
                "-v", "--no-lua-style", "-g", "--listen-queue-size", "16",
            ],
            prefix / "x.sock",
        )  # fmt: skip
        try:
            server.wait_for_line("server started at path")
            server.wait_for_line("--gevent has no effect")
            assert server.status()["Pid"] == server.process.pid
        finally:
            server.stop()


def test_a_prefix_that_does_not_exist_is_told():
    ended = subprocess.run(
        [sys.executable, str(TROUBLED_PLUGIN), "-p", "/nowhere"],
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "/nowhere doesn't exist" in ended.stderr


def test_a_stale_socket_is_replaced():
    with short_folder() as prefix:
        path = prefix / "troubled.sock"
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        server = ServerProcess([sys.executable, str(TROUBLED_PLUGIN), "-p", str(prefix)], path)
        try:
            server.wait_for_line("server started")
            assert server.status()["Pid"] == server.process.pid
            assert [entry.name for entry in prefix.iterdir()] == ["troubled.sock"]
        finally:
            server.stop()


def test_a_later_server_keeps_its_socket_when_the_one_before_ends():
    """So it goes when Kong reloads: two servers, one path, the older one ends last."""
    with running_server() as first:
        command = [sys.executable, str(TROUBLED_PLUGIN), "-p", str(first.socket_path.parent)]
        second = ServerProcess(command, first.socket_path)
        try:
            second.wait_for_line("server started")
            first.process.send_signal(signal.SIGTERM)
            assert first.wait() == 0
            assert second.status()["Pid"] == second.process.pid
        finally:
            second.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_events_end_closes_instances_and_removes_the_socket(
    number: signal.Signals, tmp_path: Path
):
    marks = tmp_path / "marks"
    with running_server() as server:
        connection = server.connect()
        config = {"trouble": "wait_for_file", "marks": str(marks)}
        instance = connection.start_instance(json.dumps(config))
        connection.send("plugin.HandleEvent", {"InstanceId": instance, "EventName": "access"})
        eventually(marks.exists)
        server.process.send_signal(number)
        server.wait_for_line("terminating")
        Path(f"{marks}.go").touch()
        assert connection.receive()["Data"] == "ret"
        assert server.wait() == 0
        assert marks.read_text() == "waiting\nclosed\n"
        assert not server.socket_path.exists()
        connection.close()


def test_a_signal_does_not_wait_for_a_phase_that_never_ends():
    with running_server() as server:
        connection = server.connect()
        config = {"trouble": "sleep_for_ever", "event_deadline_ms": 60_000}
        instance = connection.start_instance(json.dumps(config))
        connection.send("plugin.HandleEvent", {"InstanceId": instance, "EventName": "access"})
        eventually(lambda: server.status()["Events"] == 1)
        server.process.send_signal(signal.SIGTERM)
        assert connection.receive()["Data"]["Method"] == "kong.response.exit"
        assert server.wait() == 0
        connection.close()


PARENT = """
import os, subprocess, sys
child = subprocess.Popen(
    [sys.executable, {plugin!r}, "-p", {prefix!r}, *{flags!r}],
    stdin=subprocess.DEVNULL, stdout=open({log!r}, "wb"),
)
print(child.pid, flush=True)
sys.stdin.read()
os._exit(0)
"""


def is_alive(pid: int) -> bool:
    """A zombie that waits for somebody to ask after it is dead."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("flags", [[], ["--standalone"]])
def test_the_server_ends_with_its_parent_unless_it_stands_alone(flags: list[str], tmp_path: Path):
    with short_folder() as prefix:
        log = tmp_path / "log"
        code = PARENT.format(
            plugin=str(TROUBLED_PLUGIN), prefix=str(prefix), flags=flags, log=str(log)
        )
        parent = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        assert parent.stdin is not None
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        try:
            eventually(lambda: log.exists() and b"server started" in log.read_bytes())
            parent.stdin.close()
            parent.wait(TIMEOUT_S)
            if flags:
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(2.0)
                    connection.connect(str(prefix / "troubled.sock"))
                    assert connection.recv(100)
                assert is_alive(pid)
            else:
                eventually(lambda: not is_alive(pid))
                assert b"terminating" in log.read_bytes()
        finally:
            parent.stdout.close()
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_a_server_that_was_stopped_and_goes_on_is_not_taken_for_blocked():
    with running_server("--event-deadline-ms", "200") as server:
        connection = server.connect()
        instance = connection.start_instance('{"trouble": "sleep_for_ever"}')
        connection.send("plugin.HandleEvent", {"InstanceId": instance, "EventName": "access"})
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(1.5)  # longer than a phase may block the loop: nothing else tells the two apart
        os.kill(server.process.pid, signal.SIGCONT)
        assert connection.receive()["Data"]["Method"] == "kong.response.exit"
        assert server.status()["Pid"] == server.process.pid
        assert "blocks the event loop" not in server.output
        connection.close()
