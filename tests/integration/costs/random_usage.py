"""Random calls around the days on which clocks change and months end, for the ledger."""

import random
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache

from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.sql.engine import writing
from policy_service.adapters.sql.partitions import SqlUpkeep
from policy_service.adapters.sql.tables import Base
from policy_service.ports.ledger import UsageRow
from tests.integration.sql.usage_rows import usage_row

COUNTS = {"postgresql": 50_000, "sqlite": 5_000}
"""The issue asks for 50,000: of the database of production. SQLite adds up in the same way."""

_USAGE = Base.metadata.tables["usage"]
_FIELDS = tuple(field.name for field in fields(UsageRow))
# Clocks of Europe change on 29 March and 25 October, those of America on 1 November, those of Lord
# Howe on 5 April, by half an hour.
PERIODS = (
    (datetime(2026, 3, 27, tzinfo=UTC), timedelta(days=10)),
    (datetime(2026, 10, 23, tzinfo=UTC), timedelta(days=11)),
)
TEAMS = {"search": "engineering", "ads": "engineering", "emea": "sales", "apac": "sales"}
_TOKENS = (None, 0, 1, 17, 2048)


def random_rows(count: int, seed: int = 6) -> list[UsageRow]:
    """Calls with every bucket of tokens, tagged and untagged, good and failed."""
    chance = random.Random(seed)
    return [_random_row(chance, number) for number in range(count)]


@cache
def filling(database_url: str) -> list[UsageRow]:
    """The calls that a database of this kind is filled with."""
    return random_rows(COUNTS[database_url.partition("+")[0]])


def _random_row(chance: random.Random, number: int) -> UsageRow:
    start, length = chance.choice(PERIODS)
    # Some to the very edge of an hour.
    at = start + timedelta(milliseconds=chance.randrange(int(length.total_seconds()) * 1000))
    if chance.random() < 0.1:
        at = at.replace(minute=chance.choice([0, 30]), second=0, microsecond=0)
    team = chance.choice([*TEAMS])
    model = chance.choice(["gpt-4o", "claude-sonnet-4-5", "gemini"])
    return usage_row(
        f"dec_{number:08d}",
        at=at,
        department=TEAMS[team],
        team=team,
        project=chance.choice([None, f"{team}-1"]),
        user=chance.choice([None, "ada", "bob", "eve"]),
        application=chance.choice([None, "bot"]),
        cost_centre=chance.choice([None, "cc-1", "cc-2"]),
        asked_model=model,
        routed_model=chance.choice([None, model]),
        served_model=chance.choice([None, "", f"{model}-2026"]),
        provider=chance.choice([None, "openai", "anthropic"]),
        region=chance.choice([None, "eu", "us"]),
        operation=chance.choice(["chat.completions", "embeddings"]),
        use_case=chance.choice([None, "support"]),
        http_status=chance.choice([200, 429]),
        error_class=chance.choice(["none", "none", "rate_limited", "timeout"]),
        source=chance.choice(["provider", "counted", "estimated"]),
        input_tokens=chance.choice(_TOKENS),
        cached_input_tokens=chance.choice(_TOKENS),
        cache_write_tokens=chance.choice(_TOKENS),
        output_tokens=chance.choice(_TOKENS),
        reasoning_tokens=chance.choice(_TOKENS),
        usd=Decimal(chance.randrange(10**11)).scaleb(-12),
        cache=chance.choice(["hit", "miss", "bypass"]),
        saved_usd=Decimal(chance.randrange(10**9)).scaleb(-12),
        routing_saved_usd=Decimal(chance.randrange(10**10)).scaleb(-12),
        fallbacks=chance.choice([0, 0, 1, 2]),
        total_ms=chance.choice([None, chance.lognormvariate(7, 1)]),
        time_to_first_token_ms=chance.choice([None, chance.lognormvariate(5, 1)]),
        overhead_ms=chance.choice([None, chance.lognormvariate(1, 0.5)]),
        input_audio_tokens=chance.choice(_TOKENS),
        input_image_tokens=chance.choice(_TOKENS),
        output_audio_tokens=chance.choice(_TOKENS),
        cached_audio_tokens=chance.choice(_TOKENS),
    )


async def put(engine: AsyncEngine, rows: Sequence[UsageRow]) -> None:
    """Insert them, and make the roll-ups from them."""
    async with writing(engine) as connection:
        await connection.execute(
            _USAGE.insert(), [{name: getattr(row, name) for name in _FIELDS} for row in rows]
        )
    upkeep = SqlUpkeep(engine)
    for month in sorted({f"{row.at:%Y-%m}" for row in rows}):
        await upkeep.remake_rollups(month)
