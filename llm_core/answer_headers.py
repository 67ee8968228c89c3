"""The metadata headers that an answer carries."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from llm_core.policy.decision import PricedDeployment
from llm_core.policy.limits import LimitState, Measure
from llm_core.pricing.charge import UnpriceableUsage, usd_for
from llm_core.tokens.usage import TokenUsage

_OPENAI_NAMES = {
    Measure.REQUESTS_PER_MINUTE: "requests",
    Measure.TOKENS_PER_MINUTE: "tokens",
}


def limit_headers(states: Iterable[LimitState]) -> dict[str, str]:
    """OpenAI's `x-ratelimit-*` and our remaining budget, each from its tightest limit.

    Source:
        https://platform.openai.com/docs/guides/rate-limits (checked 2026-11-20)
    """
    headers: dict[str, str] = {}
    tightest: dict[Measure, LimitState] = {}
    for state in states:
        before = tightest.get(state.limit.measure)
        if before is None or state.remaining < before.remaining:
            tightest[state.limit.measure] = state
    for measure, state in tightest.items():
        if measure.is_money:
            headers["x-gatehouse-budget-remaining-usd"] = plain(state.remaining)
            continue
        name = _OPENAI_NAMES[measure]
        headers[f"x-ratelimit-limit-{name}"] = plain(state.limit.amount)
        headers[f"x-ratelimit-remaining-{name}"] = plain(state.remaining)
        headers[f"x-ratelimit-reset-{name}"] = f"{max(state.reset_s, 0):.3f}s"
    return headers


def plain(amount: Decimal) -> str:
    """Write an amount without exponent and without trailing zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def deployment_headers(priced: PricedDeployment, dropped_params: Sequence[str]) -> dict[str, str]:
    """Who answered, where."""
    deployment = priced.deployment
    headers = {
        "x-gatehouse-provider": deployment.provider.value,
        "x-gatehouse-model": deployment.model,
        "x-gatehouse-region": deployment.region,
        "x-gatehouse-cache": "bypass",
        "x-kong-llm-model": f"{deployment.provider.value}/{deployment.model}",
    }
    if dropped_params:
        headers["x-gatehouse-dropped-params"] = ", ".join(dropped_params)
    return headers


def cost_header(usage: TokenUsage, priced: PricedDeployment) -> dict[str, str]:
    """What the call cost; left out when it cannot be told yet."""
    try:
        return {"x-gatehouse-cost-usd": plain(usd_for(usage, priced.price))}
    except UnpriceableUsage:
        return {}
