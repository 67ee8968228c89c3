"""The command line of a plugin server: kong-pdk's, and what ours needs beside it."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from kong_pdk.const import __version__ as kong_pdk_version

DEFAULT_EVENT_DEADLINE_MS = 2500
"""Below the 3 s after which Kong, set up as we recommend, stops waiting and proxies the request."""

TRACES_VARIABLE: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""OpenTelemetry's own; Kong starts a server without it, a container may have it."""

_PORTS = 65536


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says.

    Args:
        socket_path: Where to listen.
        is_standalone: Stay when the parent process ends.
        metrics_at: Where Prometheus scrapes this process; `None` for nowhere.
        traces_to: Base URL of the collector of traces; `None` for none. It may hold a password.
        is_json: Log lines are objects.
    """

    dump: bool
    socket_path: Path
    is_verbose: bool
    listen_queue_size: int
    event_deadline_s: float
    is_standalone: bool
    metrics_at: tuple[str, int] | None
    traces_to: str | None = field(repr=False)
    is_json: bool
    ignored: tuple[str, ...]


def parse(name: str, arguments: Sequence[str]) -> Flags:
    """Read the command line of plugin `name`'s server; ends the process when it is wrong."""
    parser = argparse.ArgumentParser(description=f"Kong plugin server of {name}.")
    parser.add_argument(
        "-p", "--kong-prefix", "-kong-prefix", dest="prefix", type=Path, metavar="prefix",
        default=Path("/usr/local/kong/"), help="folder of the socket (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--socket-name", help=f"the socket's file name (default: {name}.sock)")
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="also log what is of use for debugging"
    )
    parser.add_argument(
        "--version", "-version", action="version", version=f"%(prog)s {kong_pdk_version}"
    )
    parser.add_argument("--listen-queue-size", type=int, default=4096)
    parser.add_argument("--dump", "-dump", action="store_true", help="describe the plugin and end")
    parser.add_argument(
        "--event-deadline-ms", type=_positive, default=DEFAULT_EVENT_DEADLINE_MS,
        help="longest time from Kong's event to its final answer (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--standalone", action="store_true", help="stay when the process that started this one ends"
    )
    parser.add_argument(
        "--metrics", type=_address, metavar="HOST:PORT",
        help="serve Prometheus's metrics of this process here (default: nowhere)",
    )  # fmt: skip
    parser.add_argument(
        "--traces", metavar="URL",
        help="send spans to the collector at this base URL for OTLP over HTTP, for example "
        f"http://127.0.0.1:4318 (default: {TRACES_VARIABLE}, else nowhere)",
    )  # fmt: skip
    parser.add_argument(
        "--log-format", choices=("kong", "json"), default="kong",
        help="how log lines are written (default: %(default)s)",
    )  # fmt: skip
    ignored = ("no_lua_style", "multiprocessing", "gevent")
    for flags in (("--no-lua-style",), ("-m", "--multiprocessing"), ("-g", "--gevent")):
        parser.add_argument(
            *flags, action="store_true", help="taken for kong-pdk's sake; no effect"
        )
    read = parser.parse_args(arguments)
    if not read.dump and not read.prefix.is_dir():
        parser.error(f"path {read.prefix} doesn't exist, can't create unix socket file")
    traces_to = None if read.dump else read.traces or os.environ.get(TRACES_VARIABLE)  # noqa: TID251 - no setting of the service
    if traces_to and not _is_http(traces_to):
        parser.error(f"--traces or {TRACES_VARIABLE} must be a URL such as http://127.0.0.1:4318")
    return Flags(
        dump=read.dump,
        socket_path=read.prefix / (read.socket_name or f"{name}.sock"),
        is_verbose=read.verbose > 0,
        listen_queue_size=read.listen_queue_size,
        event_deadline_s=read.event_deadline_ms / 1000,
        is_standalone=read.standalone,
        metrics_at=read.metrics,
        traces_to=traces_to or None,
        is_json=read.log_format == "json",
        ignored=tuple(flag for flag in ignored[1:] if getattr(read, flag)),
    )


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < _PORTS:
        raise argparse.ArgumentTypeError("must be HOST:PORT, for example 127.0.0.1:9101")
    return host.strip("[]"), int(port)


def _is_http(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False


def _positive(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise argparse.ArgumentTypeError("must be above zero")
    return number
