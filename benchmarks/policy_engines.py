"""How long one decision takes on OPA and on regopy, asked as the service asks.

Run with `python -m benchmarks.policy_engines [seconds]`; takes four times as many seconds.
"""

import asyncio
import sys
import time
from pathlib import Path
from statistics import quantiles

from policy_service.adapters.opa_policy import OpaPolicy
from policy_service.adapters.policy_bundle import load_bundle
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.ports.policy import PolicyEngine
from tests.fixtures.opa_server import start_opa
from tests.fixtures.policy_inputs import CHEAP, COSTLY, budget, chat_input

REGO = Path(__file__).parents[1] / "rego"
NODES = ("organisation:acme", "department:sales", "team:emea-sales", "user:ada")
QUESTION = chat_input(
    candidates=(COSTLY, CHEAP), budgets=tuple(budget("10", node=node) for node in NODES)
)
CALLERS_AT_ONCE = 16


async def _asked_for(engine: PolicyEngine, seconds: float) -> list[float]:
    """Milliseconds of each decision, one after the other."""
    taken = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        assert (await engine.evaluate(QUESTION)).allow  # noqa: S101
        taken.append((time.perf_counter() - start) * 1000)
    return taken


async def _report(engine: PolicyEngine, seconds: float) -> None:
    await _asked_for(engine, 0.5)
    alone = await _asked_for(engine, seconds)
    at_once = await asyncio.gather(*(_asked_for(engine, seconds) for _ in range(CALLERS_AT_ONCE)))
    cuts = quantiles(alone, n=100)
    rate = sum(map(len, at_once)) / seconds
    print(
        f"{engine.name:8} p50 {cuts[49]:6.2f} ms   p99 {cuts[98]:6.2f} ms   "
        f"{rate:6.0f}/s with {CALLERS_AT_ONCE} callers at once"
    )


async def main(seconds: float) -> None:
    """Compare both engines over our own policy."""
    with start_opa(REGO) as server:
        opa = OpaPolicy(server.url)
        await _report(opa, seconds)
        await opa.close()
    regopy = RegopyPolicy(load_bundle(REGO))
    await _report(regopy, seconds)
    await regopy.close()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0))
