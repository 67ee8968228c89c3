"""What the whole gateway adds to a call, measured against the same gateway without plugins.

Starts everything as real processes on free ports: the sandbox in place of the providers, the policy
service, devkong with the three plugin servers, a second devkong without plugins that proxies
straight to the sandbox, and a third with plugins that only make the same PDK calls. All ways are
taken in turn, round by round, so that whatever else the machine does falls on each of them; what is
printed is the difference. A minute and a half, two with `--services`:

    python -m tests.load.gateway_latency [--services] [--rounds 10] [--requests 20] [--seconds 1]

`--services` adds a second gateway, on real PostgreSQL, Redis and OPA. devkong stands in for Kong
and is written in Python: it takes more of the two cores than Kong would, and what a PDK call costs
on a real Kong stands in `docs/performance.md`.
"""

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from policy_service.bundled import bundled
from policy_service.cli.demo import processes
from tests.fixtures.gateway import PROVIDER_KEY, Gateway, deployment, start_gateway
from tests.fixtures.opa_server import start_opa
from tests.fixtures.postgres_server import start_postgres
from tests.fixtures.redis_server import start_redis
from tests.load.figures import load, machine, median_of_rounds_ms, percentile_ms
from tests.load.lean_http import Client, Question, client, crowd, question
from tests.load.processor_time import used_s
from tests.load.thoughtless_plugins import PLUGINS, conf

N_CLIENTS = 16
_LIMITS = {"usd_per_month": 100_000, "requests_per_minute": 10**7, "tokens_per_minute": 10**9}
COMPANY = {
    "id": "acme",
    "allowed_models": ["*"],
    "limits": {"usd_per_month": 1_000_000},
    "departments": [
        {
            "id": "engineering",
            "limits": {"usd_per_month": 500_000},
            "teams": [{"id": "search", "limits": _LIMITS, "keys": [{"name": "team"}]}],
        }
    ],
}
PROMPT = "Summarise the minutes of yesterday's meeting in three short sentences. " * 8
OPENAI_MODEL, ANTHROPIC_MODEL = "gpt-4o-mini", "claude-sonnet-4-5"
PACED = "--pace-1000--words-12"
"""At 1,000 tokens a second the first token leaves the sandbox alone; unpaced, all leave at once."""

_AFTERMATH_S = 0.5
"""Reports, settling and the ledger come after the answer."""

_TIMED = {f"embedded: {what}" for what in ("direct, whole answer", "first token, openai")}
_SHOWN = {"gateway": "devkong", "policy": "policy service", "sandbox": "sandbox (the provider)"}
_AGAIN_WARM = 5
"""Requests off the clock at each way's turn: it has slept while the others were asked."""


_TOKEN_OF_OPENAI = re.compile(rb'"content":\s*"[^"]')
_TOKEN_OF_ANTHROPIC = re.compile(rb'"text_delta","text":\s*"[^"]')


@dataclass
class Way:
    """One way through, and how long it took, round by round.

    Args:
        baseline: What is taken off; `None` for a baseline itself.
        has_throughput: Whether it is asked by many at once, too.
    """

    title: str
    asked: Question
    baseline: "Way | None" = None
    has_throughput: bool = False
    rounds: list[list[float]] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)

    @property
    def taken_s(self) -> list[float]:
        """All rounds together."""
        return [taken for one in self.rounds for taken in one]


def models(sandbox_url: str) -> dict[str, Any]:
    """One deployment goes direct, two go by the relay; streams go by the relay anyway."""

    def openai(model: str, **more: str) -> dict[str, Any]:
        return deployment("openai", sandbox_url, model, **more)

    def anthropic(model: str) -> dict[str, Any]:
        return deployment("anthropic", sandbox_url, model)

    return {
        "models": [
            {"alias": "direct", "deployments": [openai(OPENAI_MODEL)]},
            {
                "alias": "relayed",
                "deployments": [openai(OPENAI_MODEL), openai(OPENAI_MODEL, id="second")],
            },
            {"alias": "anthropic", "deployments": [anthropic(ANTHROPIC_MODEL)]},
            {"alias": "paced", "deployments": [openai(OPENAI_MODEL + PACED)]},
            {"alias": "anthropic-paced", "deployments": [anthropic(ANTHROPIC_MODEL + PACED)]},
        ]
    }


@contextmanager
def devkong(folder: Path, declared: Mapping[str, Any], conf: str = "") -> Iterator[str]:
    """Another devkong, without Gatehouse; gives its URL."""
    folder.mkdir()
    (folder / "kong.yaml").write_text(yaml.safe_dump({"_format_version": "3.0", **declared}))
    (folder / "kong.conf").write_text(conf)
    port = _free_port()
    spec = processes.Spec(
        "devkong",
        (
            *("-m", "devkong", "--port", str(port), "--prefix", str(folder)),
            *("--kong-yaml", str(folder / "kong.yaml"), "--kong-conf", str(folder / "kong.conf")),
        ),
        {},
        f"http://127.0.0.1:{port}/",
    )
    process = processes.start(spec, folder)
    try:
        processes.wait_ready(spec, process, folder, lambda _: None)
        yield f"http://127.0.0.1:{port}"
    finally:
        processes.stop({"devkong": process.pid})
        process.poll()


