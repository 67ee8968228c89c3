"""What a plugin costs per PDK call: our runtime and kong-pdk's threaded server, in one run.

Both servers serve the same plugin as processes of their own. One client plays Kong's side over the
Unix socket with as little work as possible, so the figures are the servers' own; Kong adds its part
(about 0.1 ms a call, a pooled socket and MessagePack in Lua). Rounds alternate between the servers,
so that a busy machine hits both.

    python -m tests.load.runtime_pdk_calls [--rounds 20] [--events 100] [--seconds 3]
"""

import argparse
import contextlib
import json
import selectors
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.integration.runtime.kong_side import (  # noqa: E402
    KongConnection,
    ServerProcess,
    short_folder,
)

NAME = "calls"
SCHEMA = [{"calls": {"type": "integer", "default": 0}}]
CALLS = (0, 1, 5, 10)
N_CLIENTS = 16
CALLS_OF_CLIENTS = 5


class AsyncPlugin:
    """Makes `calls` cheap PDK calls, for our runtime."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.calls = int(config["calls"])

    async def access(self, kong: Any) -> None:
        """Make them one after another."""
        for _ in range(self.calls):
            await kong.request.get_header("x-any")


class ThreadedPlugin:
    """The same for kong-pdk."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.calls = int(config["calls"])

    def access(self, kong: Any) -> None:
        """Make them one after another."""
        for _ in range(self.calls):
            kong.request.get_header("x-any")


def serve(runtime: str) -> None:
    """Be one of the two servers; the flags that follow are kong-pdk's."""
    if runtime == "ours":
        from kong_plugins._runtime.main import run  # noqa: PLC0415

        run(NAME, AsyncPlugin, version="1", priority=1, schema=SCHEMA)
    else:
        from kong_pdk.cli import start_dedicated_server  # noqa: PLC0415

        start_dedicated_server(NAME, ThreadedPlugin, "1", 1, SCHEMA)


@dataclass
class Contestant:
    """One running server and what was measured on it."""

    title: str
    server: ServerProcess
    connection: KongConnection
    instances: dict[int, int]
    latencies_s: dict[int, list[float]] = field(default_factory=lambda: {n: [] for n in CALLS})
    events_per_s: list[float] = field(default_factory=list)


@contextlib.contextmanager
def contestant(title: str, runtime: str, *flags: str) -> Iterator[Contestant]:
    """Start a server and one instance for each number of calls."""
    with short_folder() as prefix:
        command = [sys.executable, __file__, "serve", runtime, "-p", str(prefix), *flags]
        server = ServerProcess(command, prefix / f"{NAME}.sock")
        try:
            connection = _connect_when_ready(server)
            instances = {
                n: connection.start_instance(json.dumps({"calls": n}), NAME) for n in CALLS
            }
            yield Contestant(title, server, connection, instances)
            connection.close()
        finally:
            server.stop()


def one_event_s(connection: KongConnection, instance_id: int) -> float:
    """Carry one event to its end; give the seconds it took."""
    began = time.perf_counter()
    told = connection.handle_event(instance_id)
    while told["Data"] != "ret":
        told = connection.step(told["EventId"], "a value")
    return time.perf_counter() - began


def throughput(server: ServerProcess, instance_id: int, seconds: float) -> float:
    """Events per second with `N_CLIENTS` connections that are never idle."""
    selector = selectors.DefaultSelector()
    connections = [server.connect() for _ in range(N_CLIENTS)]
    begin = msgpack.packb(
        [0, 1, "plugin.HandleEvent", [{"InstanceId": instance_id, "EventName": "access"}]]
    )
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, msgpack.Unpacker())
        connection.socket.sendall(begin)
    n_events = 0
    began = time.perf_counter()
    until = began + seconds
    while time.perf_counter() < until:
        for key, _ in selector.select():
            key.data.feed(key.fileobj.recv(65536))
            for message in key.data:
                if message[0] == 2:
                    continue
                told = message[3]
                if told["Data"] == "ret":
                    n_events += 1
                    key.fileobj.sendall(begin)
                else:
                    step = {"EventId": told["EventId"], "Data": "a value"}
                    key.fileobj.sendall(msgpack.packb([0, 1, "plugin.Step", [step]]))
    took = time.perf_counter() - began
    selector.close()
    for connection in connections:
        connection.close()
    return n_events / took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--events", type=int, default=100, help="a round, for each number of calls")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each throughput round")
    options = parser.parse_args()
    with (
        contestant("kong-pdk, threads", "kong-pdk", "--no-lua-style") as theirs,
        contestant("our runtime", "ours") as ours,
    ):
        for number in range(options.rounds + 1):
            for one in (theirs, ours):
                for n_calls, instance_id in one.instances.items():
                    for _ in range(options.events):
                        taken_s = one_event_s(one.connection, instance_id)
                        if number:  # the first round only warms up
                            one.latencies_s[n_calls].append(taken_s)
        for _ in range(3):
            for one in (theirs, ours):
                instance_id = one.instances[CALLS_OF_CLIENTS]
                one.events_per_s.append(throughput(one.server, instance_id, options.seconds))
        _report(theirs, ours)


def _report(theirs: Contestant, ours: Contestant) -> None:
    n_events = len(ours.latencies_s[0])
    print(f"Added by the plugin server alone, 1 client, {n_events} events each, ms\n")
    print(
        f"| PDK calls | {theirs.title} p50 | p99 | {ours.title} p50 | p99 | p50 ratio | p99 ratio |"
    )
    print("|---|---|---|---|---|---|---|")
    for n_calls in CALLS:
        their_p50, their_p99 = _percentiles_ms(theirs.latencies_s[n_calls])
        our_p50, our_p99 = _percentiles_ms(ours.latencies_s[n_calls])
        print(
            f"| {n_calls} | {their_p50:.3f} | {their_p99:.3f} | {our_p50:.3f} | {our_p99:.3f} "
            f"| {their_p50 / our_p50:.1f} | {their_p99 / our_p99:.1f} |"
        )
    print(
        f"\nEvents per second, {N_CLIENTS} clients, {CALLS_OF_CLIENTS} calls, median of 3 rounds\n"
    )
    print("| server | events/s | memory, MiB |")
    print("|---|---|---|")
    for one in (theirs, ours):
        memory_mib = one.server.resident_kib() / 1024
        print(f"| {one.title} | {statistics.median(one.events_per_s):,.0f} | {memory_mib:.0f} |")
    ratio = statistics.median(ours.events_per_s) / statistics.median(theirs.events_per_s)
    print(f"\nRatio: {ratio:.1f}")


def _percentiles_ms(taken_s: list[float]) -> tuple[float, float]:
    ordered = sorted(taken_s)
    return statistics.median(ordered) * 1000, ordered[int(len(ordered) * 0.99)] * 1000


def _connect_when_ready(server: ServerProcess) -> KongConnection:
    """kong-pdk says that it listens before it does."""
    server.wait_for_line("started at path")
    until = time.monotonic() + 10
    while True:
        try:
            return server.connect()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        chosen = sys.argv[2]
        del sys.argv[1:3]
        serve(chosen)
    else:
        main()
