"""How well personal data is found, by kind, and how long it takes.

    python -m tests.load.pii_quality [--seed N] [--size N]

Prints the tables that stand in docs/screening.md. The corpus is made (`tests/fixtures/pii_corpus`).
"""

import argparse
import asyncio
import statistics
import time

from policy_service.adapters.screening import ScreeningPool
from tests.fixtures.pii_corpus import corpus, counted

_KB = 1024
_TIMES = 30


async def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=20261129)
    parser.add_argument("--size", type=int, default=10_000)
    given = parser.parse_args()
    pool = ScreeningPool({}, timeout_s=120.0)
    try:
        began = time.perf_counter()
        await pool.start()
        print(f"start of the process: {time.perf_counter() - began:.1f} s\n")
        await quality(pool, given.seed, given.size)
        await latency(pool, given.seed)
    finally:
        await pool.close()


async def quality(pool: ScreeningPool, seed: int, size: int) -> None:
    """Precision and recall by kind."""
    examples = list(corpus(seed, size))
    found = await pool.find([one.text for one in examples], ())
    print("| Kind | In the corpus | Recall | Covered by any kind | Precision |")
    print("|---|---|---|---|---|")
    for kind, one in counted(examples, found).items():
        covered = f"{one.covered / one.gold:.1%}" if one.gold else ""
        recall = f"{one.recall:.1%}" if one.gold else ""
        print(f"| `{kind}` | {one.gold} | {recall} | {covered} | {one.precision:.1%} |")
    print()


async def latency(pool: ScreeningPool, seed: int) -> None:
    """How long a question of a size takes, both ways through the socket included."""
    text = "\n".join(one.text for one in corpus(seed, 4_000))
    print("| Words | Median | 95 of 100 |")
    print("|---|---|---|")
    for kilobytes in (1, 10, 100):
        took_ms = []
        for at in range(_TIMES):
            cut = text[at * _KB : at * _KB + kilobytes * _KB]
            began = time.perf_counter()
            await pool.find([cut], ())
            took_ms.append(1000 * (time.perf_counter() - began))
        p95 = statistics.quantiles(took_ms, n=20)[-1]
        print(f"| {kilobytes} KB | {statistics.median(took_ms):.1f} ms | {p95:.1f} ms |")


if __name__ == "__main__":
    asyncio.run(main())
