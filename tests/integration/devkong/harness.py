"""Starts devkong with real plugin servers, and an upstream that does what a path asks for."""

import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = Path(__file__).parent / "plugins"
START_TIMEOUT_S = 30.0

T = TypeVar("T")


@dataclass
class Upstream:
    """A tiny HTTP/1.1 server.

    Paths: `/echo` describes the request, `/status/<n>`, `/stream` (three chunks, each after
    `go()`), `/bytes/<n>`, `/truncated`, `/silent`, `/garbage`, anything else says `ok`.
    """

    port: int = 0
    seen: list[dict[str, Any]] = field(default_factory=list)
    stream_closed: asyncio.Event = field(default_factory=asyncio.Event)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    def go(self, chunks: int = 1) -> None:
        """Let the stream send so many more chunks."""
        for _ in range(chunks):
            self._turns.release()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await self._one(reader, writer)
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = [line.split(": ", 1) for line in head[1:] if line]
        lower = {name.lower(): value for name, value in headers}
        body = await reader.readexactly(int(lower.get("content-length", 0)))
        self.seen.append(
            {"method": method, "target": target, "headers": lower, "pairs": headers, "body": body}
        )
        kind, _, argument = target.partition("?")[0].strip("/").partition("/")
        if kind == "stream":
            await self._stream(reader, writer)
        elif kind == "truncated":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
            await writer.drain()
            raise ConnectionError
        elif kind == "silent":
            await reader.read()
            raise ConnectionError
        elif kind == "garbage":
            writer.write(b"what is that?\r\n\r\n")
            raise ConnectionError
        else:
            self._answer(writer, method, kind, argument, body)
        await writer.drain()

    def _answer(
        self, writer: asyncio.StreamWriter, method: str, kind: str, argument: str, body: bytes
    ) -> None:
        status, content = 200, b"ok"
        if kind == "status":
            status, content = int(argument), b"upstream says %b" % argument.encode()
        elif kind == "bytes":
            content = bytes(range(256)) * (int(argument) // 256)
        elif kind == "echo":
            content = json.dumps({"bytes": len(body)}).encode()
        lines = [f"HTTP/1.1 {status} Whatever", "X-Upstream: a", "X-Upstream: b", "Keep-Alive: 5"]
        if status not in (204, 304):
            lines += ["Content-Type: text/plain", f"Content-Length: {len(content)}"]
        has_body = method != "HEAD" and status not in (204, 304)
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + (content if has_body else b""))

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        gone = asyncio.ensure_future(reader.read())
        for number in range(3):
            turn = asyncio.ensure_future(self._turns.acquire())
            await asyncio.wait([turn, gone], return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                turn.cancel()
                self.stream_closed.set()
                raise ConnectionError
            chunk = b"data: %d\n\n" % number
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        gone.cancel()
        raise ConnectionError  # one stream a connection


@dataclass
class Running:
    """A devkong that runs."""

    url: str
    prefix: Path
    process: asyncio.subprocess.Process
    client: httpx.AsyncClient
    log: list[str] = field(default_factory=list)
    admin_url: str = ""

    def state(self) -> dict[str, Any]:
        """What devkong.json says."""
        state: dict[str, Any] = json.loads((self.prefix / "devkong.json").read_text())
        return state


@contextlib.asynccontextmanager
async def upstream() -> AsyncIterator[Upstream]:
    """Run an upstream on a free port."""
    stand_in = Upstream()
    server = await asyncio.start_server(stand_in.serve, "127.0.0.1", 0, limit=2**25)
    stand_in.port = server.sockets[0].getsockname()[1]
    try:
        yield stand_in
    finally:
        server.close()


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a short name: a Unix socket's path has room for 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="dk"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def server_lines(prefix: Path, *scripts: str, flags: str = "", is_ours: bool = True) -> str:
    """Lines of kong.conf for plugin servers run from test plugins."""
    lines = [f"pluginserver_names = {','.join(s.replace('_', '-') for s in scripts)}"]
    for script in scripts:
        command = f"{sys.executable} {PLUGINS / script}.py --kong-prefix {prefix} {flags}"
        name = script.replace("_", "-")
        lines.append(f"pluginserver_{script}_socket = {prefix}/{name}.sock")
        if is_ours:
            lines.append(f"pluginserver_{script}_start_cmd = {command} --no-lua-style")
        lines.append(f"pluginserver_{script}_query_cmd = {command} --dump")
    return "\n".join(lines) + "\n"


@contextlib.asynccontextmanager
async def devkong(
    prefix: Path,
    kong_yaml: dict[str, Any] | None,
    kong_conf: str = "",
    environment: dict[str, str] | None = None,
    options: tuple[str, ...] = (),
) -> AsyncIterator[Running]:
    """Run devkong as a process of its own until the block ends; `None`: with a database."""
    if kong_yaml is not None:
        (prefix / "kong.yaml").write_text(yaml.safe_dump({"_format_version": "3.0", **kong_yaml}))
        options = ("--kong-yaml", str(prefix / "kong.yaml"), *options)
    (prefix / "kong.conf").write_text(kong_conf)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "devkong", "-v", "--port", "0", "--prefix", str(prefix),
        *options, "--kong-conf", str(prefix / "kong.conf"),
        cwd=ROOT, env={"PATH": "/usr/bin:/bin", **(environment or {})},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    log: list[str] = []
    reading = asyncio.create_task(_collect(process.stderr, log))
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            line = await process.stdout.readline()
        assert line, "".join(log)
        ready = json.loads(line)
        url = f"http://{ready['host']}:{ready['port']}"
        async with httpx.AsyncClient(base_url=url, timeout=20.0, trust_env=False) as client:
            admin_url = f"http://{ready['host']}:{ready.get('admin_port')}"
            yield Running(url, prefix, process, client, log, admin_url)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await reading
        sys.stderr.write("".join(log))


async def _collect(stream: asyncio.StreamReader, into: list[str]) -> None:
    async for line in stream:
        into.append(line.decode(errors="replace"))


async def eventually(check: Callable[[], T], timeout_s: float = 10.0) -> T:
    """Wait until `check()` gives something true, and give that."""
    async with asyncio.timeout(timeout_s):
        while not (result := check()):  # noqa: ASYNC110 - other processes set no events
            await asyncio.sleep(0.01)
        return result


def call(method: str, *args: object) -> str:
    """One call for a scripted plugin."""
    return json.dumps([method, *args])


def gateway(port: int, plugins: list[dict[str, Any]], **service: object) -> dict[str, Any]:
    """A kong.yaml with one service and one route that takes everything."""
    route = {"name": "all", "paths": ["/"], "plugins": plugins}
    entry = {"name": "upstream", "url": f"http://127.0.0.1:{port}", "retries": 0, **service}
    return {"services": [{**entry, "routes": [route]}]}


def probe(*calls: str, **config: object) -> dict[str, Any]:
    """The plugin `probe` with these calls in access."""
    return {"name": "probe", "config": {"access": list(calls), **config}}


def late_probe(*calls: str, access: tuple[str, ...] = ()) -> dict[str, Any]:
    """The plugin `late-probe` with these calls in response."""
    return {"name": "late-probe", "config": {"response": list(calls), "access": list(access)}}


def results(upstream: Upstream) -> Any:
    """What the calls of `probe` gave, as the upstream saw it."""
    return json.loads(upstream.seen[-1]["headers"]["x-probe"])


def log_lines(file: Path) -> list[dict[str, Any]]:
    """What `probe` has logged so far."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
