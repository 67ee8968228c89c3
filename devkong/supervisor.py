"""Starts plugin servers, keeps them running, and stops them: what Kong's worker 0 does.

Their commands run with an empty environment, as nginx leaves it; only what `nginx_main_env` names
is passed on. (`sh` adds `PWD`, and Python its `LC_CTYPE`.)
"""

import asyncio
import logging
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from devkong.conf import PluginServerConf
from devkong.errors import ConfigError

QUERY_TIMEOUT_S = 30.0
MIN_LIFE_S = 1.0
"""A server that died is started again at once, but never twice within this time."""
STOP_GRACE_S = 3.0
SOCKET_WAIT_S = 10.0

_SHELL = "/bin/sh"
_COMMAND_NOT_FOUND = 127
_LINE_LIMIT_BYTES = 1024 * 1024

_log = logging.getLogger("devkong.supervisor")


def query(command: str, environment: Mapping[str, str]) -> str:
    """Run a query command and give what it prints.

    Raises:
        ConfigError: It cannot be run, fails or hangs.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the administrator's own command, as in Kong
            [_SHELL, "-c", command],
            env=dict(environment),
            capture_output=True,
            timeout=QUERY_TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        tail = error.stderr.decode(errors="replace")[-2000:]
        raise ConfigError(f"query_cmd failed ({error.returncode}): {command}\n{tail}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"query_cmd failed: {command}: {error}") from error
    return done.stdout.decode(errors="replace")


def environment_for(
    main_env: Sequence[tuple[str, str | None]], own: Mapping[str, str]
) -> dict[str, str]:
    """The environment of plugin servers: what `nginx_main_env` names, and nothing else."""
    environment: dict[str, str] = {}
    for name, value in main_env:
        if value is not None:
            environment[name] = value
        elif name in own:
            environment[name] = own[name]
    return environment


class Supervisor:
    """Looks after the plugin servers that have a start command.

    Args:
        servers: All plugin servers; those without a start command are somebody else's.
        environment: Their environment.
        on_change: Called whenever a process was started or has ended.
    """

    def __init__(
        self,
        servers: Sequence[PluginServerConf],
        environment: Mapping[str, str],
        on_change: Callable[[], None],
    ) -> None:
        self._servers = [server for server in servers if server.start_cmd]
        self._environment = dict(environment)
        self._on_change = on_change
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the running plugin servers, by name."""
        return {name: process.pid for name, process in self._processes.items()}

    async def start(self) -> None:
        """Start all, and wait until their sockets take connections.

        Kong itself does not wait. A server that is not up in time is only warned about.
        """
        for server in self._servers:
            self._keepers.append(asyncio.create_task(self._keep(server)))
        await asyncio.gather(*(_socket_is_up(server) for server in self._servers))

    async def stop(self) -> None:
        """Stop all; those that do not go are killed."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def _keep(self, server: PluginServerConf) -> None:
        while True:
            started = time.monotonic()
            process = await self._spawn(server)
            self._processes[server.name] = process
            self._on_change()
            try:
                await self._copy_output(server, process)
                status = await process.wait()
            except asyncio.CancelledError:
                await _end(process)
                raise
            finally:
                del self._processes[server.name]
                self._on_change()
            hint = ": command not found" if status == _COMMAND_NOT_FOUND else ""
            _log.warning("plugin server %r terminated: %s%s", server.name, status, hint)
            await asyncio.sleep(max(0.0, started + MIN_LIFE_S - time.monotonic()))

    async def _spawn(self, server: PluginServerConf) -> asyncio.subprocess.Process:
        _log.info("starting %s", server.name)
        return await asyncio.create_subprocess_exec(
            _SHELL,
            "-c",
            f"exec {server.start_cmd}",
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LINE_LIMIT_BYTES,
            start_new_session=True,  # Ctrl-C reaches devkong, which stops them in order
        )

    async def _copy_output(
        self, server: PluginServerConf, process: asyncio.subprocess.Process
    ) -> None:
        assert process.stdout is not None  # noqa: S101 - asked for above
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                continue  # a line longer than the limit; what is left of it comes next
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            _log.info("[%s:%d] %s", server.name, process.pid, text)


async def _end(process: asyncio.subprocess.Process) -> None:
    try:
        process.terminate()
        async with asyncio.timeout(STOP_GRACE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    except ProcessLookupError:
        pass


async def _socket_is_up(server: PluginServerConf) -> None:
    deadline = time.monotonic() + SOCKET_WAIT_S
    while time.monotonic() < deadline:
        try:
            _, writer = await asyncio.open_unix_connection(server.socket)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    _log.warning("plugin server %s does not listen on %s", server.name, server.socket)
