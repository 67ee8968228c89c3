from dataclasses import replace
from decimal import Decimal

import pytest

from llm_core.pricing.charge import (
    ModelPrice,
    Rates,
    Tier,
    UnpriceableUsage,
    rounded,
    usd_for,
    worst_usd_for,
)
from llm_core.tokens.usage import TokenUsage

MINI = ModelPrice("mini", Rates(Decimal("0.15"), Decimal("0.60"), cached_input=Decimal("0.075")))
CLAUDE = ModelPrice(
    "claude",
    Rates(Decimal(3), Decimal(15), cached_input=Decimal("0.30"), cache_write=Decimal("3.75")),
    tiers=(
        Tier(
            200_000,
            Rates(
                Decimal(6),
                Decimal("22.50"),
                cached_input=Decimal("0.60"),
                cache_write=Decimal("7.50"),
            ),
        ),
    ),
)
AUDIO = ModelPrice(
    "audio",
    Rates(Decimal("2.50"), Decimal(10), input_audio=Decimal(32), output_audio=Decimal(64)),
)
FLASH = ModelPrice(
    "flash",
    Rates(
        Decimal("0.30"),
        Decimal("2.50"),
        cached_input=Decimal("0.03"),
        input_audio=Decimal(1),
        cached_audio=Decimal("0.10"),
    ),
)


@pytest.mark.parametrize(
    ("usage", "price", "usd"),
    [
        # 1,000 x 0.15 + 500 x 0.60 = 150 + 300, per million
        (TokenUsage(input_tokens=1000, output_tokens=500), MINI, "0.00045"),
        # 400 x 0.15 + 600 x 0.075 + 500 x 0.60 = 60 + 45 + 300
        (
            TokenUsage(input_tokens=1000, cached_input_tokens=600, output_tokens=500),
            MINI,
            "0.000405",
        ),
        # No rate for writes: they cost what input costs. 1,000 x 0.15
        (TokenUsage(input_tokens=1000, cache_write_tokens=600, output_tokens=0), MINI, "0.00015"),
        # 1,000 x 3 + 3,000 x 0.30 + 2,000 x 3.75 + 800 x 15 = 3,000 + 900 + 7,500 + 12,000
        (
            TokenUsage(
                input_tokens=6000,
                cached_input_tokens=3000,
                cache_write_tokens=2000,
                output_tokens=800,
            ),
            CLAUDE,
            "0.0234",
        ),
        # At the border every token has the low rate: 200,000 x 3 + 1,000 x 15
        (TokenUsage(input_tokens=200_000, output_tokens=1000), CLAUDE, "0.615"),
        # One token more, and every token has the high one: 200,001 x 6 + 1,000 x 22.50
        (TokenUsage(input_tokens=200_001, output_tokens=1000), CLAUDE, "1.222506"),
        # What was read from the cache counts for the tier: 1 x 6 + 200,000 x 0.60 + 0
        (
            TokenUsage(input_tokens=200_001, cached_input_tokens=200_000, output_tokens=0),
            CLAUDE,
            "0.120006",
        ),
        # 100 x 2.50 + 900 x 32 + 50 x 10 + 150 x 64 = 250 + 28,800 + 500 + 9,600
        (
            TokenUsage(
                input_tokens=1000,
                input_audio_tokens=900,
                output_tokens=200,
                output_audio_tokens=150,
            ),
            AUDIO,
            "0.03915",
        ),
        # Of 900 cached tokens 800 are audio: 500 x 0.30 + 100 x 0.03 + 800 x 0.10 + 100 x 1 + 0
        (
            TokenUsage(
                input_tokens=1500,
                cached_input_tokens=900,
                input_audio_tokens=900,
                cached_audio_tokens=800,
                output_tokens=0,
            ),
            FLASH,
            "0.000333",
        ),
        # Not told apart, they are as few as fit, 800 + 900 - 1,500: 600 x 0.03 + 700 x 1
        # + 200 x 0.10 + 100 x 2.50
        (
            TokenUsage(
                input_tokens=1500,
                cached_input_tokens=800,
                input_audio_tokens=900,
                output_tokens=100,
            ),
            FLASH,
            "0.000988",
        ),
        # All of it is: 100 x 0.30 + 700 x 0.10 + 200 x 1
        (
            TokenUsage(
                input_tokens=1000,
                cached_input_tokens=700,
                input_audio_tokens=900,
                cached_audio_tokens=700,
                output_tokens=0,
            ),
            FLASH,
            "0.0003",
        ),
        # A vendor that tells only of the cached part of the audio: 300 x 0.30 + 700 x 0.10
        (
            TokenUsage(
                input_tokens=1000,
                cached_input_tokens=700,
                cached_audio_tokens=700,
                output_tokens=0,
            ),
            FLASH,
            "0.00016",
        ),
        # No rate for cached audio: audio's, 900 x 32 + 100 x 2.50
        (
            TokenUsage(
                input_tokens=1000,
                cached_input_tokens=900,
                input_audio_tokens=900,
                cached_audio_tokens=900,
                output_tokens=0,
            ),
            AUDIO,
            "0.02905",
        ),
        # Nor for audio: what is cached has the cached rate, 100 x 0.15 + 900 x 0.075
        (
            TokenUsage(
                input_tokens=1000,
                cached_input_tokens=900,
                input_audio_tokens=1000,
                cached_audio_tokens=900,
                output_tokens=0,
            ),
            MINI,
            "0.0000825",
        ),
        # Without a rate of its own, audio is input like any other.
        (
            TokenUsage(input_tokens=1000, input_audio_tokens=900, output_tokens=500),
            MINI,
            "0.00045",
        ),
        # Reasoning is output already.
        (TokenUsage(input_tokens=0, output_tokens=500, reasoning_tokens=400), MINI, "0.0003"),
        (TokenUsage(input_tokens=0, output_tokens=0), CLAUDE, "0"),
        # The smallest charge there is: 1 x 0.000001 per million
        (
            TokenUsage(input_tokens=1, output_tokens=0),
            ModelPrice("tiny", Rates(Decimal("0.000001"), Decimal(0))),
            "0.000000000001",
        ),
    ],
)
def test_a_charge_is_what_a_person_would_work_out(usage: TokenUsage, price: ModelPrice, usd: str):
    assert usd_for(usage, price) == Decimal(usd)


