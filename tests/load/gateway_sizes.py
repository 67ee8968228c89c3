"""What long requests and many clients do to the whole gateway; or to a real Kong that has it.

Bodies of 1 KB to 1 MB by one client, then the shortest by 1, 16 and 64 clients: sent directly,
relayed, and streamed, beside the same gateway without plugins. All ways take turns. Two minutes:

    python -m tests.load.gateway_sizes [--services] [--requests 40] [--rounds 3] [--seconds 2]

Where `KONG_PROXY_URL` names a Kong with Gatehouse's plugins, that one is asked instead, with
`KONG_API_KEY`, for `KONG_MODEL` (gpt-4o-mini by default). `KONG_PLAIN_URL` may name a chat
completions endpoint of the same provider behind the same Kong, on a route without plugins; it is
asked with `KONG_PLAIN_KEY`, and what it takes is taken off.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fixtures.gateway import PROVIDER_KEY, start_gateway
from tests.load.figures import load, machine, median_of_rounds_ms, percentile_ms
from tests.load.gateway_latency import (
    COMPANY,
    OPENAI_MODEL,
    devkong,
    models,
    real_services,
    without_plugins,
)
from tests.load.lean_http import Crowd, Question, client, crowd, question

SIZES = {"1 KB": 1_000, "10 KB": 10_000, "100 KB": 100_000, "1 MB": 1_000_000}
N_CLIENTS = (1, 16, 64)
_WARM = 10
_WORDS = "Summarise the minutes of yesterday's meeting in three short sentences. "


@dataclass(frozen=True, slots=True)
class Place:
    """An endpoint for chat completions, and how it is asked."""

    url: str
    key: str
    model: str

    def asked(self, size: int, *, streams: bool = False) -> Question:
        """A request with a prompt of so many bytes."""
        prompt = (_WORDS * (size // len(_WORDS) + 1))[:size]
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": 50,
            "messages": [{"role": "user", "content": prompt}],
            "stream": streams,
        }
        return question(self.url, body, {"authorization": f"Bearer {self.key}"})


@dataclass
class Way:
    """One way through, and what was seen: round by round by size, and by number of clients."""

    title: str
    place: Place
    streams: bool = False
    baseline: "Way | None" = None
    alone_s: dict[str, list[list[float]]] = field(default_factory=lambda: {n: [] for n in SIZES})
    crowds: dict[int, list[Crowd]] = field(default_factory=lambda: {n: [] for n in N_CLIENTS})

    def asked(self, size: int) -> Question:
        """What is asked on this way."""
        return self.place.asked(size, streams=self.streams)


def with_baseline(title: str, plain: Place | None) -> list[Way]:
    """The ways without plugins: whole and streamed."""
    if plain is None:
        return []
    return [Way(f"{title}: whole answer", plain), Way(f"{title}: stream", plain, streams=True)]


def ways_through(name: str, places: dict[str, Place], plain: Sequence[Way]) -> list[Way]:
    """The ways with plugins: whole answers from each place, and the first one's streams."""
    whole, stream = plain or (None, None)
    ways = [Way(f"{name}{how}, whole answer", one, False, whole) for how, one in places.items()]
    first = next(iter(places.values()))
    return [*ways, Way(f"{name}: stream", first, True, stream)]


def measure(ways: Sequence[Way], options: argparse.Namespace) -> None:
    """Take all ways in turn, size by size and crowd by crowd."""
    for size_name, size in SIZES.items():
        for number in range(options.rounds):
            for way in ways if number % 2 else reversed(ways):
                with client(way.asked(size)) as one:
                    for _ in range(_WARM):
                        one.ask()
                    taken_s = [one.ask() for _ in range(options.requests)]
                way.alone_s[size_name].append(taken_s)
    for n_clients in N_CLIENTS:
        for _ in range(options.rounds):
            for way in ways:
                asked = way.asked(SIZES["1 KB"])
                seen = crowd(
                    lambda asked=asked: asked,  # type: ignore[misc]
                    n_clients,
                    options.seconds,
                    counts_refusals=True,
                )
                way.crowds[n_clients].append(seen)


