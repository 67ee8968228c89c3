"""How long one decision takes on each engine, at a small company's size and at 1,000 teams.

Run with `python -m tests.load.policy_engines [seconds]`; takes some twenty times as many seconds.

Three figures each: processor time, which says most on a machine that does other work as well; the
evaluation alone (what OPA measures of its own handler; regopy's worker without its socket; the
compiled rules from JSON to JSON), of which other work disturbs the least figure least; and the
whole question as the service asks it, one after the other and with 16 askers at once.
"""

import asyncio
import copy
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx

from policy_service.adapters.opa_policy import OpaPolicy
from policy_service.adapters.policy_bundle import ENTRYPOINT, PolicyBundle, load_bundle
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.adapters.regopy_text import rego_term
from policy_service.adapters.regopy_worker import Evaluator
from policy_service.adapters.wasm.policy import WasmPolicy
from policy_service.adapters.wasm.program import Program
from policy_service.adapters.wasm.rules import compiled_rules
from policy_service.ports.policy import PolicyEngine
from tests.fixtures.opa_server import opa_binary, start_opa_with
from tests.fixtures.policy_inputs import CHEAP, COSTLY, budget, chat_input

REGO = Path(__file__).parents[2] / "rego"
NODES = ("organisation:acme", "department:sales", "team:emea-sales", "user:ada")
CALLERS_AT_ONCE = 16
N_TEAMS = 1_000
N_DEPARTMENTS = 100
N_MODELS = 100
TEAM = {
    "tools": True,
    "max_output_tokens": 1000,
    "hours": [{"days": ["friday"], "from_hour": 0, "until_hour": 24}],
    "pii": {"input": "redact", "output": "off", "restore": True, "kinds": []},
}


def _question(labels: tuple[str, ...] = ()) -> dict[str, Any]:
    states = tuple(budget("10", node=node) for node in NODES)
    document = chat_input(candidates=(COSTLY, CHEAP), budgets=states)
    document["call"]["data_labels"] = list(labels)
    document["caller"]["clearance"] = "restricted"
    return document


def _large(bundle: PolicyBundle) -> PolicyBundle:
    """The same rules over the lists of a company of 1,000 teams, all with entries of their own."""
    data = copy.deepcopy(dict(bundle.data))
    lists = data["data"]
    lists["places"]["teams"] = {f"team-{n}": TEAM for n in range(N_TEAMS)} | {"emea-sales": TEAM}
    lists["places"]["departments"] = {f"department-{n}": TEAM for n in range(N_DEPARTMENTS)}
    lists["places"]["departments"]["sales"] = {"guard": "strict"}
    lists["models"]["restricted"] |= {f"model-{n}": {"roles": ["x"]} for n in range(N_MODELS)}
    lists["data_classes"]["labels"] = {f"label-{n}": "confidential" for n in range(N_MODELS)}
    lists["agreements"]["classes"] = {"confidential": ["gdpr"]}
    return PolicyBundle(bundle.modules, data, bundle.revision, digest="large")


def _timed(ask: Callable[[], float], seconds: float) -> list[float]:
    end = time.perf_counter() + seconds
    taken = []
    while time.perf_counter() < end:
        taken.append(ask())
    return taken


def _opas_own_time(url: str, document: dict[str, Any]) -> Iterator[float]:
    """Milliseconds that OPA's handler says it took, for ever."""
    body = json.dumps({"input": document}).encode()
    with httpx.Client() as client:
        while True:
            answer = client.post(f"{url}/v1/data/{ENTRYPOINT}?metrics=true", content=body).json()
            assert answer["result"]["allow"]
            yield answer["metrics"]["timer_server_handler_ns"] / 1e6


def _workers_own_time(bundle: PolicyBundle, document: dict[str, Any]) -> Iterator[float]:
    """Milliseconds that the embedded engine's worker takes, for ever."""
    evaluator = Evaluator(
        {
            "modules": dict(bundle.modules),
            "data": rego_term(bundle.data),
            "entrypoint": ENTRYPOINT,
        }
    )
    term = rego_term(document)
    while True:
        start = time.perf_counter()
        evaluator.answer(term)
        yield (time.perf_counter() - start) * 1000


def _programs_own_time(bundle: PolicyBundle, document: dict[str, Any]) -> Iterator[float]:
    """Milliseconds that the compiled rules take, for ever."""
    program = Program(
        compiled_rules(opa_binary(), bundle.modules), json.dumps(bundle.data).encode()
    )
    question = json.dumps(document).encode()
    while True:
        start = time.perf_counter()
        program.ask(question)
        yield (time.perf_counter() - start) * 1000


async def _asked_for(engine: PolicyEngine, document: dict[str, Any], seconds: float) -> list[float]:
    """Milliseconds of each decision, one after the other."""
    taken = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        assert (await engine.evaluate(document)).allow
        taken.append((time.perf_counter() - start) * 1000)
    return taken


async def _report(  # noqa: PLR0917 - a line of the table
    what: str,
    engine: PolicyEngine,
    own: Iterator[float],
    processor_s: Callable[[], float],
    document: dict[str, Any],
    seconds: float,
) -> None:
    _timed(own.__next__, 0.5)
    before = processor_s()
    own_times = _timed(own.__next__, seconds)
    processor_ms = (processor_s() - before) * 1000 / len(own_times)
    evaluated = quantiles(own_times, n=100)
    await _asked_for(engine, document, 0.5)
    alone = quantiles(await _asked_for(engine, document, seconds), n=100)
    at_once = await asyncio.gather(
        *(_asked_for(engine, document, seconds) for _ in range(CALLERS_AT_ONCE))
    )
    rate = sum(map(len, at_once)) / seconds
    print(
        f"{engine.name:7} {what:22} processor {processor_ms:5.2f} ms"
        f"   evaluation least {min(own_times):5.2f}"
        f" p50 {evaluated[49]:5.2f} p99 {evaluated[98]:5.2f} ms"
        f"   asked p50 {alone[49]:5.2f} p99 {alone[98]:5.2f} ms   {rate:5.0f}/s"
    )


async def main(seconds: float) -> None:
    """Compare the engines over both sizes."""
    shipped = load_bundle(REGO)
    large = _large(shipped)
    sizes = (
        ("as shipped", shipped, _question()),
        ("1,000 teams", large, _question()),
        ("1,000 teams, labelled", large, _question(("label-7",))),
    )
    for what, bundle, document in sizes:
        with start_opa_with(bundle) as server:
            opa = OpaPolicy(server.url, timeout_s=30.0)
            own = _opas_own_time(server.url, document)
            await _report(what, opa, own, server.processor_s, document, seconds)
            await opa.close()
        regopy = RegopyPolicy(bundle, timeout_s=30.0)
        own = _workers_own_time(bundle, document)
        await _report(what, regopy, own, time.process_time, document, seconds)
        await regopy.close()
        wasm = WasmPolicy(bundle, compiled_rules(opa_binary(), bundle.modules))
        own = _programs_own_time(bundle, document)
        await _report(what, wasm, own, time.process_time, document, seconds)
        await wasm.close()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0))
