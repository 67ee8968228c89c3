"""What a plugin's `__main__.py` calls."""

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import uvloop
from kong_pdk.module import Module

from kong_plugins._runtime import flags, logs, measures, spans
from kong_plugins._runtime.description import describe, plugin_info
from kong_plugins._runtime.scraped import Scraped
from kong_plugins._runtime.server import KongConnection, PluginServer
from kong_plugins._runtime.watchdog import Watchdog, end_for_certain

_DRAIN_S: Final = 1.0
_END_S: Final = 2.5
"""Until the last spans have to be sent; Kong and devkong wait 3 s for the end of a server."""

_GIVE_WAY_S: Final = 0.0005
"""So long the thread that sends spans may keep the event loop waiting; CPython's own is 5 ms."""

_log = logging.getLogger(__name__)


def run(
    name: str,
    plugin: type,
    *,
    version: str,
    priority: int,
    schema: Sequence[Mapping[str, Any]],
) -> None:
    """Serve `plugin` to Kong until told to end, or describe it (`--dump`).

    Args:
        name: The plugin's name in Kong; the socket is `<prefix>/<name>.sock`.
        plugin: Built with the configuration Kong gives; its `async def` methods named after Kong's
            phases take `kong` (see `pdk.py`), and `async def close(self)`, if there is one, is
            awaited at the end.
        version: As the plugin's own; Kong shows it.
        priority: Kong runs plugins from the highest to the lowest.
        schema: The fields of the configuration, as Kong's schemas have them.

    Raises:
        TypeError: A phase is not `async def`.
    """
    options = flags.parse(name, sys.argv[1:])
    module = describe(name, plugin, version=version, priority=priority, schema=schema)
    if options.dump:
        sys.stdout.write(json.dumps([plugin_info(module)]))
        return
    handler = logs.start(
        logging.DEBUG if options.is_verbose else logging.INFO,
        sys.stdout.fileno(),
        is_json=options.is_json,
    )
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(logs.tell_loop_fault)
    try:
        loop.run_until_complete(_serve(module, options, handler))
    finally:
        end_for_certain(0)  # a plugin's thread that does not end must not keep the process
        handler.stop(1.0)
        loop.close()


async def _serve(module: Module, options: flags.Flags, handler: logs.PipeHandler) -> None:
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    scraped = None
    if options.metrics_at is not None:
        scraped = Scraped(options.metrics_at, measures.begin(module.name))
        scraped.start()
    tracer = None
    if options.traces_to is not None:
        from kong_plugins._runtime.otel import open_tracer  # noqa: PLC0415 - only where traced

        sys.setswitchinterval(_GIVE_WAY_S)
        tracer = open_tracer(module.name, options.traces_to)
        spans.begin(tracer)
    server = PluginServer(module, event_deadline_s=options.event_deadline_s, loop=loop)
    watchdog = Watchdog(
        loop, server.events, handler, parent_pid=_parent_pid(options), on_orphaned=ending.set
    )
    watchdog.start()
    sock, inode = _listening_socket(options.socket_path)
    listener = await loop.create_unix_server(
        lambda: KongConnection(server), sock=sock, backlog=options.listen_queue_size
    )
    for flag in options.ignored:
        _log.warning("--%s has no effect: this server runs on one event loop", flag)
    _log.info("server started at path %s", options.socket_path)
    # What is there now stays: the collector need not look at it during a request.
    gc.collect()
    gc.freeze()
    await ending.wait()
    ends_s = loop.time() + _END_S
    _log.info("terminating")
    _remove_socket(options.socket_path, inode)
    listener.close()
    await server.drain(_DRAIN_S)
    watchdog.stop()
    if tracer is not None:
        tracer.close(max(0.0, ends_s - loop.time()))
    if scraped is not None:
        await scraped.close()


def _parent_pid(options: flags.Flags) -> int | None:
    """Whose end is ours; nobody's in a container of our own, and when a person started us."""
    parent_pid = os.getppid()
    by_hand = sys.stdin is not None and sys.stdin.isatty()
    return None if options.is_standalone or by_hand or parent_pid <= 1 else parent_pid


def _listening_socket(path: Path) -> tuple[socket.socket, int]:
    """Listen at `path`, in place of whatever is there; give the socket and its file's inode.

    Bound beside it and moved, so that Kong finds a socket there at every moment: at a reload the
    server of the next worker takes over while the one before it is still running.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(beside))
    sock.listen()
    inode = beside.stat().st_ino
    beside.rename(path)
    return sock, inode


def _remove_socket(path: Path, inode: int) -> None:
    """Remove the socket, unless a later server has put its own there."""
    with contextlib.suppress(OSError):
        if path.stat().st_ino == inode:
            path.unlink()
