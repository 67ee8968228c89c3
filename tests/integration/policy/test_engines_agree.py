"""OPA and regopy give the same decision, whatever they are asked."""

import asyncio
import json
from collections.abc import Iterator
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

pytestmark = pytest.mark.integration
ENGINES = settings.get_profile("engines")


class Both:
    """One question, two answers."""

    def __init__(self, opa: PolicyEngine, regopy: PolicyEngine, runner: asyncio.Runner) -> None:
        self.opa = opa
        self.regopy = regopy
        self._runner = runner

    def ask(self, document: dict[str, Any]) -> tuple[PolicyResult | None, PolicyResult | None]:
        """What OPA says and what regopy says; `None` where the answer was no decision."""
        return self._runner.run(self._ask(document))

    async def _ask(
        self, document: dict[str, Any]
    ) -> tuple[PolicyResult | None, PolicyResult | None]:
        return await _answer(self.opa, document), await _answer(self.regopy, document)


async def _answer(engine: PolicyEngine, document: dict[str, Any]) -> PolicyResult | None:
    try:
        return await engine.evaluate(document)
    except PolicyUnavailable:
        return None


@pytest.fixture(scope="module")
def both(opa: OpaServer, bundle: PolicyBundle) -> Iterator[Both]:
    """Both engines, in one event loop."""
    with asyncio.Runner() as runner:
        pair = Both(OpaPolicy(opa.url, timeout_s=10.0), RegopyPolicy(bundle), runner)
        yield pair
        runner.run(pair.opa.close())
        runner.run(pair.regopy.close())


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
