"""Where the plugins' time goes: phase by phase, PDK calls, the policy service, and their own work.

A gateway whose plugin servers count (`--metrics`) and one with thoughtless plugins, which make the
same PDK calls and nothing else, are asked in turn, one client; a minute:

    python -m tests.load.plugin_phases [--services] [--requests 300] [--rounds 3]

A phase's time is from its beginning to its end in the plugin server. What it waits for Kong is what
the same phase takes without a thought; what the policy service takes is measured around each
question; what is left is the plugin's own. Processor time is the plugin server's, of all phases.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.contract.test_pdk_calls import AIM, ANSWER, AUTH, LOG, METER
from tests.fixtures.gateway import PROVIDER_KEY, free_ports, start_gateway
from tests.fixtures.scraping import value
from tests.load.figures import load, machine
from tests.load.gateway_latency import (
    COMPANY,
    OPENAI_MODEL,
    PROMPT,
    devkong,
    models,
    real_services,
    with_thoughtless_plugins,
)
from tests.load.lean_http import Question, client, question
from tests.load.processor_time import used_s
from tests.load.thoughtless_plugins import conf

NAMES = {"auth": "llm-auth", "meter": "llm-token-meter", "transform": "llm-provider-transform"}
PHASES = (("auth", "access"), ("meter", "access"), ("transform", "access"))
AFTER = (("transform", "response"), ("meter", "log"))
N_CALLS = {
    ("auth", "access"): len(AUTH),
    ("meter", "access"): len(METER),
    ("transform", "access"): 1 + len(AIM) + 1,  # a host with a port is told once more
    ("transform", "response"): len(ANSWER),
    ("meter", "log"): len(LOG),
}
N_RELAYED_CALLS = N_CALLS | {("transform", "access"): 2}
THOUGHTLESS_CALLS = N_CALLS | {("transform", "access"): 6, ("meter", "log"): 3}
_DECIDE = {"question": "decide"}
_WARM = 100


@dataclass(frozen=True, slots=True)
class Counted:
    """What a set of plugin servers has counted so far, by plugin."""

    pages: Mapping[str, str]

    def phase_s(self, plugin: str, phase: str) -> tuple[float, float]:
        """Seconds, and how often."""
        name = "gatehouse_plugin_phase_duration_seconds"
        page = self.pages[plugin]
        return value(page, f"{name}_sum", phase=phase), value(page, f"{name}_count", phase=phase)

    def decided_s(self) -> tuple[float, float]:
        """The same of the questions for a decision."""
        name = "gatehouse_plugin_policy_request_duration_seconds"
        page = self.pages["meter"]
        return value(page, f"{name}_sum", **_DECIDE), value(page, f"{name}_count", **_DECIDE)


def counted(ports: Mapping[str, int]) -> Counted:
    """Scrape the plugin servers."""
    return Counted(
        {name: httpx.get(f"http://127.0.0.1:{port}/metrics").text for name, port in ports.items()}
    )


def mean_ms(before: tuple[float, float], after: tuple[float, float]) -> float:
    """What one took between two looks; 0 when there was none."""
    count = after[1] - before[1]
    return 1000 * (after[0] - before[0]) / count if count else 0.0


@dataclass
class Way:
    """One way through, its plugin servers, and what they counted before and after, by round."""

    title: str
    asked: Question
    ports: Mapping[str, int]
    phases: Sequence[tuple[str, str]]
    n_calls: Mapping[tuple[str, str], int]
    roots: Mapping[str, int]
    used_ms: dict[str, float]
    looks: list[tuple[Counted, Counted]]

    def phase_ms(self, plugin: str, phase: str) -> float:
        """The mean of the rounds' means."""
        each = [mean_ms(a.phase_s(plugin, phase), b.phase_s(plugin, phase)) for a, b in self.looks]
        return sum(each) / len(each)

    def decided_ms(self) -> float:
        """The same of the questions for a decision."""
        each = [mean_ms(a.decided_s(), b.decided_s()) for a, b in self.looks]
        return sum(each) / len(each)


def measure(ways: Sequence[Way], rounds: int, requests: int) -> None:
    """Take all ways in turn."""
    for _ in range(rounds):
        for way in ways:
            with client(way.asked) as one:
                for _ in range(_WARM):
                    one.ask()
                looked, used = counted(way.ports), used_s(way.roots)
                for _ in range(requests):
                    one.ask()
                way.looks.append((looked, counted(way.ports)))
                for name, seconds in used_s(way.roots).items():
                    ms = 1000 * (seconds - used.get(name, 0.0)) / (requests * rounds)
                    way.used_ms[name] = way.used_ms.get(name, 0.0) + ms


