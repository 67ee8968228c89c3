"""From tokens and a price to USD, exactly."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from llm_core.tokens.usage import MOST_TOKENS, TokenUsage

MILLION = Decimal(1_000_000)
PICO_USD = Decimal("0.000000000001")
ZERO = Decimal(0)
_MOST_PRICED = 10 * MOST_TOKENS
"""Input and output may each be the sum of several reported numbers."""


class UnpriceableUsage(ValueError):
    """The tokens and the price do not fit together; the message says how."""


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per one million tokens, as providers quote it; `None` means "as the bucket around it".

    Args:
        cached_audio: Of what is both cached and audio, so that two buckets are around it; `None`
            means as audio where audio has a rate, and as cached input where it has none.
    """

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    input_audio: Decimal | None = None
    output_audio: Decimal | None = None
    cached_audio: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates for calls whose input is longer than `above_input_tokens`; they price every token."""

    above_input_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """What a model costs from some day on.

    Args:
        version: Names the price for good, so that a row can say what it was charged at.
        tiers: Long-context tiers in rising order.
    """

    version: str
    rates: Rates
    tiers: tuple[Tier, ...] = ()

    @property
    def is_free(self) -> bool:
        """Whether the price says that the model costs nothing, which is not the same as unknown."""
        every = (self.rates, *(tier.rates for tier in self.tiers))
        return all(_worst(1, 1, rates) == ZERO for rates in every)

    def rates_for(self, input_tokens: int) -> Rates:
        """The rates that hold for a call with `input_tokens` in all."""
        chosen = self.rates
        for tier in self.tiers:
            if input_tokens > tier.above_input_tokens:
                chosen = tier.rates
        return chosen


def usd_for(usage: TokenUsage, price: ModelPrice) -> Decimal:
    """Price one call.

    Buckets are inclusive: `usage.input_tokens` already counts the cached, the written and the audio
    part, so these are taken out before the full input rate applies. Of what is cached, as much is
    audio as was reported; and where that is not told, no more than it must be for the parts to fit
    into the whole.

    Args:
        usage: Both directions must be known.
        price: USD per million tokens.

    Returns:
        USD to the pico-dollar, which every price with up to six decimals per million meets exactly.

    Raises:
        UnpriceableUsage: A direction is missing, the parts exceed the whole, or the whole exceeds
            all reason.
    """
    if usage.input_tokens is None or usage.output_tokens is None:
        raise UnpriceableUsage("the provider reported no input or no output tokens")
    if usage.total_tokens > _MOST_PRICED:
        raise UnpriceableUsage("no call has so many tokens")
    rates = price.rates_for(usage.input_tokens)
    cached = usage.cached_input_tokens or 0
    written = usage.cache_write_tokens or 0
    told = usage.cached_audio_tokens or 0
    heard = max(usage.input_audio_tokens or 0, told)
    if rates.input_audio is None and rates.cached_audio is None:
        told = heard = 0  # it is input like any other, and nobody needs to know how much
    spoken = usage.output_audio_tokens or 0 if rates.output_audio is not None else 0
    too_many = cached + written + heard - usage.input_tokens
    both = max(told, min(too_many, cached, heard))
    plain = both - too_many
    said = usage.output_tokens - spoken
    if min(plain, said, cached - both, written, heard - both, both, spoken) < 0:
        raise UnpriceableUsage("cached, written or audio tokens exceed the tokens in all")
    per_million = (
        plain * rates.input
        + (cached - both) * _or(rates.cached_input, rates.input)
        + written * _or(rates.cache_write, rates.input)
        + (heard - both) * _or(rates.input_audio, rates.input)
        + both * _cached_audio(rates)
        + said * rates.output
        + spoken * _or(rates.output_audio, rates.output)
    )
    return rounded(per_million / MILLION)


def worst_usd_for(
    input_tokens: int, output_tokens: int, price: ModelPrice, *, most_input_tokens: int = 0
) -> Decimal:
    """The most a call can cost: dearest tier it can reach, dearest kind of input and output.

    Args:
        input_tokens: As estimated.
        output_tokens: At most.
        price: In force.
        most_input_tokens: What the input may turn out to be, where that can start a tier: a call
            that comes to lie above a tier's start by then is priced there, with so many tokens.
    """
    most = max(input_tokens, most_input_tokens)
    worst = [_worst(input_tokens, output_tokens, price.rates)]
    worst += [
        _worst(most, output_tokens, tier.rates)
        for tier in price.tiers
        if most > tier.above_input_tokens
    ]
    return max(rounded(usd) for usd in worst)


def rounded(usd: Decimal) -> Decimal:
    """The one place where money is rounded: to the pico-dollar, half to even."""
    return usd.quantize(PICO_USD, rounding=ROUND_HALF_EVEN)


def _worst(input_tokens: int, output_tokens: int, rates: Rates) -> Decimal:
    dearest_input = max(
        rates.input,
        _or(rates.cache_write, rates.input),
        _or(rates.cached_input, rates.input),
        _or(rates.input_audio, rates.input),
        _cached_audio(rates),
    )
    dearest_output = max(rates.output, _or(rates.output_audio, rates.output))
    return (input_tokens * dearest_input + output_tokens * dearest_output) / MILLION


def _cached_audio(rates: Rates) -> Decimal:
    return _or(rates.cached_audio, _or(rates.input_audio, _or(rates.cached_input, rates.input)))


def _or(rate: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if rate is None else rate
