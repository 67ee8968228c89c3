"""How long each process takes until it answers for the first time, and how much memory it holds.

    python -m tests.load.starting [--rounds 5]

`--dump` is what Kong runs when it starts, once for each plugin. A plugin server has started when it
has answered an RPC on its socket; the policy service, with SQLite and the embedded engine, when
`/readyz` says 200. Everything is started once before, so that files are in the system's cache and
the service's tables are made: that is its very first start.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import httpx
import yaml

from policy_service.cli.demo import processes
from tests.fakes.running_service import MODELS
from tests.fixtures.services import free_port
from tests.integration.runtime.kong_side import KongConnection, short_folder
from tests.load.figures import load, machine

PLUGINS = ("llm-auth", "llm-token-meter", "llm-provider-transform")
_GIVE_UP_S = 60.0
_TEXT = "How many tokens are these? " * 20


def module(plugin: str) -> str:
    """A plugin's package."""
    return f"kong_plugins.{plugin.replace('-', '_')}"


def dumped_s(plugin: str) -> float:
    """Seconds of `--dump`."""
    started_s = perf_counter()
    subprocess.run(
        [sys.executable, "-m", module(plugin), "--dump"], check=True, stdout=subprocess.DEVNULL
    )
    return perf_counter() - started_s


@contextmanager
def plugin_server(plugin: str) -> Iterator[tuple[float, int]]:
    """Start a plugin server: seconds to its first answer, and its process."""
    with short_folder() as prefix:
        command = [sys.executable, "-m", module(plugin), "--kong-prefix", str(prefix)]
        started_s = perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _until(lambda: _has_answered(prefix / f"{plugin}.sock"))
            yield perf_counter() - started_s, process.pid
        finally:
            process.kill()
            process.wait()


@contextmanager
def service(folder: Path) -> Iterator[tuple[float, int]]:
    """Start the policy service: seconds until it is ready, and its process."""
    (folder / "models.yaml").write_text(yaml.safe_dump(MODELS), encoding="utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}/readyz"
    spec = processes.Spec(
        "policy",
        ("-m", "policy_service", "serve", "--port", str(port)),
        {
            "POLICY_INTERNAL_SECRET": "internal-0123456789abcdef",
            "POLICY_TICKET_SECRET": "ticket-0123456789abcdef",
            "POLICY_ADMIN_TOKEN": "root-0123456789abcdef",
            "POLICY_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/gatehouse.db",
            "POLICY_MODELS_FILE": str(folder / "models.yaml"),
            "POLICY_CREDENTIALS__OPENAI": "sk-test",
        },
        url,
    )
    started_s = perf_counter()
    process = processes.start(spec, folder)
    try:
        _until(lambda: _is_ready(url))
        yield perf_counter() - started_s, process.pid
    finally:
        processes.stop({"policy": process.pid})


def tokenizer_mb() -> float:
    """What a process grows by when it has counted a text with OpenAI's tokenizer."""
    program = (
        "from tests.load.starting import resident_mb\n"
        "from llm_core.tokens.estimate import openai_counter\n"
        "import os\n"
        "before = resident_mb(os.getpid())\n"
        f"openai_counter()({_TEXT!r})\n"
        "print(resident_mb(os.getpid()) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def resident_mb(pid: int) -> float:
    """Memory that a process holds, in megabytes of a million bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _has_answered(path: Path) -> bool:
    try:
        with contextlib.closing(KongConnection(path)) as connection:
            connection.call("plugin.GetStatus")
    except OSError:
        return False
    return True


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _until(is_so: Callable[[], bool]) -> None:
    until_s = perf_counter() + _GIVE_UP_S
    while not is_so():
        if perf_counter() > until_s:
            raise TimeoutError("it does not start")
        time.sleep(0.005)


def _row(name: str, taken_s: Sequence[float], target: str, memory_mb: float | None = None) -> None:
    memory = "" if memory_mb is None else f"{memory_mb:.0f}"
    print(
        f"| {name} | {statistics.median(taken_s):.2f} | {max(taken_s):.2f} | {target} | {memory} |"
    )


def main() -> None:
    """Start each, as often, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(machine())
    print(
        "| what | median s | slowest s | target | MB when it has started |\n|---|---|---|---|---|"
    )
    for plugin in PLUGINS:
        dumped_s(plugin)
        _row(f"`{plugin} --dump`", [dumped_s(plugin) for _ in range(rounds)], "< 0.5 s")
    for plugin in PLUGINS:
        taken_s, held_mb = [], 0.0
        for _ in range(rounds):
            with plugin_server(plugin) as (one_s, pid):
                taken_s.append(one_s)
                held_mb = max(held_mb, resident_mb(pid))
        _row(f"`{plugin}`, first answer", taken_s, "< 1 s, <= 90 MB", held_mb)
    taken_s, held_mb = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds + 1):
            with service(Path(folder)) as (one_s, pid):
                taken_s.append(one_s)
                held_mb = max(held_mb, resident_mb(pid))
    _row("policy service, its very first start", taken_s[:1], "")
    _row("policy service, ready", taken_s[1:], "< 3 s, <= 250 MB", held_mb)
    print(f"\nThe tokenizer, in each process that has counted: {tokenizer_mb():.0f} MB")
    print(load())


if __name__ == "__main__":
    main()
