"""Public list prices, from the snapshot that the genai-prices package ships, in our own shape.

What its data says and ours can say are nearly the same: USD per million tokens, inclusive buckets,
and long-context tiers that price *every* token of a call once its whole input is longer than the
tier's start (`TieredPrices` in genai_prices/types.py: "crossing a tier applies that rate to ALL
tokens"). Where they differ, a model is left unpriced rather than charged too little:

| The list has | Then |
|---|---|
| no input rate, or no output rate (embeddings, images, speech) | unpriced |
| a fee per request, hour, page, character or pixel | unpriced |
| a kind of token that we do not count apart and that is dearer than its bucket | unpriced |
| such a kind that is no dearer than its bucket | the bucket's rate |
| search that is built into the model, by its name | unpriced |
| no rates for speech, and a model that hears or speaks, by its name | unpriced |
| a fee per search or tool call that a caller must ask for | left out: see `_ASKED_FOR_APART` |
| a dearer rate for cache writes that live an hour | left out: see `_NOT_REACHABLE` |
| other rates for a batch, a service tier or a speed (`price_variants`) | the standard rate |

The last three hold because the translators refuse a chat completion that asks for them, or leave
out what asks: `openai_refusals` (`service_tier: priority`, `web_search_options`, tools that run at
the provider), and Anthropic's `request`, `tools` and `messages` (`ttl: 1h`, `speed`). Whoever lets
one through must price it first; a model with a contract price in `prices/*.yaml` never comes here.

Source:
    https://github.com/pydantic/genai-prices (checked 2026-11-20)
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import genai_prices
from genai_prices import types as listed
from genai_prices.data_snapshot import DataSnapshot, get_snapshot

from llm_core.pricing.charge import ModelPrice, Rates, Tier

_ListedRate = Decimal | listed.TieredPrices
_Constraint = listed.StartDateConstraint | listed.TimeOfDateConstraint | None

# Our word for a provider -> genai-prices' id. Its own matching is by substring, which would price a
# self-hosted `openai_compatible` model as OpenAI's; only exact ids are let through.
_LISTED_AS = {"azure_openai": "azure", "bedrock": "aws", "gemini": "google", "vertex": "google"}

_BUCKETS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
    "input_audio_mtok": "input_audio",
    "output_audio_mtok": "output_audio",
    "cache_audio_read_mtok": "cached_audio",
}
# Charged per call of a tool that runs at the provider, which only a tool of that name starts.
_ASKED_FOR_APART = {
    "web_searches_kcount",
    "social_searches_kcount",
    "storage_searches_kcount",
    "code_executions_kcount",
}
# Anthropic writes caches for five minutes unless `cache_control` says `ttl: 1h`.
_NOT_REACHABLE = {"cache_write_1h_mtok"}
# Searches with every call, for a fee that the list files under the model without search.
_SEARCHES_BY_ITSELF = re.compile(r"(?<![a-z])search|deep-research|(?<![a-z])sonar|-online\b")
# The list has some of these at the rates of their text alone (gpt-4o-audio-preview), where a token
# of speech costs up to sixteen times as much.
_HEARS_OR_SPEAKS = re.compile(r"audio|realtime")
# What they make is no text, so the list has no rate for it.
_EMBEDS = re.compile(r"embed")
_SPEECH_RATES = frozenset({"input_audio_mtok", "output_audio_mtok"})


@dataclass(frozen=True, slots=True)
class ListedPrices:
    """All prices of one model, in force at different times.

    Args:
        _periods: In the list's order: the last one that is active counts, the first one if none is.
            A price of `None` is one that we cannot express.
    """

    _periods: tuple[tuple[_Constraint, ModelPrice | None], ...]

    def at(self, moment: datetime) -> ModelPrice | None:
        """The price in force at `moment` (UTC-aware); `None` when it cannot be told."""
        for constraint, price in reversed(self._periods):
            if constraint is None or constraint.active(moment):
                return price
        return self._periods[0][1] if self._periods else None


def listed_prices(
    provider: str, model: str, snapshot: DataSnapshot | None = None
) -> ListedPrices | None:
    """Look a model up in the public list.

    Args:
        provider: Ours (`azure_openai`) or genai-prices' (`azure`).
        model: As the provider names it, dated or not.
        snapshot: The list; the one that genai-prices ships by default.

    Returns:
        The model's prices, or `None` when the list does not know it. Finding one takes up to some
        milliseconds, so keep it.
    """
    snapshot = snapshot or get_snapshot()
    provider_id = _LISTED_AS.get(provider, provider)
    sold_by = next((each for each in snapshot.providers if each.id == provider_id), None)
    if sold_by is None or _SEARCHES_BY_ITSELF.search(model.lower()):
        return None
    found = sold_by.find_model(model, all_providers=snapshot.providers)
    if found is None or _SEARCHES_BY_ITSELF.search(found.id.lower()):
        return None
    name = f"genai-prices-{genai_prices.__version__}/{provider_id}/{found.id}"
    has_speech = _HEARS_OR_SPEAKS.search(f"{model} {found.id}".lower()) is not None
    needed = _SPEECH_RATES if has_speech else frozenset()
    periods = (
        [listed.ConditionalPrice(prices=found.prices)]
        if isinstance(found.prices, listed.ModelPrice)
        else found.prices
    )
    return ListedPrices(
        tuple(
            (
                period.constraint,
                _price(
                    period.prices,
                    name + _since(period.constraint),
                    needed,
                    has_output=_EMBEDS.search(found.id.lower()) is None,
                ),
            )
            for period in periods
        )
    )


def model_price(rates: Mapping[str, _ListedRate], version: str) -> ModelPrice | None:
    """Convert one set of listed rates, keyed as in genai-prices (`input_mtok`, ...).

    Returns:
        `None` when we could charge less than the provider does; see the table above.
    """
    if "input_mtok" not in rates or "output_mtok" not in rates:
        return None
    left = set(rates) - _BUCKETS.keys() - _ASKED_FOR_APART - _NOT_REACHABLE
    starts = sorted(
        {
            tier.start
            for rate in rates.values()
            if isinstance(rate, listed.TieredPrices)
            for tier in rate.tiers
        }
    )
    for threshold in (None, *starts):
        at_hand = {key: _rate_above(rate, threshold) for key, rate in rates.items()}
        if not all(_is_covered(key, at_hand) for key in left):
            return None
    return ModelPrice(
        version=version,
        rates=_our_rates(rates, None),
        tiers=tuple(Tier(start, _our_rates(rates, start)) for start in starts),
    )


def _price(
    prices: listed.ModelPrice, version: str, needed: frozenset[str], *, has_output: bool
) -> ModelPrice | None:
    rates = _rates_in(prices)
    if not has_output:
        rates.setdefault("output_mtok", Decimal(0))
    return model_price(rates, version) if needed <= rates.keys() else None


def _rates_in(prices: listed.ModelPrice) -> dict[str, _ListedRate]:
    # ModelPrice keeps what was given to it as attributes and nothing else, under its own key names.
    return {key: rate for key, rate in vars(prices).items() if rate is not None}


def _our_rates(rates: Mapping[str, _ListedRate], threshold: int | None) -> Rates:
    ours = {
        bucket: _rate_above(rates[key], threshold)
        for key, bucket in _BUCKETS.items()
        if key in rates
    }
    return Rates(**ours)


def _rate_above(rate: _ListedRate, threshold: int | None) -> Decimal:
    """The rate for a call whose input is just longer than `threshold`; without one, the lowest."""
    if not isinstance(rate, listed.TieredPrices):
        return rate
    chosen = rate.base
    for tier in rate.tiers:
        if threshold is not None and threshold >= tier.start:
            chosen = tier.price
    return chosen


def _is_covered(key: str, rates: Mapping[str, Decimal]) -> bool:
    """Whether charging `key`'s tokens in the buckets we have costs no less than the list says."""
    if not key.endswith("_mtok"):
        return False
    bucket = "output_mtok" if key.startswith("output_") else "input_mtok"
    if key.startswith("cache_"):
        kind = "cache_write_mtok" if "_write" in key else "cache_read_mtok"
        bucket = kind if kind in rates else bucket
    return rates[key] <= rates[bucket]


def _since(constraint: _Constraint) -> str:
    match constraint:
        case None:
            return ""
        case listed.StartDateConstraint():
            return f"@{constraint.start_date.isoformat()}"
        case listed.TimeOfDateConstraint():
            return f"@{constraint.start_time.isoformat()}/{constraint.end_time.isoformat()}"
