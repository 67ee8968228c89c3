"""A caller's own figures in both databases."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.sql.engine import writing
from policy_service.adapters.sql.ledger import SqlLedger
from policy_service.adapters.sql.self_service import SqlOwnFigures
from policy_service.adapters.sql.tables import Base
from policy_service.ports.self_service import KeyFacts, UsedModel
from tests.integration.sql.usage_rows import NOW, usage_row

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
DAYS = [MIDNIGHT + timedelta(days=day) for day in (-2, -1, 0, 1)]


async def test_usage_is_summed_by_span_and_model(engine: AsyncEngine) -> None:
    await SqlLedger(engine).record(
        [
            usage_row("dec_1"),
            usage_row("dec_2", error_class="provider", input_tokens=None, usd=Decimal("0.1")),
            usage_row("dec_3", cache="hit", usd=Decimal(0), asked_model="large"),
            usage_row("dec_4", at=DAYS[1] - timedelta(milliseconds=1)),
            usage_row("dec_5", at=DAYS[1]),
            usage_row("dec_6", at=DAYS[0] - timedelta(milliseconds=1)),
            usage_row("dec_7", at=DAYS[3]),
            usage_row("dec_8", key_id="key_2", user="bob", application=None, project=None),
        ]
    )
    figures = SqlOwnFigures(engine)
    usual = UsedModel(0, "gpt-4o-mini", 1, 0, 0, 1000, 500, Decimal("0.00045"))
    for node in ("key:key_1", "user:alice", "application:ranker", "project:ranking"):
        assert await figures.used(node, DAYS) == (
            usual,
            UsedModel(1, "gpt-4o-mini", 1, 0, 0, 1000, 500, Decimal("0.00045")),
            UsedModel(2, "gpt-4o-mini", 2, 1, 0, 1000, 1000, Decimal("0.10045")),
            UsedModel(2, "large", 1, 0, 1, 1000, 500, Decimal(0)),
        )
    assert [row.requests for row in await figures.used("key:key_2", DAYS)] == [1]
    assert await figures.used("key:nobody", DAYS) == ()


@pytest.mark.parametrize("node", ["team:search", "department:research", "organisation:acme", ""])
async def test_what_a_whole_team_used_is_not_told_here(engine: AsyncEngine, node: str) -> None:
    with pytest.raises(ValueError, match="nobody asks about"):
        await SqlOwnFigures(engine).used(node, DAYS)


async def test_a_span_has_two_ends(engine: AsyncEngine) -> None:
    with pytest.raises(ValueError, match="two edges"):
        await SqlOwnFigures(engine).used("key:key_1", DAYS[:1])


async def test_a_key_is_known_by_its_id_and_a_zone_by_its_organisation(
    engine: AsyncEngine,
) -> None:
    tables = Base.metadata.tables
    rows: dict[str, dict[str, object]] = {
        "organisations": {"id": "acme", "name": "Acme", "time_zone": "Europe/Berlin"},
        "departments": {"id": "research", "organisation_id": "acme", "name": "Research"},
        "teams": {"id": "search", "department_id": "research", "name": "Search"},
        "api_keys": {
            "id": "key_1",
            "name": "laptop",
            "prefix": "gk-abc",
            "digest": "0" * 64,
            "team_id": "search",
            "roles": [],
            "groups": [],
            "created_at": NOW,
        },
    }
    async with writing(engine) as connection:
        for table, values in rows.items():
            await connection.execute(tables[table].insert().values(**values))
    figures = SqlOwnFigures(engine)
    assert await figures.key("key_1") == KeyFacts("key_1", "laptop", "gk-abc", NOW, None)
    assert await figures.key("key_2") is None
    assert await figures.time_zone("acme") == "Europe/Berlin"
    assert await figures.time_zone("nobody") == "UTC"
