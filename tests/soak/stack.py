"""The whole gateway as real processes, with a wire at each way between them.

Kong's stand-in with the plugins' own servers, two processes of the policy service, two sandboxes
with several providers each, Redis that keeps its data, PostgreSQL, and an OPA server.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
import yaml

from policy_service.bundled import bundled
from policy_service.cli.demo import processes
from policy_service.cli.kong import config_lines
from tests.fixtures.gateway import (
    HOST,
    NAMES,
    PROVIDER_KEY,
    SECRETS,
    apply_company,
    free_ports,
    point,
)
from tests.fixtures.opa_server import OpaServer, start_opa
from tests.fixtures.postgres_server import PostgresServer, start_postgres
from tests.fixtures.redis_server import RedisServer, start_redis
from tests.soak.company import COMPANY, models, prices
from tests.soak.faults import Part
from tests.soak.questions import MAX_BODY_BYTES
from tests.soak.wires import Wire

LEASE_S = 20.0
_DATABASE_PASSWORD = "database-password-4b1f"
_REDIS_PASSWORD = "redis-password-9c2e"
_PATIENCE_S = 15.0
"""No call takes longer: the relay's timeout in all, and Kong's for an answer."""
_SETTINGS = {
    "POLICY_LEASE_S": str(LEASE_S),
    "POLICY_SWEEP_INTERVAL_S": "0.5",
    "POLICY_FIRST_BYTE_TIMEOUT_S": "5",
    "POLICY_IDLE_TIMEOUT_S": "5",
    "POLICY_TOTAL_TIMEOUT_S": str(_PATIENCE_S),
    "POLICY_BREAKER_OPEN_S": "0.5",
    "POLICY_BREAKER_MAX_OPEN_S": "2",
    "POLICY_AUDIT_CHECKPOINT_S": "5",
}


@dataclass
class Stack:
    """Everything that runs.

    Args:
        records: What the sandboxes served.
        database: Of PostgreSQL; `database_url` is the way to it past the wire.
        secrets: By name; none of them may be in a log.
        is_ending: Nothing is started again.
    """

    folder: Path
    url: str
    prefix: Path
    keys: Mapping[str, str]
    specs: Mapping[str, processes.Spec]
    wires: Mapping[Part, Wire]
    redis: RedisServer
    postgres: PostgresServer
    opa: OpaServer
    database_url: str
    records: tuple[Path, ...]
    public_key: Path
    secrets: dict[str, str]
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    is_ending: bool = False
    _starts: int = 0

    @property
    def logs(self) -> Path:
        """A folder for each start of each process."""
        return self.folder / "logs"

    def start(self, name: str) -> None:
        """Start a process; again and again, as an init system does, until it stays."""
        spec = self.specs[name]
        for attempt in range(1, 100):
            if self.is_ending:
                return
            self._starts += 1
            logs = self.logs / f"{self._starts:03d}"
            logs.mkdir(parents=True)
            process = self.running[name] = processes.start(spec, logs)
            try:
                processes.wait_ready(spec, process, logs, lambda _: None)
            except typer.Exit:
                if attempt == 99 or process.poll() is None:
                    raise
                continue
            return

    def stop(self, name: str) -> None:
        """Stop a process with all that it has started."""
        process = self.running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGCONT)
        processes.stop({name: process.pid})
        process.wait(10)

    def kill(self, name: str) -> None:
        """As the kernel does when there is no memory."""
        process = self.running[name]
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def pid_of(self, part: str) -> int | None:
        """The process that is a part; `None` while it does not run."""
        match part:
            case Part.REDIS:
                return self.redis.pid
            case Part.POSTGRES:
                return self.postgres.pid
            case Part.OPA:
                return self.opa.pid
            case Part.AUTH | Part.METER | Part.TRANSFORM:
                state = json.loads((self.prefix / "devkong.json").read_text("utf-8"))
                pid: int | None = state["pluginservers"].get(part)
                return pid
            case _:
                process = self.running.get(part)
                return process.pid if process is not None and process.poll() is None else None


@asynccontextmanager
async def start_stack(folder: Path) -> AsyncIterator[Stack]:
    """Start everything on free ports, and stop it at the end."""
    with ExitStack() as outer:
        stack = await asyncio.to_thread(outer.enter_context, _services(folder))
        try:
            for wire in stack.wires.values():
                await wire.start()
            await asyncio.to_thread(_start_all, stack)
            yield stack
        finally:
            for name in reversed(list(stack.running)):
                await asyncio.to_thread(stack.stop, name)
            for wire in stack.wires.values():
                await wire.stop()


def _start_all(stack: Stack) -> None:
    for name in stack.specs:
        stack.start(name)


@contextmanager
def _services(folder: Path) -> Iterator[Stack]:
    """The services that are not ours run; of our own processes it is only known how they start."""
    with (
        start_postgres() as postgres,
        start_redis(keeps_data=True, password=_REDIS_PASSWORD) as redis,
        start_opa(bundled("rego")) as opa,
    ):
        yield _laid_out(folder, postgres, redis, opa)


def _laid_out(folder: Path, postgres: PostgresServer, redis: RedisServer, opa: OpaServer) -> Stack:
    ports: dict[str, int] = dict(
        zip([*Part, "gateway", "admin"], free_ports(len(Part) + 2), strict=True)
    )
    wires = {
        Part.POLICY_WIRE: [ports[Part.POLICY_1], ports[Part.POLICY_2]],
        Part.REDIS_WIRE: [redis.port],
        Part.POSTGRES_WIRE: [postgres.port],
        Part.OPA_WIRE: [opa.port],
        Part.SANDBOX_1_WIRE: [ports[Part.SANDBOX_1]],
        Part.SANDBOX_2_WIRE: [ports[Part.SANDBOX_2]],
    }
    prefix = folder / "kong"
    prefix.mkdir(parents=True)
    database_url = postgres.create_database()
    database = database_url.rpartition("/")[2]
    # A commit that was told is kept, whoever is killed then.
    postgres.psql(f"ALTER DATABASE {database} SET synchronous_commit = on")
    sandboxes = [
        f"http://{HOST}:{ports[part]}" for part in (Part.SANDBOX_1_WIRE, Part.SANDBOX_2_WIRE)
    ]
    _write(folder, sandboxes, f"http://{HOST}:{ports[Part.POLICY_WIRE]}", prefix)
    keys = apply_company(folder / "company.yaml", database_url)
    _run(folder, "audit", "keys", "-d", str(folder))
    service = {
        **SECRETS,
        **_SETTINGS,
        **{f"POLICY_CREDENTIALS__{name.upper()}": PROVIDER_KEY for name in NAMES},
        "POLICY_DATABASE_URL": f"postgresql+asyncpg://gatehouse:{_DATABASE_PASSWORD}"
        f"@{HOST}:{ports[Part.POSTGRES_WIRE]}/{database}",
        "POLICY_REDIS_URL": f"redis://:{_REDIS_PASSWORD}@{HOST}:{ports[Part.REDIS_WIRE]}/0",
        "POLICY_OPA_URL": f"http://{HOST}:{ports[Part.OPA_WIRE]}",
        "POLICY_MODELS_FILE": str(folder / "models.yaml"),
        "POLICY_PRICES_DIR": str(folder / "prices"),
        "POLICY_AUDIT_KEY_FILE": str(folder / "audit-key.pem"),
    }
    vault = {
        "GATEHOUSE_INTERNAL_SECRET": SECRETS["POLICY_INTERNAL_SECRET"],
        **{f"{name.upper()}_API_KEY": PROVIDER_KEY for name in NAMES},
    }
    records = {part: folder / f"{part}.jsonl" for part in (Part.SANDBOX_1, Part.SANDBOX_2)}
    specs: dict[str, processes.Spec] = {
        **{part: _sandbox(part, ports[part], record) for part, record in records.items()},
        **{part: _policy(part, ports[part], service) for part in (Part.POLICY_1, Part.POLICY_2)},
        "gateway": processes.Spec(
            "gateway",
            (
                *("-m", "devkong", "--port", str(ports["gateway"]), "--prefix", str(prefix)),
                *("--kong-conf", str(folder / "kong.conf")),
                *("--kong-yaml", str(folder / "kong.yaml")),
                *("--admin-port", str(ports["admin"])),
            ),
            vault,
            f"http://{HOST}:{ports['gateway']}/v1/models",
        ),
    }
    return Stack(
        folder=folder,
        url=f"http://{HOST}:{ports['gateway']}",
        prefix=prefix,
        keys=keys,
        specs=specs,
        wires={part: Wire(targets, ports[part]) for part, targets in wires.items()},
        redis=redis,
        postgres=postgres,
        opa=opa,
        database_url=database_url,
        records=tuple(records.values()),
        public_key=folder / "audit-key.pub.pem",
        secrets={
            **SECRETS,
            **{f"the key {name}": key for name, key in keys.items()},
            "the providers' credential": PROVIDER_KEY,
            "the database's password": _DATABASE_PASSWORD,
            "Redis' password": _REDIS_PASSWORD,
        },
    )


def _write(folder: Path, sandboxes: list[str], policy_url: str, prefix: Path) -> None:
    (folder / "prices").mkdir()
    (folder / "prices" / "soak.yaml").write_text(prices())
    (folder / "models.yaml").write_text(yaml.safe_dump(models(sandboxes)))
    (folder / "company.yaml").write_text(yaml.safe_dump(COMPANY))
    kong: dict[str, Any] = yaml.safe_load(bundled("kong.yaml").read_text())
    point(kong, policy_url, prefix)
    for service in kong["services"]:
        service["read_timeout"] = int(_PATIENCE_S * 1000)
        for route in service["routes"]:
            for plugin in route["plugins"]:
                plugin["config"]["max_body_bytes"] = MAX_BODY_BYTES
    (folder / "kong.yaml").write_text(yaml.safe_dump(kong))
    (folder / "kong.conf").write_text(config_lines(prefix, Path(sys.executable)) + "\n")


def _sandbox(part: str, port: int, record: Path) -> processes.Spec:
    arguments = ("-m", "sandbox", "--port", str(port), "--record", str(record))
    return processes.Spec(part, arguments, {}, f"http://{HOST}:{port}/_sandbox/health")


def _policy(part: str, port: int, settings: Mapping[str, str]) -> processes.Spec:
    arguments = ("-m", "policy_service", "serve", "--port", str(port))
    return processes.Spec(part, arguments, settings, f"http://{HOST}:{port}/healthz")


def _run(folder: Path, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "policy_service", *arguments],
        check=True,
        capture_output=True,
        cwd=folder,
    )
