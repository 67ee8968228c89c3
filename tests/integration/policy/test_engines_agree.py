"""OPA and regopy give the same decision, whatever they are asked.

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
from policy_service.ports.policy import PolicyEngine, PolicyResult
from tests.fixtures.opa_server import OpaServer
from tests.fixtures.policy_inputs import damaged_documents, documents
from tests.fixtures.random_inputs import RandomInputs
from tests.fixtures.strict_lists import strict

pytestmark = pytest.mark.integration
N_QUESTIONS = 10_000
N_AT_ONCE = 50
ENGINES = settings.get_profile("engines")


class Both:
    """One question, two answers."""

    def __init__(self, opa: PolicyEngine, regopy: PolicyEngine, runner: asyncio.Runner) -> None:
        self.opa = opa
        self.regopy = regopy
        self._runner = runner
        self.allowed = 0

    def ask(self, document: dict[str, Any]) -> tuple[PolicyResult | None, PolicyResult | None]:
        """What OPA says and what regopy says; `None` where the answer was no decision."""
        return self._runner.run(self._ask(document))

    def differences(self, documents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of the documents on which the two do not agree; all asked at once."""
        return self._runner.run(self._differences(documents))

    async def _differences(self, documents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        answers = await asyncio.gather(*(self._ask(document) for document in documents))
        self.allowed += sum(opa is not None and opa.allow for opa, _ in answers)
        return [
            document
            for document, (opa, regopy) in zip(documents, answers, strict=True)
            if opa != regopy
        ]

    async def _ask(
        self, document: dict[str, Any]
    ) -> tuple[PolicyResult | None, PolicyResult | None]:
        return await _answer(self.opa, document), await _answer(self.regopy, document)


async def _answer(engine: PolicyEngine, document: dict[str, Any]) -> PolicyResult | None:
    try:
        return await engine.evaluate(document)
    except PolicyUnavailable:
        return None


@contextmanager
def _both(url: str, bundle: PolicyBundle, *, pushed: bool = False) -> Iterator[Both]:
    with asyncio.Runner() as runner:
        opa = OpaPolicy(url, timeout_s=10.0, bundle=bundle if pushed else None)
        pair = Both(opa, RegopyPolicy(bundle), runner)
        yield pair
        runner.run(pair.opa.close())
        runner.run(pair.regopy.close())


@pytest.fixture(scope="module")
def both(opa: OpaServer, bundle: PolicyBundle) -> Iterator[Both]:
    """Both engines over the shipped lists, in one event loop."""
    with _both(opa.url, bundle) as pair:
        yield pair


@pytest.fixture(scope="module")
def both_strict(empty_opa: OpaServer, bundle: PolicyBundle) -> Iterator[Both]:
    """Both engines over lists that bind."""
    with _both(empty_opa.url, strict(bundle), pushed=True) as pair:
        yield pair


@settings(ENGINES)
@given(document=documents())
def test_on_every_question_the_service_can_ask(both: Both, document: dict[str, Any]) -> None:
    note(json.dumps(document))
    opa, regopy = both.ask(document)
    assert opa is not None
    assert opa == regopy


@settings(ENGINES)
@given(document=damaged_documents())
def test_on_damaged_questions(both: Both, document: dict[str, Any]) -> None:
    note(json.dumps(document))
    opa, regopy = both.ask(document)
    assert opa == regopy


@settings(ENGINES)
@given(document=documents())
def test_on_every_question_over_lists_that_bind(
    both_strict: Both, document: dict[str, Any]
) -> None:
    note(json.dumps(document))
    opa, regopy = both_strict.ask(document)
    assert opa is not None
    assert opa == regopy


@settings(ENGINES)
@given(document=damaged_documents())
def test_on_damaged_questions_over_lists_that_bind(
    both_strict: Both, document: dict[str, Any]
) -> None:
    note(json.dumps(document))
    opa, regopy = both_strict.ask(document)
    assert opa == regopy


@pytest.mark.parametrize("pair", ["both", "both_strict"])
def test_on_ten_thousand_questions(request: pytest.FixtureRequest, pair: str) -> None:
    both: Both = request.getfixturevalue(pair)
    inputs = RandomInputs(seed=len(pair))
    for _ in range(N_QUESTIONS // 2 // N_AT_ONCE):
        asked = [
            inputs.damaged() if number % 4 == 0 else inputs.document()
            for number in range(N_AT_ONCE)
        ]
        assert both.differences(asked) == []
    assert both.allowed > 0
