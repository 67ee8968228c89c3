"""devkong as one running thing: read the files, start the plugin servers, listen, stop."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from devkong.admin.api import AdminApi
from devkong.admin.store import Store
from devkong.conf import KongConf, read_conf
from devkong.declarative import read_declaration
from devkong.entities import Declaration
from devkong.errors import ConfigError
from devkong.gateway import Gateway
from devkong.http_server import Handler, HttpConnection
from devkong.plugins import PluginSet
from devkong.supervisor import Supervisor, environment_for, query
from devkong.vault import Vault

STATE_FILE = "devkong.json"
_BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Options:
    """How devkong is to be started.

    Attributes:
        kong_yaml: Without one devkong is a Kong with a database: empty, until the Admin API fills
            it. Nothing is kept over a restart.
        port: 0 takes a free one.
        admin_port: For the Admin API; 0 takes a free one, `None` is no Admin API.
        prefix: Folder for `devkong.json`; made when missing.
        environment: devkong's own; the env vault reads it.
    """

    kong_yaml: Path | None
    kong_conf: Path | None
    prefix: Path
    host: str
    port: int
    environment: Mapping[str, str]
    admin_port: int | None = None


class Devkong:
    """One devkong.

    Raises:
        ConfigError: The configuration cannot be used.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        conf = read_conf(options.kong_conf) if options.kong_conf else KongConf()
        environment = environment_for(conf.main_env, options.environment)
        path = options.kong_yaml
        declaration = Declaration() if path is None else read_declaration(path)
        plugins = PluginSet(
            conf,
            declaration,
            Vault(options.environment),
            lambda command: query(command, environment),
        )
        self._conf = conf
        self._gateway = Gateway(declaration, plugins)
        self._supervisor = Supervisor(conf.plugin_servers, environment, self._write_state)
        store = Store(declaration, plugins, self._gateway.configure, is_writable=path is None)
        self._admin = AdminApi(store, plugins, conf)
        self._socket = _listening_socket(options.host, options.port)
        self.port: int = self._socket.getsockname()[1]
        self._admin_socket = (
            None
            if options.admin_port is None
            else _listening_socket(options.host, options.admin_port)
        )
        options.prefix.mkdir(parents=True, exist_ok=True)

    @property
    def admin_port(self) -> int | None:
        """Where the Admin API listens; `None` when it does not."""
        return None if self._admin_socket is None else int(self._admin_socket.getsockname()[1])

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT.

        Args:
            on_ready: Called once requests are answered.
        """
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        tasks: set[asyncio.Task[None]] = set()
        await self._supervisor.start()
        servers = [await self._serve(self._gateway.handle, self._socket, tasks)]
        if self._admin_socket is not None:
            servers.append(await self._serve(self._admin.handle, self._admin_socket, tasks))
        self._write_state()
        on_ready()
        try:
            await stopping.wait()
        finally:
            for server in servers:
                server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._gateway.close()
            await self._supervisor.stop()

    async def _serve(
        self, handler: Handler, listener: socket.socket, tasks: set[asyncio.Task[None]]
    ) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(
            lambda: HttpConnection(
                handler,
                body_buffer_bytes=self._conf.body_buffer_bytes,
                max_body_bytes=self._conf.max_body_bytes,
                tasks=tasks,
            ),
            sock=listener,
            backlog=_BACKLOG,
        )

    def _write_state(self) -> None:
        """Write process ids and port where tests and the demo look for them."""
        state = {"pid": os.getpid(), "port": self.port, "pluginservers": self._supervisor.pids}
        path = self._options.prefix / STATE_FILE
        new = path.with_suffix(".tmp")
        new.write_text(json.dumps(state) + "\n", encoding="utf-8")
        new.replace(path)


def _listening_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setblocking(False)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener
