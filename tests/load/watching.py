"""What counting and tracing add to a call: processor time of the deciding process.

    python -m tests.load.watching [--calls 5000] [--rounds 5]

What the service does for those who watch is done here by itself, around a decision and a booking
that take no time: once with nobody watching, with metrics, and with metrics and traces, the batches
for the collector included. The ways take turns. With `PROMETHEUS_MULTIPROC_DIR` set counts go into
shared files, as with several workers.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack

from prometheus_client import CollectorRegistry

from llm_core.policy.decision import DecisionRequest, PricedDeployment
from llm_core.tokens.usage import TokenUsage
from policy_service.adapters.metrics import CatalogueNames, Counting
from policy_service.adapters.otel import OtelTracing, open_provider
from policy_service.services.decision_recorder import Heard
from policy_service.services.watching import UNWATCHED, Watch
from tests.fakes.samples import (
    CALLER,
    CATALOGUE,
    OPENAI,
    PRICE,
    USAGE_ROW,
    chat_body,
    chat_call,
    decision,
)
from tests.fixtures.otlp_receiver import start_receiver
from tests.fixtures.reservations import reservation

REQUEST = DecisionRequest(CALLER, chat_call(chat_body()))
MADE = decision(OPENAI)
RESERVATION = reservation("dec_1")
PRICED = PricedDeployment(OPENAI, PRICE)
USED = TokenUsage(12, output_tokens=3)


def one_call(watch: Watch, heard: Heard) -> None:
    """A decision, a provider's answer, a booking."""
    with watch.deciding("dec_1", REQUEST, heard) as outcome:
        outcome.settle(MADE)
    with watch.tracing.following("dec_1"):
        watch.tracing.calling(RESERVATION, PRICED).answered(USED, "gpt-4o-mini")
    watch.observer.booked(USAGE_ROW)


def measured_us(watch: Watch, calls: int, flush: Callable[[], object]) -> float:
    """Microseconds of processor time for one call."""
    heard = Heard()
    heard.engine = "regopy"
    started_s = time.process_time()
    for _ in range(calls):
        one_call(watch, heard)
    flush()
    return (time.process_time() - started_s) / calls * 1e6


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=5000, help="in each round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    shared = os.environ.get("PROMETHEUS_MULTIPROC_DIR")  # noqa: TID251 - as the library does
    print("counts go into shared files" if shared else "counts stay in memory")
    with ExitStack() as stack:
        provider = open_provider(stack.enter_context(start_receiver()).url)
        stack.callback(provider.shutdown)
        counting = Counting(CollectorRegistry(), CatalogueNames(CATALOGUE), 0)
        ways: dict[str, tuple[Watch, Callable[[], object]]] = {
            "nobody watches": (UNWATCHED, lambda: None),
            "metrics": (Watch(counting), lambda: None),
            "metrics and traces": (
                Watch(counting, OtelTracing(provider, CATALOGUE)),
                provider.force_flush,
            ),
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, (watch, flush) in ways.items():
                taken[name].append(measured_us(watch, options.calls, flush))
    for name, found in taken.items():
        print(
            f"{name:<20} {statistics.median(found):6.1f} µs ({min(found):.1f} to {max(found):.1f})"
        )


if __name__ == "__main__":
    main()
