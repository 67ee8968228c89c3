"""The metadata headers that an answer carries."""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import islice

from llm_core.policy.decision import CacheUse, PricedDeployment
from llm_core.policy.limits import LimitState, Measure, Period, Quantity
from llm_core.pricing.charge import UnpriceableUsage, usd_for
from llm_core.tokens.usage import TokenUsage

_OPENAI_NAMES = {
    Quantity.REQUESTS: "requests",
    Quantity.TOKENS: "tokens",
    Quantity.INPUT_TOKENS: "tokens",
    Quantity.OUTPUT_TOKENS: "tokens",
}
DEGRADED = "x-gatehouse-limits"
"""Says `degraded` where one process decided about the limits alone."""

_BUDGET = "budget"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
_MOST_DROPPED = 20


def limit_headers(states: Iterable[LimitState]) -> dict[str, str]:
    """OpenAI's `x-ratelimit-*` and our remaining budget, each from its tightest limit.

    Tokens are the tightest of all limits of tokens a minute, in, out and together; the budget is
    the tightest of money, over whatever period. Other limits have no header.

    Source:
        https://platform.openai.com/docs/guides/rate-limits (checked 2026-11-20)
    """
    tightest: dict[str, LimitState] = {}
    for state in states:
        name = _shown_as(state.limit.measure)
        if name is None:
            continue
        before = tightest.get(name)
        if before is None or state.remaining < before.remaining:
            tightest[name] = state
    headers: dict[str, str] = {}
    for name, state in tightest.items():
        if name == _BUDGET:
            headers["x-gatehouse-budget-remaining-usd"] = plain(state.remaining)
            continue
        headers[f"x-ratelimit-limit-{name}"] = plain(state.limit.amount)
        headers[f"x-ratelimit-remaining-{name}"] = plain(state.remaining)
        headers[f"x-ratelimit-reset-{name}"] = f"{max(state.reset_s, 0):.3f}s"
    return headers


def _shown_as(measure: Measure) -> str | None:
    if measure.is_money:
        return _BUDGET
    return _OPENAI_NAMES[measure.quantity] if measure.period is Period.MINUTE else None


def plain(amount: Decimal) -> str:
    """Write an amount without exponent and without trailing zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def deployment_headers(
    priced: PricedDeployment,
    dropped_params: Sequence[str],
    cache: CacheUse = CacheUse.BYPASS,
) -> dict[str, str]:
    """Who answered, where; whether it was asked now or before."""
    deployment = priced.deployment
    return {
        "x-gatehouse-provider": deployment.provider_name,
        "x-gatehouse-model": deployment.model,
        "x-gatehouse-region": deployment.region,
        "x-gatehouse-cache": cache.value,
        "x-kong-llm-model": f"{deployment.provider_name}/{deployment.model}",
        **dropped_params_header(dropped_params),
    }


def dropped_params_header(names: Iterable[str]) -> dict[str, str]:
    """Which parameters were left out; nothing when there is none to name.

    The names are the client's own and may be anything JSON allows. Only those that a header can
    carry are told, and no more than 20 of them, then `...`.
    """
    plain_names = (name for name in names if _PLAIN_NAME.fullmatch(name))
    shown = list(islice(plain_names, _MOST_DROPPED + 1))
    if len(shown) > _MOST_DROPPED:
        shown[_MOST_DROPPED] = "..."
    return {"x-gatehouse-dropped-params": ", ".join(shown)} if shown else {}


def cost_header(usage: TokenUsage, priced: PricedDeployment) -> dict[str, str]:
    """What the call cost; left out when it cannot be told yet."""
    try:
        return {"x-gatehouse-cost-usd": plain(usd_for(usage, priced.price))}
    except UnpriceableUsage:
        return {}
