"""Our conversion of the public list, held against the list's own arithmetic."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from genai_prices import Usage
from genai_prices import types as listed
from genai_prices.data_snapshot import DataSnapshot, get_snapshot

from llm_core.pricing.catalog import listed_prices, model_price
from llm_core.pricing.charge import ModelPrice, Rates, Tier, usd_for
from llm_core.tokens.usage import TokenUsage

NOW = datetime(2026, 11, 20, tzinfo=UTC)
USD = Decimal


def price_now(provider: str, model: str) -> ModelPrice:
    prices = listed_prices(provider, model)
    assert prices is not None
    price = prices.at(NOW)
    assert price is not None
    return price


def test_gpt_4o_mini_costs_what_openai_says():
    """1,000 x 0.15 + 500 x 0.60 per million; https://openai.com/api/pricing."""
    price = price_now("openai", "gpt-4o-mini")
    assert usd_for(TokenUsage(input_tokens=1000, output_tokens=500), price) == USD("0.00045")
    assert price.rates.cached_input == USD("0.075")
    assert price.version.startswith("genai-prices-")
    assert price.version.endswith("/openai/gpt-4o-mini")


def test_azure_sells_openais_models_under_our_name_for_it():
    azure = price_now("azure_openai", "gpt-4o-mini")
    assert azure.rates == price_now("openai", "gpt-4o-mini").rates
    assert "/azure/" in azure.version


def test_claude_has_rates_for_reading_and_writing_caches_and_a_tier_for_long_contexts():
    """https://platform.claude.com/docs/en/about-claude/pricing."""
    price = price_now("anthropic", "claude-sonnet-4-5-20250929")
    assert price.rates == Rates(USD(3), USD(15), cached_input=USD("0.3"), cache_write=USD("3.75"))
    assert price.tiers == (
        Tier(
            200_000,
            Rates(USD(6), USD("22.5"), cached_input=USD("0.6"), cache_write=USD("7.5")),
        ),
    )


def test_every_price_we_convert_charges_what_the_list_charges():
    """For every model of every provider, at each of its periods, on both sides of each tier."""
    checked = 0
    for name, period, price in _every_price():
        bounds = [tier.above_input_tokens for tier in price.tiers]
        for tokens in (1, 7, 1000, *bounds, *(bound + 1 for bound in bounds)):
            for both in (0, tokens // 9):
                theirs = period.calc_price(_theirs(tokens, both))["total_price"]
                assert usd_for(_ours(tokens, both), price) == _rounded(theirs), (name, tokens, both)
                checked += 1
    assert checked > 10_000


def test_cached_audio_that_nobody_tells_apart_is_never_charged_too_low():
    """Not every provider does: it is taken for as little as the other numbers allow."""
    for name, period, price in _every_price():
        theirs = period.calc_price(_theirs(70_000, 9_000))["total_price"]
        assert usd_for(_ours(70_000, None), price) >= _rounded(theirs), name


def test_a_price_holds_from_its_first_day_utc():
    constraint = listed.StartDateConstraint(start_date=date(2026, 7, 1))
    snapshot = _list_with(
        [
            listed.ConditionalPrice(prices=_flat(5)),
            listed.ConditionalPrice(constraint, prices=_flat(4)),
        ]
    )
    prices = listed_prices("acme", "one", snapshot)
    assert prices is not None
    before = prices.at(datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC))
    after = prices.at(datetime(2026, 7, 1, tzinfo=UTC))
    assert before is not None
    assert after is not None
    assert (before.rates.input, after.rates.input) == (5, 4)
    assert not before.version.endswith("2026-07-01")
    assert after.version.endswith("/acme/one@2026-07-01")


def test_a_price_may_depend_on_the_hour():
    cheap_hours = listed.TimeOfDateConstraint(
        start_time=time(16, 30, tzinfo=UTC), end_time=time(0, 30, tzinfo=UTC)
    )
    snapshot = _list_with(
        [
            listed.ConditionalPrice(prices=_flat(2)),
            listed.ConditionalPrice(cheap_hours, prices=_flat(1)),
        ]
    )
    prices = listed_prices("acme", "one", snapshot)
    assert prices is not None
    by_hour = {hour: prices.at(datetime(2026, 1, 1, hour, tzinfo=UTC)) for hour in (0, 12, 20)}
    assert {hour: price and price.rates.input for hour, price in by_hour.items()} == {
        0: 1,
        12: 2,
        20: 1,
    }


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "no-such-model"),
        ("nobody", "gpt-4o-mini"),
        # genai-prices itself would take any name with "openai" in it for OpenAI.
        ("openai_compatible", "gpt-4o-mini"),
        ("my-openai-mirror", "gpt-4o-mini"),
        # The list has it as gpt-4o-mini, but every call searches the web for a fee.
        ("openai", "gpt-4o-mini-search-preview"),
        ("openai", "o3-deep-research"),
        ("perplexity", "sonar-pro"),
    ],
)
def test_what_the_list_does_not_price_by_tokens_alone_is_not_found(provider: str, model: str):
    assert listed_prices(provider, model) is None


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-image-1"),
        ("openai", "whisper-1"),
        ("google", "gemini-2.5-flash-image"),
        ("mistral", "voxtral-small-24b-2507"),
        # Hear and speak, and are listed at the rates of their text.
        ("openai", "gpt-4o-audio-preview"),
        ("openai", "gpt-4o-mini-audio-preview-2024-12-17"),
        ("openrouter", "openai/gpt-audio"),
    ],
)
def test_a_kind_of_price_that_we_cannot_express_is_no_price(provider: str, model: str):
    prices = listed_prices(provider, model)
    assert prices is not None
    assert prices.at(NOW) is None


