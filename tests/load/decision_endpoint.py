"""How fast the policy service decides and identifies, asked over HTTP as the plugins ask it.

Starts the service as it is started in production, embedded (SQLite, limits in the process, the
embedded policy engine) and, where `redis-server`, PostgreSQL and `opa` are installed, with them:

    python -m tests.load.decision_endpoint [--seconds 2] [--rounds 3] [--workers 2]

The caller is bound by five limits; every decision reserves against all of them. Clients ask again
as soon as they are answered; the rows "at 200/s" ask at that rate instead, whatever comes back.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.fixtures.gateway import SECRETS, Gateway, start_gateway
from tests.load.figures import load, machine, percentile_ms
from tests.load.gateway_latency import COMPANY, models, real_services
from tests.load.lean_http import Crowd, Question, client, crowd, question
from tests.load.processor_time import used_s

N_CLIENTS = (1, 16, 64)
STEADY_PER_SECOND = 200
CALL = {
    "operation": "chat.completions",
    "asked_model": "direct",
    "prompt_tokens": 120,
    "max_output_tokens": 200,
    "body_digest": "0" * 64,
    "body_bytes": 700,
}


@dataclass
class Row:
    """One line of the table.

    Args:
        service: The service's process.
        per_second: Asked at this rate; 0 is as fast as it is answered.
    """

    title: str
    asked: Question
    n_clients: int
    service: int
    per_second: float = 0
    rounds: list[Crowd] = field(default_factory=list)
    used_ms: list[float] = field(default_factory=list)

    def ask(self, seconds: float) -> None:
        """One more round."""
        roots = {"service": self.service}
        used = used_s(roots)["service"]
        seen = crowd(lambda: self.asked, self.n_clients, seconds, self.per_second)
        self.rounds.append(seen)
        used = used_s(roots)["service"] - used
        self.used_ms.append(1000 * used / max(len(seen.taken_s), 1))


def rows_of(name: str, gateway: Gateway) -> list[Row]:
    """Identify and decide, by one client, many, and at a steady rate."""
    secret = {"authorization": f"Bearer {SECRETS['POLICY_INTERNAL_SECRET']}"}

    def asked(path: str, body: object) -> Question:
        return question(gateway.policy_url + path, body, secret)

    identify = asked("/v1/callers/identify", {"api_key": gateway.keys["team"]})
    with client(identify) as one:
        one.ask()
        _, _, answer = one.answer.partition(b"\r\n\r\n")
    decide = asked("/v1/decisions", {"caller": msgspec.json.decode(answer)["caller"], "call": CALL})
    with client(decide) as one:
        one.ask()
        if b'"denial":null' not in one.answer:
            raise SystemExit(f"the call is not allowed: {one.answer.decode()}")
    service = gateway.running["policy"].pid
    steady = f"{name}: decide, at {STEADY_PER_SECOND}/s"
    return [
        *(Row(f"{name}: decide", decide, n_clients, service) for n_clients in N_CLIENTS),
        Row(steady, decide, 16, service, STEADY_PER_SECOND),
        *(Row(f"{name}: identify", identify, n_clients, service) for n_clients in N_CLIENTS),
    ]


def report(rows: list[Row]) -> None:
    """Print the table."""
    print("\n| | clients | p50 ms | p99 ms | answers/s | service's processor, ms |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        p50 = statistics.median(percentile_ms(seen.taken_s, 50) for seen in row.rounds)
        p99 = statistics.median(percentile_ms(seen.taken_s, 99) for seen in row.rounds)
        rate = statistics.median(seen.per_second for seen in row.rounds)
        used_ms = statistics.median(row.used_ms)
        print(
            f"| {row.title} | {row.n_clients} | {p50:.2f} | {p99:.2f} | {rate:,.0f} "
            f"| {used_ms:.2f} |"
        )
    print("\nEach figure: the median of its rounds. Processor time: of one answer, with all that")
    print("the service's processes do meanwhile, the embedded engine among it.")


def main() -> None:
    """Start, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1, help="processes, on real services only")
    parser.add_argument("--services-only", action="store_true", help="leave the embedded ones out")
    options = parser.parse_args()
    print(machine())
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as text:
        rows: list[Row] = []
        if not options.services_only:
            embedded = stack.enter_context(_service(Path(text) / "embedded"))
            rows += rows_of("embedded", embedded)
        try:
            settings = real_services(stack)
        except pytest.skip.Exception as missing:
            print(f"Without PostgreSQL, Redis and OPA: {missing}")
        else:
            services = stack.enter_context(
                _service(Path(text) / "services", settings, options.workers)
            )
            workers = f", {options.workers} workers" if options.workers > 1 else ""
            rows += rows_of(f"PostgreSQL, Redis, OPA{workers}", services)
        for _ in range(options.rounds):
            for row in rows:
                row.ask(options.seconds)
        report(rows)
        print(f"\nAt the end: {load()}")


@contextmanager
def _service(
    folder: Path, settings: Mapping[str, str] | None = None, workers: int = 1
) -> Iterator[Gateway]:
    """The service within an otherwise idle gateway."""
    folder.mkdir()
    with start_gateway(folder, company=COMPANY, models=models, settings=settings) as gateway:
        if workers > 1:
            gateway.stop("policy")
            spec = gateway.specs["policy"]
            more: dict[str, Any] = {"arguments": (*spec.arguments, "--workers", str(workers))}
            gateway.specs["policy"] = replace(spec, **more)
            gateway.start("policy")
        yield gateway


if __name__ == "__main__":
    main()
