"""A month of plausible usage, so that the dashboard has something to show."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from llm_core.pricing.charge import usd_for
from llm_core.tokens.usage import TokenUsage
from policy_service.ports.ledger import Prices, UsageRow

DAYS = 31
_SEED = 20_261_120
_BUSIEST_HOUR = 14
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class _Habit:
    """How a team works: calls on a weekday, which models, how long its prompts are."""

    department: str
    team: str
    project: str | None
    user: str | None
    calls_a_day: int
    models: tuple[str, ...]
    prompt_tokens: int
    answer_tokens: int
    use_case: str


_HABITS = (
    _Habit(
        "engineering",
        "search",
        "ranking",
        "sam",
        70,
        ("gpt-4o-mini", "gpt-4o"),
        2600,
        420,
        "ranking",
    ),
    _Habit(
        "engineering",
        "platform",
        None,
        "pat",
        25,
        ("claude-sonnet-4-6", "gpt-4o"),
        5200,
        1400,
        "coding",
    ),
    _Habit("support", "helpdesk", "chatbot", None, 90, ("gpt-4o-mini",), 1500, 260, "chat"),
    _Habit("support", "trainees", None, "terry", 8, ("gpt-4o-mini",), 500, 200, "chat"),
    _Habit(
        "marketing", "campaigns", None, "mia", 12, ("claude-sonnet-4-6",), 3000, 2200, "copywriting"
    ),
)
_PROVIDERS = {"gpt-4o-mini": "openai", "gpt-4o": "openai", "claude-sonnet-4-6": "anthropic"}
_COST_CENTRES = {"engineering": "cc-100", "support": "cc-200"}
"""As the demo's company has them; marketing's calls are untagged."""
_REGIONS = {"openai": "us", "anthropic": "eu"}


def month_of_usage(now: datetime, prices: Prices) -> Iterator[UsageRow]:
    """Rows of the last month up to `now`; the same ones for the same moment."""
    chance = random.Random(_SEED)  # noqa: S311 - plausible, not secret
    for days_ago in range(DAYS, -1, -1):
        day = (now - timedelta(days=days_ago)).replace(hour=0, minute=0, second=0, microsecond=0)
        for habit in _HABITS:
            weekend = 0.15 if day.weekday() >= _SATURDAY else 1.0
            for _ in range(round(habit.calls_a_day * weekend * chance.uniform(0.7, 1.3))):
                at = day + timedelta(hours=_hour(chance), seconds=chance.randrange(3600))
                if at < now:
                    yield _row(habit, at, prices, chance)


def spent_up(team: str, department: str, amount: Decimal, now: datetime) -> UsageRow:
    """One row that uses a budget up this month, so that its refusal can be tried."""
    return UsageRow(
        decision_id=f"dec_demo_spent_{team}_{now:%Y%m}",
        at=now.replace(microsecond=0),
        organisation="acme",
        department=department,
        team=team,
        project=None,
        user=None,
        application="batch-translation",
        key_id=None,
        operation="chat.completions",
        asked_model="claude-sonnet-4-6",
        routed_model="claude-sonnet-4-6",
        served_model="claude-sonnet-4-6",
        deployment_id="anthropic-claude-sonnet-4-6",
        provider="anthropic",
        region="eu",
        transport="relay",
        is_streaming=True,
        http_status=200,
        error_class="none",
        source="provider",
        input_tokens=round(amount / Decimal("0.000003")),
        cached_input_tokens=0,
        cache_write_tokens=0,
        output_tokens=0,
        reasoning_tokens=None,
        usd=amount,
        price_version="demo",
        policy_revision="demo",
        use_case="translation",
        priority="batch",
    )


def _hour(chance: random.Random) -> int:
    return min(23, max(0, round(chance.gauss(_BUSIEST_HOUR, 3))))


def _row(habit: _Habit, at: datetime, prices: Prices, chance: random.Random) -> UsageRow:
    model = chance.choice(habit.models)
    provider = _PROVIDERS[model]
    usage = TokenUsage(
        input_tokens=_around(chance, habit.prompt_tokens),
        cached_input_tokens=0,
        cache_write_tokens=0,
        output_tokens=_around(chance, habit.answer_tokens),
    )
    failed = chance.random() < 0.01  # noqa: PLR2004 - one call in a hundred
    price = prices.price(provider, model, at)
    usd = Decimal(0) if failed or price is None else usd_for(usage, price)
    first_ms = chance.lognormvariate(math.log(380), 0.3)
    total_ms = first_ms + (usage.output_tokens or 0) * chance.uniform(9, 16)
    return UsageRow(
        decision_id=f"dec_demo_{at:%Y%m%d%H%M%S}_{chance.getrandbits(40):010x}",
        at=at,
        organisation="acme",
        department=habit.department,
        team=habit.team,
        project=habit.project,
        user=habit.user,
        application=None,
        key_id=None,
        operation="chat.completions",
        asked_model=model,
        routed_model=model,
        served_model=model,
        deployment_id=f"{provider}-{model}",
        provider=provider,
        region=_REGIONS[provider],
        transport="relay",
        is_streaming=True,
        http_status=502 if failed else 200,
        error_class="unreachable" if failed else "none",
        source="provider",
        input_tokens=None if failed else usage.input_tokens,
        cached_input_tokens=None if failed else 0,
        cache_write_tokens=None if failed else 0,
        output_tokens=None if failed else usage.output_tokens,
        reasoning_tokens=None,
        usd=usd,
        price_version=price.version if price else None,
        policy_revision="demo",
        total_ms=round(total_ms, 1),
        time_to_first_token_ms=round(first_ms, 1),
        overhead_ms=round(chance.uniform(1.5, 4.0), 2),
        use_case=habit.use_case,
        cost_centre=_COST_CENTRES.get(habit.department),
    )


def _around(chance: random.Random, typical: int) -> int:
    return max(1, round(chance.lognormvariate(math.log(typical), 0.5)))
