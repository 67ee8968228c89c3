"""A plugin server that is traced, as a process: spans leave it, and no call waits for them."""

import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from kong_plugins._runtime.flags import TRACES_VARIABLE
from tests.fixtures.otlp_receiver import start_receiver
from tests.fixtures.services import free_port
from tests.integration.runtime.kong_side import (
    TROUBLED_PLUGIN,
    ServerProcess,
    drive,
    eventually,
    running_server,
    short_folder,
)

SECRET = "sk-never-to-be-seen"


def calls(server: ServerProcess, count: int, trouble: str = "none") -> None:
    """So many access phases."""
    with closing(server.connect()) as connection:
        instance = connection.start_instance(f'{{"trouble": "{trouble}"}}')
        for _ in range(count):
            drive([connection], instance)


def ends_well(server: ServerProcess) -> bool:
    server.process.send_signal(signal.SIGTERM)
    return server.wait() == 0


def test_spans_leave_while_it_runs_and_the_last_ones_when_it_ends() -> None:
    with start_receiver() as receiver, running_server("--traces", receiver.url) as server:
        server.wait_for_line("traces go to 127.0.0.1")
        calls(server, 3)
        eventually(lambda: len(receiver.spans) == 3)
        calls(server, 1, "raise_first")
        assert ends_well(server)
        spans = receiver.spans
    assert [span.name for span in spans] == ["troubled access"] * 4
    assert [span.is_failed for span in spans] == [False, False, False, True]
    assert spans[3].attributes["error.type"] == "ValueError"
    assert SECRET.encode() not in b"".join(receiver.bodies)


def test_a_container_s_environment_says_where_they_go() -> None:
    with start_receiver() as receiver, short_folder() as prefix:
        command = [
            *("env", f"{TRACES_VARIABLE}={receiver.url}", "OTEL_SERVICE_NAME=kong-eu"),
            *(sys.executable, str(TROUBLED_PLUGIN), "-p", str(prefix)),
        ]
        server = ServerProcess(command, prefix / "troubled.sock")
        try:
            server.wait_for_line("server started")
            calls(server, 1)
            assert ends_well(server)
        finally:
            server.stop()
        [span] = receiver.spans
    assert span.resource["service.name"] == "kong-eu"


def test_calls_do_not_wait_for_a_collector_that_is_not_there() -> None:
    with running_server("--traces", f"http://127.0.0.1:{free_port()}") as server:
        calls(server, 500)
        assert ends_well(server)


def test_nor_for_one_that_does_not_answer() -> None:
    """More spans than may wait: those beyond are dropped, and it ends in time all the same."""
    with silent_collector() as url, running_server("--traces", url) as server:
        calls(server, 5000)
        assert ends_well(server)


@contextmanager
def silent_collector() -> Iterator[str]:
    """Takes connections, and says nothing."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def take() -> None:
            try:
                while True:
                    taken.append(listening.accept()[0])
            except OSError:
                pass

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for one in taken:
                one.close()