def test_a_model_that_is_listed_with_rates_for_speech_is_priced():
    rates = price_now("openai", "gpt-audio").rates
    assert (rates.input_audio, rates.output_audio) == (32, 64)


@pytest.mark.parametrize(
    ("key", "rate", "is_priced"),
    [
        ("web_searches_kcount", "10", True),
        ("cache_write_1h_mtok", "99", True),
        ("requests_kcount", "5", False),
        ("audio_hours", "0.1", False),
        ("some_new_unit", "0", False),
        ("input_image_mtok", "2", True),
        ("input_image_mtok", "2.000001", False),
        ("output_reasoning_mtok", "8", True),
        ("output_reasoning_mtok", "9", False),
        ("cache_image_read_mtok", "0.5", True),
        ("cache_image_read_mtok", "0.6", False),
    ],
)
def test_a_further_kind_of_token_must_not_be_dearer_than_what_we_charge_for_it(
    key: str, rate: str, *, is_priced: bool
):
    rates = {
        "input_mtok": USD(2),
        "output_mtok": USD(8),
        "cache_read_mtok": USD("0.5"),
        "input_audio_mtok": USD(6),
        key: USD(rate),
    }
    assert (model_price(rates, "x") is not None) is is_priced


def test_a_kind_that_is_dearer_in_a_higher_tier_only_is_no_price_either():
    steep = listed.TieredPrices(base=USD(1), tiers=[listed.Tier(start=1000, price=USD(9))])
    rates = {"input_mtok": USD(2), "output_mtok": USD(8), "output_citation_mtok": steep}
    assert model_price(rates, "x") is None


def test_rates_with_different_tiers_are_joined():
    price = model_price(
        {
            "input_mtok": listed.TieredPrices(base=USD(1), tiers=[listed.Tier(1000, USD(2))]),
            "output_mtok": listed.TieredPrices(base=USD(3), tiers=[listed.Tier(500, USD(4))]),
        },
        "x",
    )
    assert price is not None
    assert price.rates == Rates(USD(1), USD(3))
    assert price.tiers == (Tier(500, Rates(USD(1), USD(4))), Tier(1000, Rates(USD(2), USD(4))))


def _every_price() -> Iterator[tuple[str, listed.ModelPrice, ModelPrice]]:
    for provider in get_snapshot().providers:
        for model in provider.models:
            for period in _periods(model):
                rates = {key: rate for key, rate in vars(period).items() if rate is not None}
                price = model_price(rates, "x")
                if price is not None:
                    yield f"{provider.id}/{model.id}", period, price


def _periods(model: listed.ModelInfo) -> list[listed.ModelPrice]:
    if isinstance(model.prices, listed.ModelPrice):
        return [model.prices]
    return [period.prices for period in model.prices]


def _ours(tokens: int, cached_audio: int | None) -> TokenUsage:
    return TokenUsage(
        input_tokens=tokens,
        cached_input_tokens=tokens // 3,
        cache_write_tokens=tokens // 5,
        input_audio_tokens=tokens // 7,
        output_tokens=tokens,
        output_audio_tokens=tokens // 2,
        cached_audio_tokens=cached_audio,
    )


def _theirs(tokens: int, cached_audio: int) -> Usage:
    return Usage(
        input_tokens=tokens,
        cache_read_tokens=tokens // 3,
        cache_write_tokens=tokens // 5,
        input_audio_tokens=tokens // 7,
        output_tokens=tokens,
        output_audio_tokens=tokens // 2,
        cache_audio_read_tokens=cached_audio,
        cache_audio_write_tokens=0,
    )


def _rounded(usd: Decimal) -> Decimal:
    return usd.quantize(Decimal("1e-12"))


def _flat(usd: int) -> listed.ModelPrice:
    return listed.ModelPrice(input_mtok=USD(usd), output_mtok=USD(usd))


def _list_with(prices: list[listed.ConditionalPrice]) -> DataSnapshot:
    model = listed.ModelInfo(id="one", match=listed.ClauseEquals(equals="one"), prices=prices)
    provider = listed.Provider(id="acme", name="Acme", api_pattern="x", models=[model])
    return DataSnapshot(providers=[provider], from_auto_update=False)


@pytest.mark.parametrize(
    ("provider", "model", "usd_per_million"),
    [
        ("openai", "text-embedding-3-small", "0.02"),
        ("bedrock", "amazon.titan-embed-text-v2:0", "0.02"),
        ("cohere", "embed-v4.0", "0.12"),
        ("vertex", "gemini-embedding-001", "0.15"),
    ],
)
def test_a_model_for_embeddings_has_a_price_without_one_for_output(
    provider: str, model: str, usd_per_million: str
) -> None:
    price = price_now(provider, model)
    assert (price.rates.input, price.rates.output) == (Decimal(usd_per_million), 0)
