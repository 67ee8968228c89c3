"""OPA, regopy and the compiled rules give the same decision, whatever they are asked.

Ten thousand questions from a seed, half of them over lists in which every question of policy has
something to say; and some hundreds of Hypothesis', which look for odd ones and show the smallest
(`GATEHOUSE_ENGINE_EXAMPLES` is how many of each kind).
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, note, settings

from llm_core.errors import PolicyUnavailable
from policy_service.adapters.opa_policy import OpaPolicy
from policy_service.adapters.policy_bundle import PolicyBundle
from policy_service.adapters.regopy_policy import RegopyPolicy
from policy_service.adapters.wasm.policy import WasmPolicy
from policy_service.adapters.wasm.rules import compiled_rules
from policy_service.ports.policy import PolicyEngine, PolicyResult
from tests.fixtures.opa_server import OpaServer, opa_binary
from tests.fixtures.policy_inputs import damaged_documents, documents
from tests.fixtures.random_inputs import RandomInputs
from tests.fixtures.strict_lists import strict

pytestmark = pytest.mark.integration
N_QUESTIONS = 10_000
N_AT_ONCE = 50
ENGINES = settings.get_profile("engines")


class All:
    """One question, an answer of each engine."""

    def __init__(self, engines: Sequence[PolicyEngine], runner: asyncio.Runner) -> None:
        self.engines = engines
        self._runner = runner
        self.allowed = 0

    def ask(self, document: dict[str, Any]) -> tuple[PolicyResult | None, ...]:
        """What OPA, regopy and the compiled rules say; `None` where it was no decision."""
        return self._runner.run(self._ask(document))

    def differences(self, documents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of the documents on which they do not agree; all asked at once."""
        return self._runner.run(self._differences(documents))

    async def _differences(self, documents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        answers = await asyncio.gather(*(self._ask(document) for document in documents))
        self.allowed += sum(opa is not None and opa.allow for opa, *_ in answers)
        return [
            document
            for document, (opa, *others) in zip(documents, answers, strict=True)
            if any(opa != other for other in others)
        ]

    async def _ask(self, document: dict[str, Any]) -> tuple[PolicyResult | None, ...]:
        return tuple([await _answer(engine, document) for engine in self.engines])


async def _answer(engine: PolicyEngine, document: dict[str, Any]) -> PolicyResult | None:
    try:
        return await engine.evaluate(document)
    except PolicyUnavailable:
        return None


@contextmanager
def _all(url: str, bundle: PolicyBundle, *, pushed: bool = False) -> Iterator[All]:
    with asyncio.Runner() as runner:
        opa = OpaPolicy(url, timeout_s=10.0, bundle=bundle if pushed else None)
        wasm = WasmPolicy(bundle, compiled_rules(opa_binary(), bundle.modules))
        engines = (opa, RegopyPolicy(bundle), wasm)
        yield All(engines, runner)
        for engine in engines:
            runner.run(engine.close())


@pytest.fixture(scope="module")
def every(opa: OpaServer, bundle: PolicyBundle) -> Iterator[All]:
    """Every engine over the shipped lists, in one event loop."""
    with _all(opa.url, bundle) as engines:
        yield engines


@pytest.fixture(scope="module")
def every_strict(empty_opa: OpaServer, bundle: PolicyBundle) -> Iterator[All]:
    """Every engine over lists that bind."""
    with _all(empty_opa.url, strict(bundle), pushed=True) as engines:
        yield engines


@settings(ENGINES)
@given(document=documents())
def test_on_every_question_the_service_can_ask(every: All, document: dict[str, Any]) -> None:
    note(json.dumps(document))
    opa, *others = every.ask(document)
    assert opa is not None
    assert others == [opa, opa]


@settings(ENGINES)
@given(document=damaged_documents())
def test_on_damaged_questions(every: All, document: dict[str, Any]) -> None:
    note(json.dumps(document))
    opa, *others = every.ask(document)
    assert others == [opa, opa]


@settings(ENGINES)
@given(document=documents())
def test_on_every_question_over_lists_that_bind(
    every_strict: All, document: dict[str, Any]
) -> None:
    note(json.dumps(document))
    opa, *others = every_strict.ask(document)
    assert opa is not None
    assert others == [opa, opa]


@settings(ENGINES)
@given(document=damaged_documents())
def test_on_damaged_questions_over_lists_that_bind(
    every_strict: All, document: dict[str, Any]
) -> None:
    note(json.dumps(document))
    opa, *others = every_strict.ask(document)
    assert others == [opa, opa]


@pytest.mark.parametrize("name", ["every", "every_strict"])
def test_on_ten_thousand_questions(request: pytest.FixtureRequest, name: str) -> None:
    every: All = request.getfixturevalue(name)
    inputs = RandomInputs(seed=len(name))
    for _ in range(N_QUESTIONS // 2 // N_AT_ONCE):
        asked = [
            inputs.damaged() if number % 4 == 0 else inputs.document()
            for number in range(N_AT_ONCE)
        ]
        assert every.differences(asked) == []
    assert every.allowed > 0
