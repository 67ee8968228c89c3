"""Gatehouse beside other gateways: what each adds to the same call, and what it takes to run.

LiteLLM's proxy (PyPI) and Portkey's gateway (npm) are installed into a folder of their own, in the
versions below, and started one at a time, as Gatehouse is, in front of the same sandbox provider.
Bifrost is not among them: its Go module cannot be had from the module proxy.

What they do for a call differs, and so does what they cost: LiteLLM checks its master key, Portkey
checks nobody, Gatehouse checks a team's key, evaluates the policy, reserves and settles four
budgets and writes the ledger and the audit trail. That is over
devkong, which stands in for Kong and is written in Python.
None of them is given more than one worker.

    python -m tests.load.peers [--only litellm] [--requests 300] [--seconds 5] [--folder DIR]
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml

from tests.fixtures.gateway import PROVIDER_KEY, start_gateway
from tests.fixtures.services import free_port
from tests.load.figures import load, machine, percentile_ms
from tests.load.gateway_latency import COMPANY, OPENAI_MODEL, PROMPT, devkong, models
from tests.load.lean_http import Crowd, Question, client, crowd, question
from tests.load.processor_time import used_s

LITELLM = "litellm[proxy]==1.108.7"
PORTKEY = "@portkey-ai/gateway@1.15.2"
CLIENTS = (1, 16, 64)
_KEY = "sk-benchmark"
_START_TIMEOUT_S = 120.0
_WARM = 100


@dataclass(slots=True)
class Seen:
    """What one way through came to.

    Args:
        start_s: From its start to its first answer.
        memory_mb: Of all its processes, after the work; shared pages count once for each.
        processor_ms: Of all its processes, for one request of a single client.
    """

    title: str
    start_s: float | None = None
    memory_mb: float | None = None
    processor_ms: float | None = None
    alone_s: list[float] = field(default_factory=list)
    crowds: dict[int, Crowd] = field(default_factory=dict)


def measure(
    title: str, asked: Question, pids: Mapping[str, int], options: argparse.Namespace
) -> Seen:
    """Ask by one client, then by many at once."""
    seen = Seen(title)
    with client(asked) as one:
        for _ in range(_WARM):
            one.ask()
        before = sum(used_s(pids).values())
        seen.alone_s = [one.ask() for _ in range(options.requests)]
        seen.processor_ms = (sum(used_s(pids).values()) - before) * 1000 / options.requests
    for n_clients in CLIENTS:
        crowd(lambda: asked, n_clients, 0.5, counts_refusals=True)
        seen.crowds[n_clients] = crowd(
            lambda: asked, n_clients, options.seconds, counts_refusals=True
        )
    if pids:
        seen.memory_mb = _memory_mb(pids.values())
    return seen


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], asked: Question, log: Path
) -> Iterator[tuple[int, float]]:
    """A gateway from its start on; gives its process id, and the seconds until it answered.

    Raises:
        RuntimeError: It did not; the message ends with its last words.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME")}  # noqa: TID251 - no more than that
    began = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            env={**kept, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while not _answers(asked):
            if process.poll() is not None or time.perf_counter() - began > _START_TIMEOUT_S:
                raise RuntimeError(f"{command[0]} does not answer:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield process.pid, time.perf_counter() - began
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def install_litellm(folder: Path) -> Path:
    """Its program, in an environment of its own."""
    program = folder / "litellm" / "bin" / "litellm"
    if not program.is_file():
        print(f"installing {LITELLM} into {folder} ...", flush=True)
        _run(sys.executable, "-m", "venv", str(folder / "litellm"))
        _run(str(folder / "litellm/bin/python"), "-m", "pip", "install", "--quiet", LITELLM)
    return program


def install_portkey(folder: Path) -> Path:
    """Its script for Node."""
    script = folder / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
    if not script.is_file():
        print(f"installing {PORTKEY} into {folder} ...", flush=True)
        npm = shutil.which("npm")
        if npm is None:
            raise SystemExit("Portkey's gateway needs Node.js with npm")
        (folder / "portkey").mkdir(parents=True, exist_ok=True)
        _run(npm, "install", "--silent", "--prefix", str(folder / "portkey"), PORTKEY)
    return script


def litellm(sandbox: str, folder: Path, work: Path, options: argparse.Namespace) -> Seen:
    """One worker, a master key, no database."""
    port = free_port()
    config = {
        "model_list": [
            {
                "model_name": "direct",
                "litellm_params": {
                    "model": f"openai/{OPENAI_MODEL}",
                    "api_base": f"{sandbox}/openai/v1",
                    "api_key": PROVIDER_KEY,
                },
            }
        ],
        "litellm_settings": {"telemetry": False},
    }
    (work / "litellm.yaml").write_text(yaml.safe_dump(config))
    asked = _asked(f"http://127.0.0.1:{port}/v1/chat/completions", "direct", _KEY)
    program = install_litellm(folder)
    command = [
        *(str(program), "--config", str(work / "litellm.yaml"), "--num_workers", "1"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    settings = {
        "LITELLM_MASTER_KEY": _KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
    }
    with running(command, settings, asked, work / "litellm.log") as (pid, start_s):
        seen = measure(LITELLM.replace("[proxy]==", " "), asked, {"litellm": pid}, options)
    seen.start_s = start_s
    return seen


def portkey(sandbox: str, folder: Path, work: Path, options: argparse.Namespace) -> Seen:
    """Told by headers where to go and with which key; it checks nobody."""
    port = free_port()
    more = {
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": f"{sandbox}/openai/v1",
    }
    asked = _asked(f"http://127.0.0.1:{port}/v1/chat/completions", OPENAI_MODEL, PROVIDER_KEY, more)
    script = install_portkey(folder)
    node = shutil.which("node") or "node"
    command = [node, str(script), f"--port={port}", "--headless"]
    settings = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost", "NODE_ENV": "production"}
    with running(command, settings, asked, work / "portkey.log") as (pid, start_s):
        seen = measure(
            PORTKEY.replace("@portkey-ai/gateway@", "portkey "), asked, {"p": pid}, options
        )
    seen.start_s = start_s
    return seen


def report(ways: Sequence[Seen], straight: Seen) -> None:
    """Print the tables; what is added is counted from the provider asked without a gateway."""
    n_requests = len(straight.alone_s)
    print(f"\nOne client, {n_requests} requests, ms. Added: the provider's own taken off.\n")
    print("| way | p50 | p99 | added p50 | added p99 | processor | memory, MB | start, s |")
    print("|---|---|---|---|---|---|---|---|")
    for way in ways:
        p50, p99 = percentile_ms(way.alone_s, 50), percentile_ms(way.alone_s, 99)
        added = (
            p50 - percentile_ms(straight.alone_s, 50),
            p99 - percentile_ms(straight.alone_s, 99),
        )
        print(
            f"| {way.title} | {p50:.2f} | {p99:.2f} | {added[0]:+.2f} | {added[1]:+.2f}"
            f" | {_shown(way.processor_ms, '.2f')} | {_shown(way.memory_mb, '.0f')}"
            f" | {_shown(way.start_s, '.1f')} |"
        )
    for n_clients in CLIENTS:
        print(f"\n{n_clients} at once:\n")
        print("| way | requests/s | p50, ms | p99, ms | refused |\n|---|---|---|---|---|")
        for way in ways:
            met = way.crowds[n_clients]
            print(
                f"| {way.title} | {met.per_second:,.0f} | {percentile_ms(met.taken_s, 50):.1f}"
                f" | {percentile_ms(met.taken_s, 99):.1f} | {met.n_refused} |"
            )


def main() -> None:
    """Take one gateway after the other, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=["litellm", "portkey"], help="one of the others")
    parser.add_argument("--requests", type=int, default=300, help="by the single client")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each crowd")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path.home() / ".cache" / "gatehouse-peers",
        help="where the others are installed (%(default)s)",
    )
    options = parser.parse_args()
    print(machine(), flush=True)
    peers = {"litellm": litellm, "portkey": portkey}
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as text:
        work = Path(text)
        began = time.perf_counter()
        (work / "gatehouse").mkdir()
        gateway = stack.enter_context(
            start_gateway(work / "gatehouse", company=COMPANY, models=models)
        )
        start_s = time.perf_counter() - began
        sandbox = gateway.sandbox_url
        provider = _asked(f"{sandbox}/openai/v1/chat/completions", OPENAI_MODEL, PROVIDER_KEY)
        straight = measure("the provider itself", provider, {}, options)
        ways = [straight]
        with devkong(work / "plain", _proxied(sandbox)) as url:
            asked = _asked(f"{url}/openai/v1/chat/completions", OPENAI_MODEL, PROVIDER_KEY)
            ways.append(measure("devkong without plugins", asked, {}, options))
        pids = {name: one.pid for name, one in gateway.running.items() if name != "sandbox"}
        url, key = f"{gateway.gateway_url}/v1/chat/completions", gateway.keys["team"]
        for title, alias in (("Gatehouse, direct", "direct"), ("Gatehouse, relayed", "relayed")):
            ways.append(measure(title, _asked(url, alias, key), pids, options))
            ways[-1].start_s = start_s
        for name, peer in peers.items():
            if options.only in {None, name}:
                ways.append(peer(sandbox, options.folder, work, options))
        report(ways, straight)
    print(f"\nAt the end: {load()}")


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _proxied(sandbox: str) -> dict[str, object]:
    return {
        "services": [
            {
                "name": "openai",
                "url": f"{sandbox}/openai",
                "routes": [{"name": "openai", "paths": ["/openai"]}],
            }
        ]
    }


def _asked(url: str, model: str, key: str, more: Mapping[str, str] | None = None) -> Question:
    body = {
        "model": model,
        "max_tokens": 200,
        "messages": [{"role": "user", "content": PROMPT}],
    }
    return question(url, body, {"authorization": f"Bearer {key}", **(more or {})})


def _answers(asked: Question) -> bool:
    head, _, body = asked.message.partition(b"\r\n\r\n")
    lines = (line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    headers = {name: value for name, value in lines if name not in {"Host", "Content-Length"}}
    try:
        return httpx.post(asked.url, content=body, headers=headers, timeout=10).is_success
    except httpx.HTTPError:
        return False


def _memory_mb(pids: Iterable[int]) -> float:
    """Of processes and all that they started."""
    total_kb = 0
    wanted = set(pids)
    for _ in range(8):  # children of children
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent in wanted:
                wanted.add(int(folder.name))
    for pid in wanted:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total_kb += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kb / 1024


def _shown(value: float | None, how: str) -> str:
    return "" if value is None else format(value, how)


if __name__ == "__main__":
    main()