def without_plugins(sandbox_url: str) -> dict[str, Any]:
    """Straight to the sandbox."""
    return {
        "services": [
            {
                "name": name,
                "url": f"{sandbox_url}/{name}",
                "routes": [{"name": name, "paths": [f"/{name}"]}],
            }
            for name in ("openai", "anthropic")
        ]
    }


def with_thoughtless_plugins(sandbox_url: str) -> dict[str, Any]:
    """To the sandbox by way of plugins that only make PDK calls."""
    declared = without_plugins(sandbox_url)
    target = {
        "target": f"{sandbox_url}/openai/v1/chat/completions",
        "credential": PROVIDER_KEY,
    }
    return {**declared, "plugins": [{"name": n, "config": target} for n in PLUGINS]}


def baselines(plain_url: str) -> dict[str, Way]:
    """Without plugins: the provider's own wire format, the provider's own key."""
    openai = {"authorization": f"Bearer {PROVIDER_KEY}"}
    anthropic = {"x-api-key": PROVIDER_KEY, "anthropic-version": "2023-06-01"}

    def asked(model: str, *, streams: bool) -> Question:
        is_openai = model.startswith(OPENAI_MODEL)
        path = "/openai/v1/chat/completions" if is_openai else "/anthropic/v1/messages"
        token = _TOKEN_OF_OPENAI if is_openai else _TOKEN_OF_ANTHROPIC
        return question(
            plain_url + path,
            _body(model, streams=streams),
            openai if is_openai else anthropic,
            token if streams else None,
        )

    return {
        "whole": Way("whole answer", asked(OPENAI_MODEL, streams=False), has_throughput=True),
        "direct": Way("first token, openai", asked(OPENAI_MODEL + PACED, streams=True)),
        "anthropic": Way("first token, anthropic", asked(ANTHROPIC_MODEL + PACED, streams=True)),
        "openai-at-once": Way(
            "first token, openai, stream at once", asked(OPENAI_MODEL, streams=True)
        ),
        "anthropic-at-once": Way(
            "first token, anthropic, stream at once", asked(ANTHROPIC_MODEL, streams=True)
        ),
    }


def ways_through(name: str, gateway: Gateway, plain: Mapping[str, Way]) -> list[Way]:
    """With plugins, policy service and everything."""

    def asked(alias: str, *, streams: bool = False) -> Question:
        return question(
            f"{gateway.gateway_url}/v1/chat/completions",
            _body(alias, streams=streams),
            {"authorization": f"Bearer {gateway.keys['team']}"},
            _TOKEN_OF_OPENAI if streams else None,
        )

    whole = plain["whole"]
    return [
        Way(f"{name}: direct, whole answer", asked("direct"), whole, has_throughput=True),
        Way(f"{name}: relay, whole answer", asked("relayed"), whole, has_throughput=True),
        *(
            Way(f"{name}: {base.title}", asked(alias, streams=True), base)
            for alias, base in (
                ("paced", plain["direct"]),
                ("anthropic-paced", plain["anthropic"]),
                ("direct", plain["openai-at-once"]),
                ("anthropic", plain["anthropic-at-once"]),
            )
        ),
    ]


def measure(ways: Sequence[Way], rounds: int, requests: int, warmup: int) -> None:
    """Take every way in turn, one client at a time."""
    with ExitStack() as stack:
        clients: list[tuple[Way, Client]] = [
            (way, stack.enter_context(client(way.asked))) for way in ways
        ]
        for _, one in clients:
            _ask(one, warmup)
        for number in range(rounds):
            # Backwards every other time, so that nobody always comes after the same one.
            for way, one in clients if number % 2 else reversed(clients):
                _ask(one, _AGAIN_WARM)
                way.rounds.append(_ask(one, requests))


def measure_throughput(ways: Sequence[Way], rounds: int, seconds: float) -> None:
    """Take every way in turn, many clients at once."""
    for _ in range(rounds):
        for way in ways:
            if way.has_throughput:
                seen = crowd(lambda way=way: way.asked, N_CLIENTS, seconds)  # type: ignore[misc]
                way.per_second.append(seen.per_second)