def report(ways: Sequence[Way], options: argparse.Namespace) -> None:
    """Print both tables."""
    print(f"\nOne client, {options.rounds * options.requests} requests each, ms to the whole:\n")
    print("| way | body | p50 | p99 | added p50 | added p99 |\n|---|---|---|---|---|---|")
    for way in ways:
        for size in SIZES:
            p50, p99 = _of_rounds(way, size)
            added = ["", ""]
            if way.baseline is not None:
                base = _of_rounds(way.baseline, size)
                added = [f"{p50 - base[0]:+.2f}", f"{p99 - base[1]:+.2f}"]
            print(f"| {way.title} | {size} | {p50:.2f} | {p99:.2f} | {added[0]} | {added[1]} |")
    print(f"\nBodies of 1 KB, median of {options.rounds} rounds:\n")
    heads = " | ".join(f"{n}: requests/s | p50, ms | p99, ms" for n in N_CLIENTS)
    print(f"| way | {heads} |\n|---{'|---' * 3 * len(N_CLIENTS)}|")
    for way in ways:
        cells = " | ".join(_crowd_cells(way.crowds[n_clients]) for n_clients in N_CLIENTS)
        print(f"| {way.title} | {cells} |")


def _of_rounds(way: Way, size: str) -> tuple[float, float]:
    rounds = way.alone_s[size]
    return median_of_rounds_ms(rounds), percentile_ms([one for seen in rounds for one in seen], 99)


def _crowd_cells(rounds: Sequence[Crowd]) -> str:
    rate = statistics.median(seen.per_second for seen in rounds)
    answered = [seen.taken_s for seen in rounds if seen.taken_s]
    n_refused = sum(seen.n_refused for seen in rounds)
    refused = f" ({n_refused} refused)" if n_refused else ""
    if not answered:
        return f"0{refused} | | "
    p50 = statistics.median(percentile_ms(taken_s, 50) for taken_s in answered)
    p99 = statistics.median(percentile_ms(taken_s, 99) for taken_s in answered)
    return f"{rate:,.0f}{refused} | {p50:.1f} | {p99:.1f}"


def main() -> None:
    """Find or start what is asked, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--services", action="store_true", help="on PostgreSQL, Redis and OPA")
    parser.add_argument("--requests", type=int, default=40, help="a round, for each way and size")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each crowd")
    options = parser.parse_args()
    print(machine())
    with _ways(is_on_services=options.services) as ways:
        measure(ways, options)
        report(ways, options)
    print(f"\nAt the end: {load()}")


@contextmanager
def _ways(*, is_on_services: bool) -> Iterator[list[Way]]:
    kong = os.environ.get("KONG_PROXY_URL")  # noqa: TID251 - names the Kong to measure
    if kong is not None:
        yield _at_kong(kong)
        return
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as text:
        folder = Path(text)
        settings = real_services(stack) if is_on_services else None
        gateway = stack.enter_context(
            start_gateway(folder / "whole", company=COMPANY, models=models, settings=settings)
        )
        plain_url = stack.enter_context(
            devkong(folder / "plain", without_plugins(gateway.sandbox_url))
        )
        plain = with_baseline(
            "no plugins",
            Place(f"{plain_url}/openai/v1/chat/completions", PROVIDER_KEY, OPENAI_MODEL),
        )
        url, key = f"{gateway.gateway_url}/v1/chat/completions", gateway.keys["team"]
        places = {": direct": Place(url, key, "direct"), ": relay": Place(url, key, "relayed")}
        name = "PostgreSQL, Redis, OPA" if is_on_services else "embedded"
        yield [*plain, *ways_through(name, places, plain)]


def _at_kong(url: str) -> list[Way]:
    """What a real Kong is asked, as the environment says; see above."""
    environ = os.environ  # noqa: TID251
    model = environ.get("KONG_MODEL", "gpt-4o-mini")
    gatehouse = Place(
        f"{url.rstrip('/')}/v1/chat/completions", environ.get("KONG_API_KEY", ""), model
    )
    plain_url = environ.get("KONG_PLAIN_URL")
    plain = with_baseline(
        "Kong without plugins",
        Place(plain_url, environ.get("KONG_PLAIN_KEY", ""), model) if plain_url else None,
    )
    return [*plain, *ways_through("Kong with Gatehouse", {"": gatehouse}, plain)]


if __name__ == "__main__":
    main()