@pytest.mark.parametrize(
    "usage",
    [
        TokenUsage(),
        TokenUsage(input_tokens=1),
        TokenUsage(output_tokens=1),
        TokenUsage(input_tokens=-1, output_tokens=1),
        TokenUsage(input_tokens=1, output_tokens=-1),
        TokenUsage(input_tokens=10, cached_input_tokens=11, output_tokens=1),
        TokenUsage(input_tokens=10, cached_input_tokens=-1, output_tokens=1),
        TokenUsage(input_tokens=10, cached_input_tokens=6, cache_write_tokens=5, output_tokens=1),
    ],
)
def test_usage_that_makes_no_sense_has_no_price(usage: TokenUsage):
    for price in (CLAUDE, FLASH, AUDIO):
        with pytest.raises(UnpriceableUsage):
            usd_for(usage, price)


@pytest.mark.parametrize(
    "usage",
    [
        TokenUsage(input_tokens=10, input_audio_tokens=11, output_tokens=1),
        TokenUsage(input_tokens=10, output_tokens=1, output_audio_tokens=2),
        TokenUsage(input_tokens=10, cached_audio_tokens=1, output_tokens=1),
        TokenUsage(input_tokens=10, cached_input_tokens=4, cached_audio_tokens=5, output_tokens=1),
    ],
)
def test_audio_must_make_sense_only_where_it_has_a_price(usage: TokenUsage):
    heard_and_spoken = replace(
        AUDIO, rates=replace(AUDIO.rates, cached_input=Decimal(1), cached_audio=Decimal(3))
    )
    with pytest.raises(UnpriceableUsage):
        usd_for(usage, heard_and_spoken)
    assert usd_for(usage, MINI) <= Decimal("0.0000021")  # 10 x 0.15 + 1 x 0.60


def test_the_worst_case_takes_the_dearest_kind_of_token_in_the_dearest_tier_in_reach():
    assert worst_usd_for(1000, 500, MINI) == Decimal("0.00045")
    # 100,000 x 3.75 + 1,000 x 15
    assert worst_usd_for(100_000, 1000, CLAUDE) == Decimal("0.39")
    # 200,001 x 7.50 + 1,000 x 22.50
    assert worst_usd_for(200_001, 1000, CLAUDE) == Decimal("1.5225075")
    # 1,000 x 32 + 500 x 64
    assert worst_usd_for(1000, 500, AUDIO) == Decimal("0.064")


def test_free_is_what_says_that_every_rate_is_zero():
    free = Rates(Decimal(0), Decimal(0))
    assert ModelPrice("free", free).is_free
    assert not MINI.is_free
    assert not ModelPrice("long", free, (Tier(10, Rates(Decimal(1), Decimal(0))),)).is_free
    assert not ModelPrice("audio", Rates(Decimal(0), Decimal(0), input_audio=Decimal(1))).is_free


@pytest.mark.parametrize(
    ("exact", "charged"),
    [
        ("0.0000000000005", "0"),
        ("0.0000000000015", "0.000000000002"),
        ("0.00000000000151", "0.000000000002"),
        ("12345678.9", "12345678.9"),
    ],
)
def test_money_is_rounded_half_to_even_at_the_pico_dollar(exact: str, charged: str):
    assert rounded(Decimal(exact)) == Decimal(charged)