def measure_processor_time(title: str, gateway: Gateway, way: Way, requests: int) -> None:
    """Ask one after another, and print what each process worked for one request."""
    roots = {name: process.pid for name, process in gateway.running.items()}
    with client(way.asked) as one:
        _ask(one, _AGAIN_WARM)
        before = used_s(roots)
        _ask(one, requests)
    time.sleep(_AFTERMATH_S)
    used_ms = {
        name: 1000 * (s - before.get(name, 0)) / requests for name, s in used_s(roots).items()
    }
    print(f"\n{title}: processor time of one request, ms, mean of {requests}\n")
    print("| process | ms |\n|---|---|")
    for name, taken_ms in sorted(used_ms.items(), key=lambda one: -one[1]):
        print(f"| {_SHOWN.get(name, name)} | {taken_ms:.2f} |")
    print(f"| all | {sum(used_ms.values()):.2f} |")


def report(ways: Sequence[Way]) -> None:
    """Print the tables."""
    n_requests = len(ways[0].taken_s)
    print(f"\nOne client, {n_requests} requests each, ms. Added: the baseline's own taken off.\n")
    print("| way | p50 | p99 | added p50 | added p99 | times the baseline |")
    print("|---|---|---|---|---|---|")
    for way in ways:
        p50, p99 = median_of_rounds_ms(way.rounds), percentile_ms(way.taken_s, 99)
        if way.baseline is None:
            print(f"| no plugins: {way.title} | {p50:.2f} | {p99:.2f} | | | |")
            continue
        base_p50 = median_of_rounds_ms(way.baseline.rounds)
        base_p99 = percentile_ms(way.baseline.taken_s, 99)
        print(
            f"| {way.title} | {p50:.2f} | {p99:.2f} | {p50 - base_p50:+.2f} "
            f"| {p99 - base_p99:+.2f} | {p50 / base_p50:.1f} |"
        )
    print("\np50: median of the rounds' medians. p99: of all requests together.")
    if not ways[0].per_second:
        return
    print(f"\nWhole answers, {N_CLIENTS} clients at once, median of {len(ways[0].per_second)}:\n")
    print("| way | requests/s | share of the baseline |")
    print("|---|---|---|")
    for way in ways:
        if way.has_throughput:
            per_second = statistics.median(way.per_second)
            base = statistics.median((way.baseline or way).per_second)
            title = way.title if way.baseline else f"no plugins: {way.title}"
            print(f"| {title} | {per_second:,.0f} | {per_second / base:.0%} |")


def main() -> None:
    """Start everything, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--services", action="store_true", help="PostgreSQL, Redis and OPA as well")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=20, help="a round, for each way")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a throughput round")
    parser.add_argument("--throughput-rounds", type=int, default=3, help="0 leaves it out")
    options = parser.parse_args()
    print(machine())
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as text:
        stack.callback(lambda: print(f"\nAt the end: {load()}"))
        folder = Path(text)
        embedded = stack.enter_context(_gateway(folder / "embedded"))
        sandbox = embedded.sandbox_url
        plain_url = stack.enter_context(devkong(folder / "plain", without_plugins(sandbox)))
        pdk_url = stack.enter_context(
            devkong(folder / "pdk", with_thoughtless_plugins(sandbox), conf(folder / "pdk"))
        )
        plain = baselines(plain_url)
        pdk_alone = replace(
            baselines(pdk_url)["whole"], title="PDK calls alone", baseline=plain["whole"]
        )
        ways = [*plain.values(), pdk_alone, *ways_through("embedded", embedded, plain)]
        if options.services:
            services = stack.enter_context(_services(folder / "services"))
            ways += ways_through("services", services, plain)
        measure(ways, options.rounds, options.requests, warmup=100)
        measure_throughput(ways, options.throughput_rounds, options.seconds)
        report(ways)
        for way in ways:
            if way.title in _TIMED:
                measure_processor_time(way.title, embedded, way, 20 * options.requests)


def real_services(stack: ExitStack) -> dict[str, str]:
    """Start PostgreSQL, Redis and OPA, and give the settings that name them.

    Raises:
        pytest.skip.Exception: One is not installed; the message says how to get it.
    """
    postgres = stack.enter_context(start_postgres())
    redis = stack.enter_context(start_redis())
    opa = stack.enter_context(start_opa(bundled("rego")))
    return {
        "POLICY_DATABASE_URL": postgres.create_database(),
        "POLICY_REDIS_URL": redis.url,
        "POLICY_OPA_URL": opa.url,
    }


@contextmanager
def _gateway(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Gateway]:
    folder.mkdir()
    with start_gateway(folder, company=COMPANY, models=models, settings=settings) as gateway:
        yield gateway


@contextmanager
def _services(folder: Path) -> Iterator[Gateway]:
    with ExitStack() as stack:
        try:
            settings = real_services(stack)
        except pytest.skip.Exception as missing:
            raise SystemExit(f"--services: {missing}") from None
        yield stack.enter_context(_gateway(folder, settings))


def _body(model: str, *, streams: bool) -> dict[str, Any]:
    messages = [{"role": "user", "content": PROMPT}]
    return {"model": model, "max_tokens": 200, "messages": messages, "stream": streams}


def _ask(one: Client, requests: int) -> list[float]:
    return [one.ask() for _ in range(requests)]


def _free_port() -> int:
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
