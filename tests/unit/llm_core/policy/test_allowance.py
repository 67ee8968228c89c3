from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from llm_core.catalogue import ProviderKind
from llm_core.chat.request import ChatRequest
from llm_core.policy.allowance import (
    capped,
    max_output_tokens,
    most_prompt_tokens,
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


STEEP = ModelPrice("v4", PRICE.rates, tiers=(Tier(200_000, DEAR.rates),))


@pytest.mark.parametrize(
    ("kind", "first_at_the_tier"),
    [
        # 3 percent more than 194,175 are 200,001.
        (ProviderKind.OPENAI, 194_175),
        (ProviderKind.AZURE_OPENAI, 194_175),
        # Nobody says how others count: 25 percent.
        (ProviderKind.GEMINI, 160_001),
        (ProviderKind.OPENAI_COMPATIBLE, 160_001),
        # Claude's 40 percent are in what is reserved already.
        (ProviderKind.ANTHROPIC, 142_858),
    ],
)
def test_a_call_that_may_come_to_lie_above_a_tiers_start_is_reserved_there(
    kind: ProviderKind, first_at_the_tier: int
) -> None:
    priced = [PricedDeployment(replace(OPENAI, provider=kind), STEEP)]

    def reserved_usd(estimated: int) -> Decimal:
        return worst_case(chat_call(chat_body(), estimated), priced, Obligations()).usd

    below, above = reserved_usd(first_at_the_tier - 1), reserved_usd(first_at_the_tier)
    # Ten dollars a million instead of one, for every token.
    assert above > 9 * below
    # Whatever it is counted as within the margin is covered, the tier's own first token too.
    assert above >= 200_001 * DEAR.rates.input / 1_000_000
    assert most_prompt_tokens(chat_call(chat_body(), first_at_the_tier), priced[0].deployment) > (
        200_000
    )


def test_the_tiers_margin_takes_no_more_tokens_than_are_estimated() -> None:
    call = chat_call(chat_body(), 199_000)
    worst = worst_case(call, [PricedDeployment(OPENAI, STEEP)], Obligations())
    assert (worst.input_tokens, worst.output_tokens) == (199_000, 100)


def test_what_is_written_to_the_providers_cache_is_reserved_at_its_price() -> None:
    rates = Rates(Decimal(3), Decimal(15), Decimal("0.3"), cache_write=Decimal("3.75"))
    call = chat_call(chat_body(max_tokens=10), 1000)
    worst = worst_case(call, [PricedDeployment(OPENAI, ModelPrice("w", rates))], Obligations())
    assert worst.usd == Decimal("0.0039")


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