def report(thoughtless: Way, ways: Sequence[Way]) -> None:
    """Print a table for each way."""
    for way in ways:
        print(f"\n{way.title}, ms:\n")
        print("| phase | PDK calls | all | waits for Kong | policy service | its own |")
        print("|---|---|---|---|---|---|")
        total = [0.0] * 4
        for plugin, phase in way.phases:
            n_calls = way.n_calls[plugin, phase]
            kong_ms = thoughtless.phase_ms(plugin, phase)
            kong_ms *= n_calls / thoughtless.n_calls[plugin, phase]
            all_ms = way.phase_ms(plugin, phase)
            policy_ms = way.decided_ms() if (plugin, phase) == ("meter", "access") else 0.0
            row = [all_ms, kong_ms, policy_ms, all_ms - kong_ms - policy_ms]
            if phase != "log":
                total = [one + more for one, more in zip(total, row, strict=True)]
            cells = " | ".join(f"{one:.2f}" for one in row)
            print(f"| {NAMES[plugin]}, {phase} | {n_calls} | {cells} |")
        print(f"| all but log | | {' | '.join(f'{one:.2f}' for one in total)} |")
        servers = ", ".join(
            f"{name} {ms:.2f}" for name, ms in way.used_ms.items() if name in NAMES.values()
        )
        print(f"\nProcessor time of a call, ms: {servers}.")
    n_calls = sum(thoughtless.n_calls[one] for one in thoughtless.phases)
    total_ms = sum(thoughtless.phase_ms(*one) for one in thoughtless.phases)
    print(f"\nA PDK call without a thought: {1000 * total_ms / n_calls:.0f} µs, mean of {n_calls}.")


def main() -> None:
    """Start everything, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--services", action="store_true", help="on PostgreSQL, Redis and OPA")
    parser.add_argument("--requests", type=int, default=300, help="a round, for each way")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(machine())
    with _running(is_on_services=options.services) as ways:
        measure(ways, options.rounds, options.requests)
        report(ways[0], ways[1:])
    print(f"\nAt the end: {load()}")


@contextmanager
def _running(*, is_on_services: bool) -> Iterator[list[Way]]:
    """The thoughtless way, then the ways through Gatehouse."""
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as text:
        folder = Path(text)
        settings = real_services(stack) if is_on_services else None
        ports, thoughtless = (dict(zip(NAMES, free_ports(3), strict=True)) for _ in range(2))
        flags = {NAMES[name]: f"--metrics 127.0.0.1:{port}" for name, port in ports.items()}
        gateway = stack.enter_context(
            start_gateway(
                folder / "whole",
                company=COMPANY,
                models=models,
                settings=settings,
                plugin_flags=flags,
            )
        )
        lines = conf(folder / "pdk")
        for name, port in thoughtless.items():
            begin = f"_plugins {name} --kong-prefix"
            lines = lines.replace(
                begin, f"_plugins {name} --metrics 127.0.0.1:{port} --kong-prefix"
            )
        declared = with_thoughtless_plugins(gateway.sandbox_url)
        pdk_url = stack.enter_context(devkong(folder / "pdk", declared, lines))
        yield [
            Way(
                "the PDK calls alone",
                _question(f"{pdk_url}/openai", OPENAI_MODEL, PROVIDER_KEY),
                thoughtless,
                (*PHASES, *AFTER),
                THOUGHTLESS_CALLS,
                {},
                {},
                [],
            ),
            *(
                Way(
                    f"{'PostgreSQL, Redis, OPA' if is_on_services else 'embedded'}: {alias}",
                    _question(gateway.gateway_url, alias, gateway.keys["team"]),
                    ports,
                    phases,
                    n_calls,
                    {name: process.pid for name, process in gateway.running.items()},
                    {},
                    [],
                )
                for alias, phases, n_calls in (
                    ("direct", (*PHASES, *AFTER), N_CALLS),
                    ("relayed", (*PHASES, AFTER[1]), N_RELAYED_CALLS),
                )
            ),
        ]


def _question(url: str, model: str, key: str) -> Question:
    body = {
        "model": model,
        "max_tokens": 200,
        "messages": [{"role": "user", "content": PROMPT}],
    }
    return question(f"{url}/v1/chat/completions", body, {"authorization": f"Bearer {key}"})


if __name__ == "__main__":
    main()
