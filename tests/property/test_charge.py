"""What must hold for every price and every usage."""

from dataclasses import fields
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from llm_core.pricing.charge import (
    ModelPrice,
    Rates,
    Tier,
    UnpriceableUsage,
    usd_for,
    worst_usd_for,
)
from llm_core.tokens.usage import TokenUsage, sum_of

_rate = st.just(Decimal(0)) | st.decimals(min_value=0, max_value=1000, places=6)
_maybe_rate = st.none() | _rate
_rates = st.builds(
    Rates,
    input=_rate,
    output=_rate,
    cached_input=_maybe_rate,
    cache_write=_maybe_rate,
    input_audio=_maybe_rate,
    output_audio=_maybe_rate,
    cached_audio=_maybe_rate,
)
_flat_prices = st.builds(ModelPrice, version=st.just("flat"), rates=_rates)
_part = st.integers(0, 300_000)


@st.composite
def prices(draw: st.DrawFn) -> ModelPrice:
    """Any price with up to three tiers in rising order."""
    bounds = sorted(draw(st.sets(st.integers(1, 1_000_000), max_size=3)))
    tiers = tuple(Tier(bound, draw(_rates)) for bound in bounds)
    return ModelPrice("tiered", draw(_rates), tiers)


@st.composite
def usages(draw: st.DrawFn) -> TokenUsage:
    """Any usage whose parts fit into the whole."""
    plain, cached, written, heard, both = (draw(_part) for _ in range(5))
    text, reasoned, spoken = (draw(_part) for _ in range(3))
    return TokenUsage(
        input_tokens=plain + cached + written + heard + both,
        # A provider that cached nothing may report nothing.
        cached_input_tokens=cached + both or None,
        cache_write_tokens=written,
        input_audio_tokens=heard + both,
        cached_audio_tokens=both or None,
        output_tokens=text + reasoned + spoken,
        reasoning_tokens=reasoned,
        output_audio_tokens=spoken,
    )


@given(usage=usages(), price=prices())
def test_a_charge_is_never_negative(usage: TokenUsage, price: ModelPrice) -> None:
    assert usd_for(usage, price) >= 0


_absurd = st.none() | st.integers(-(10**40), 10**40)


@given(
    usage=st.builds(TokenUsage, **{one.name: _absurd for one in fields(TokenUsage)}),
    price=prices(),
)
def test_whatever_is_reported_has_a_price_from_zero_up_or_none(
    usage: TokenUsage, price: ModelPrice
) -> None:
    try:
        usd = usd_for(usage, price)
    except UnpriceableUsage:
        return
    assert 0 <= usd < 10**10


@given(parts=st.lists(usages(), min_size=1, max_size=5), price=_flat_prices)
def test_a_charge_is_additive(parts: list[TokenUsage], price: ModelPrice) -> None:
    """Exactly so: rates with six decimals per million never need the rounding."""
    assert usd_for(sum_of(parts), price) == sum(
        (usd_for(part, price) for part in parts), Decimal(0)
    )


@given(usage=usages(), price=prices(), more_in=_part, more_out=_part)
def test_no_split_of_the_tokens_costs_more_than_the_worst_case(
    usage: TokenUsage, price: ModelPrice, more_in: int, more_out: int
) -> None:
    """A reservation covers every call that stays within the tokens it was made for."""
    assert usage.input_tokens is not None
    assert usage.output_tokens is not None
    worst = worst_usd_for(usage.input_tokens + more_in, usage.output_tokens + more_out, price)
    assert usd_for(usage, price) <= worst


@given(price=_flat_prices, tokens=_part, more=_part)
def test_the_worst_case_grows_with_the_tokens(price: ModelPrice, tokens: int, more: int) -> None:
    assert worst_usd_for(tokens, tokens, price) <= worst_usd_for(tokens + more, tokens, price)
    assert worst_usd_for(tokens, tokens, price) <= worst_usd_for(tokens, tokens + more, price)


@given(price=prices(), usage=usages())
def test_a_free_model_costs_nothing(price: ModelPrice, usage: TokenUsage) -> None:
    """Whatever is used of it; and a model with any rate at all is not called free."""
    every = (price.rates, *(tier.rates for tier in price.tiers))
    nothing = all(
        getattr(rates, field.name) in (None, Decimal(0))
        for rates in every
        for field in fields(Rates)
    )
    assert price.is_free == nothing
    if price.is_free:
        assert usd_for(usage, price) == 0
