from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from llm_core.catalogue import ProviderKind
from llm_core.chat.request import ChatRequest
from llm_core.policy.allowance import (
    capped,
    max_output_tokens,
    reserved_prompt_tokens,
    worst_case,
)
from llm_core.policy.decision import Obligations, PricedDeployment
from llm_core.pricing.charge import ModelPrice, Rates, Tier
from tests.fakes.samples import AZURE, OPENAI, PRICE, chat_body, chat_call

CLAUDE = replace(OPENAI, provider=ProviderKind.ANTHROPIC)
DEAR = ModelPrice("v2", Rates(input=Decimal(10), output=Decimal(3)))


@pytest.mark.parametrize(
    ("asked", "obliged", "longest"),
    [(None, None, 100), (5, None, 5), (500, None, 100), (None, 7, 7), (5, 7, 5), (50, 7, 7)],
)
def test_the_longest_answer_is_the_smallest_of_what_is_asked_obliged_and_possible(
    asked: int | None, obliged: int | None, longest: int
) -> None:
    assert max_output_tokens(asked, OPENAI, Obligations(obliged)) == longest


def test_the_worst_case_is_the_dearest_of_every_deployment_in_each_measure() -> None:
    """One deployment may give more tokens and another cost more for fewer."""
    call = chat_call(chat_body(), prompt_tokens=1000)
    deployments = (PricedDeployment(OPENAI, PRICE), PricedDeployment(AZURE, DEAR))
    worst = worst_case(call, deployments, Obligations())
    assert (worst.requests, worst.tokens) == (1, 1100)
    # 1000 tokens at 10 and 50 at 3 dollars a million, against 1000 at 1 and 100 at 2.
    assert worst.usd == Decimal("0.01015")


def test_every_choice_is_paid_for() -> None:
    call = chat_call(chat_body(n=3, max_tokens=20))
    worst = worst_case(call, [PricedDeployment(OPENAI, PRICE)], Obligations())
    assert worst.tokens == 10 + 3 * 20
    assert worst.usd == Decimal("0.00013")


@pytest.mark.parametrize(
    ("kind", "estimated", "reserved"),
    [
        (ProviderKind.OPENAI, 1001, 1001),
        (ProviderKind.AZURE_OPENAI, 1001, 1001),
        (ProviderKind.OPENAI_COMPATIBLE, 1001, 1001),
        (ProviderKind.ANTHROPIC, 1000, 1400),
        (ProviderKind.ANTHROPIC, 1001, 1402),
        (ProviderKind.ANTHROPIC, 0, 0),
    ],
)
def test_a_tokeniser_that_counts_more_has_more_reserved(
    kind: ProviderKind, estimated: int, reserved: int
) -> None:
    call = chat_call(chat_body(), prompt_tokens=estimated)
    assert reserved_prompt_tokens(call, replace(OPENAI, provider=kind)) == reserved


def test_the_margin_is_in_tokens_and_in_money() -> None:
    call = chat_call(chat_body(), prompt_tokens=1000)
    worst = worst_case(call, [PricedDeployment(CLAUDE, PRICE)], Obligations())
    assert worst.tokens == 1400 + 100
    # 1400 at 1 and 100 at 2 dollars a million.
    assert worst.usd == Decimal("0.0016")
    either = [PricedDeployment(OPENAI, PRICE), PricedDeployment(CLAUDE, PRICE)]
    assert worst_case(call, either, Obligations()) == worst


def test_the_margin_can_reach_a_dearer_tier() -> None:
    steep = ModelPrice("v3", PRICE.rates, tiers=(Tier(1200, DEAR.rates),))
    call = chat_call(chat_body(), prompt_tokens=1000)
    by_claude = worst_case(call, [PricedDeployment(CLAUDE, steep)], Obligations())
    assert by_claude.usd == Decimal("0.0143")
    by_openai = worst_case(call, [PricedDeployment(OPENAI, steep)], Obligations())
    assert by_openai.usd == Decimal("0.0012")


def test_without_a_deployment_only_the_prompt_is_left() -> None:
    worst = worst_case(chat_call(chat_body()), [], Obligations())
    assert (worst.tokens, worst.usd) == (10, 0)


@pytest.mark.parametrize(
    ("fields", "longest"),
    [
        ({}, 100),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6),
        ({"max_tokens": 4000}, 100),
        ({"max_tokens": None}, 100),
    ],
)
def test_the_provider_is_told_the_length_by_one_name(fields: dict[str, Any], longest: int) -> None:
    request = ChatRequest.parse(chat_body(**fields, temperature=0.5))
    before = dict(request.fields)
    sent = capped(request, OPENAI, Obligations()).fields
    assert sent["max_completion_tokens"] == longest
    assert "max_tokens" not in sent
    assert sent["temperature"] == 0.5
    assert request.fields == before


def test_what_is_told_is_what_was_reserved() -> None:
    body = chat_body(max_tokens=70)
    for deployment in (OPENAI, AZURE, replace(OPENAI, max_output_tokens=1)):
        for obliged in (None, 1, 60, 5000):
            obligations = Obligations(obliged)
            told = capped(ChatRequest.parse(body), deployment, obligations).max_output_tokens
            reserved = worst_case(
                chat_call(body), [PricedDeployment(deployment, PRICE)], obligations
            )
            assert told
            assert reserved.tokens == 10 + told


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("eu.anthropic.claude-sonnet-4-6", 1400),
        ("arn:aws:bedrock:eu-central-1:1:application-inference-profile/x", 1400),
        ("eu.amazon.nova-pro-v1:0", 1000),
    ],
)
def test_claude_counts_alike_whoever_sells_it(model: str, tokens: int) -> None:
    deployment = replace(OPENAI, provider=ProviderKind.BEDROCK, model=model)
    assert reserved_prompt_tokens(chat_call(chat_body(), 1000), deployment) == tokens
