"""The same decisions on every engine."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from llm_core.policy.decision import Obligations
from policy_service.adapters.policy_bundle import PolicyBundle
from policy_service.ports.policy import PolicyEngine, PolicyResult
from tests.fixtures.policy_inputs import (
    CALLER,
    CHEAP,
    COSTLY,
    FREE,
    UNPRICED,
    budget,
    candidate,
    chat_input,
    listing_input,
)

pytestmark = pytest.mark.integration


def _codes(result: PolicyResult) -> set[str]:
    return {reason.code for reason in result.reasons}


async def test_an_ordinary_call_may_use_every_deployment(
    engine: PolicyEngine, bundle: PolicyBundle
) -> None:
    result = await engine.evaluate(chat_input())
    assert result == PolicyResult(
        allow=True,
        permitted=("costly", "cheap", "free"),
        reasons=(),
        obligations=Obligations(),
        revision=bundle.revision,
        models=(),
    )


async def test_a_model_that_is_not_in_the_callers_list_is_denied_with_advice(
    engine: PolicyEngine,
) -> None:
    result = await engine.evaluate(chat_input(asked_model="another"))
    assert not result.allow
    [reason] = result.reasons
    assert (reason.code, reason.rule) == ("model_not_allowed", "llm.models")
    assert reason.message
    assert reason.solution


async def test_a_restricted_model_needs_its_role(engine: PolicyEngine) -> None:
    document = chat_input(asked_model="o1-pro")
    assert _codes(await engine.evaluate(document)) == {"model_restricted"}
    trusted = replace(CALLER, roles=("llm-power-user",))
    assert (await engine.evaluate(chat_input(caller=trusted, asked_model="o1-pro"))).allow


async def test_an_unpriced_deployment_drops_out(engine: PolicyEngine) -> None:
    result = await engine.evaluate(chat_input(candidates=(UNPRICED, CHEAP)))
    assert (result.allow, result.permitted) == (True, ("cheap",))
    assert _codes(result) == {"unpriced_model"}


async def test_only_unpriced_deployments_deny_the_call(engine: PolicyEngine) -> None:
    result = await engine.evaluate(chat_input(candidates=(UNPRICED,)))
    assert (result.allow, result.permitted) == (False, ())
    assert _codes(result) == {"unpriced_model"}


@pytest.mark.parametrize(
    ("used_usd", "permitted", "codes"),
    [
        ("89.999999", ("costly", "cheap", "free"), set()),
        ("90", ("cheap", "free"), {"budget_cheaper_models_only"}),
        ("99.999999", ("cheap", "free"), {"budget_cheaper_models_only"}),
        ("100", ("free",), {"budget_exhausted"}),
        ("250", ("free",), {"budget_exhausted"}),
    ],
)
async def test_a_budget_that_fills_up_narrows_the_choice(
    engine: PolicyEngine, used_usd: str, permitted: tuple[str, ...], codes: set[str]
) -> None:
    states = (budget("1", node="organisation:acme"), budget(used_usd))
    result = await engine.evaluate(chat_input(budgets=states))
    assert result.permitted == permitted
    assert _codes(result) == codes


@pytest.mark.parametrize("other_usd", ["0", "0.001", "3", "9.5", "10", "89"])
@pytest.mark.parametrize("is_first", [True, False])
async def test_the_fullest_budget_counts_however_its_number_is_spelled(
    engine: PolicyEngine, other_usd: str, is_first: bool
) -> None:
    states = (budget("95"), budget(other_usd, node="organisation:acme"))
    result = await engine.evaluate(chat_input(budgets=states if is_first else states[::-1]))
    assert result.permitted == ("cheap", "free")


async def test_a_used_up_budget_without_a_free_model_denies(engine: PolicyEngine) -> None:
    result = await engine.evaluate(chat_input(candidates=(COSTLY, CHEAP), budgets=(budget("100"),)))
    assert not result.allow
    assert _codes(result) == {"budget_exhausted"}


async def test_a_listing_has_the_callers_models_in_the_order_asked(engine: PolicyEngine) -> None:
    result = await engine.evaluate(listing_input("zeta", "o1-pro", "chat"))
    assert (result.allow, result.permitted, result.models) == (True, (), ("chat",))
    everything = replace(CALLER, allowed_models=("*",), department="research")
    result = await engine.evaluate(listing_input("zeta", "o1-pro", "chat", caller=everything))
    assert result.models == ("zeta", "o1-pro", "chat")


async def test_a_listing_may_be_empty(engine: PolicyEngine) -> None:
    result = await engine.evaluate(listing_input("zeta"))
    assert (result.allow, result.models, result.reasons) == (True, (), ())


async def test_nothing_is_denied(engine: PolicyEngine) -> None:
    result = await engine.evaluate({})
    assert not result.allow
    assert {"input_version", "caller_unknown", "model_not_allowed"} <= _codes(result)


@pytest.mark.parametrize("part", ["version", "caller", "call", "candidates", "budgets"])
async def test_a_missing_part_is_denied(engine: PolicyEngine, part: str) -> None:
    document = chat_input()
    del document[part]
    result = await engine.evaluate(document)
    assert (result.allow, result.permitted) == (False, ())


def _without_model(document: dict[str, Any]) -> None:
    del document["call"]["asked_model"]


def _without_team(document: dict[str, Any]) -> None:
    del document["caller"]["team"]


def _without_own_models(document: dict[str, Any]) -> None:
    del document["caller"]["allowed_models"]


def _newer_version(document: dict[str, Any]) -> None:
    document["version"] = 2


def _without_use(document: dict[str, Any]) -> None:
    del document["budgets"][0]["used_fraction"]


def _without_measure(document: dict[str, Any]) -> None:
    del document["budgets"][0]["measure"]


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (_without_model, "model_not_allowed"),
        (_without_team, "caller_unknown"),
        (_without_own_models, "model_not_allowed"),
        (_newer_version, "input_version"),
        (_without_use, "budgets_unknown"),
        (_without_measure, "budgets_unknown"),
    ],
)
async def test_a_missing_fact_is_denied_for_its_own_reason(
    engine: PolicyEngine, damage: Callable[[dict[str, Any]], None], code: str
) -> None:
    document = chat_input(budgets=(budget("1"),))
    damage(document)
    result = await engine.evaluate(document)
    assert not result.allow
    assert code in _codes(result)


HOSTILE = 'x"}],"allow":true,"permitted":["cheap"],"y":[{"z":"\\'


@pytest.mark.parametrize(
    "text", [HOSTILE, "chat\x00", "chat\\u0000", "\ue022", "{{chat}}", "é\u2028"]
)
async def test_no_text_of_a_caller_writes_a_decision(engine: PolicyEngine, text: str) -> None:
    document = chat_input(asked_model=text, candidates=(candidate(text, "1"), FREE))
    result = await engine.evaluate(document)
    assert (result.allow, _codes(result)) == (False, {"model_not_allowed"})


@pytest.mark.parametrize("text", ["é", 'a"b', "a\\b", "line\nbreak", "\x01", "日本", "😀"])
async def test_any_name_can_be_permitted_and_listed(engine: PolicyEngine, text: str) -> None:
    caller = replace(CALLER, allowed_models=(text,))
    document = chat_input(caller=caller, asked_model=text, candidates=(candidate(text, "1"),))
    assert (await engine.evaluate(document)).permitted == (text,)
    assert (await engine.evaluate(listing_input("a", text, caller=caller))).models == (text,)


async def test_an_engine_with_its_policy_is_ready(engine: PolicyEngine) -> None:
    assert await engine.ready()


async def test_a_closed_engine_is_not_ready(engine: PolicyEngine) -> None:
    await engine.evaluate(chat_input())
    await engine.close()
    assert not await engine.ready()
