import asyncio, time
from pathlib import Path
from policy_service.adapters.policy_bundle import load_bundle
from policy_service.adapters.regopy_policy import RegopyPolicy
from tests.fixtures.policy_inputs import *
async def main():
    p = RegopyPolicy(load_bundle(Path("rego")))
    q = chat_input(candidates=(COSTLY, CHEAP), budgets=tuple(budget("10", node=n) for n in "abcd"))
    r = await p.evaluate(q); print(r)
    for _ in range(50): await p.evaluate(q)
    ts=[]
    for _ in range(300):
        t=time.perf_counter(); await p.evaluate(q); ts.append((time.perf_counter()-t)*1e3)
    ts.sort(); print("p50",ts[150],"p99",ts[297])
    await p.close()
asyncio.run(main())
