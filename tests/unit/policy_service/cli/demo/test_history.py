from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from llm_core.pricing.charge import usd_for
from llm_core.tokens.usage import TokenUsage
from policy_service.adapters.price_list import PriceList, price_files
from policy_service.bundled import bundled
from policy_service.cli.demo.history import DAYS, month_of_usage, spent_up
from policy_service.ports.ledger import UsageRow

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
PRICES = PriceList(price_files(bundled("prices")))


@pytest.fixture(scope="module")
def rows() -> list[UsageRow]:
    return list(month_of_usage(NOW, PRICES))


def test_a_month_of_it_ends_now(rows: list[UsageRow]) -> None:
    assert len(rows) > 3000
    assert all(row.at < NOW for row in rows)
    assert min(row.at for row in rows) >= NOW - timedelta(days=DAYS + 1)
    days = {row.at.date() for row in rows}
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(sorted(days)))


def test_it_is_the_same_for_the_same_moment(rows: list[UsageRow]) -> None:
    assert list(month_of_usage(NOW, PRICES)) == rows


def test_every_row_has_an_id_of_its_own(rows: list[UsageRow]) -> None:
    assert len({row.decision_id for row in rows}) == len(rows)


def test_every_call_costs_exactly_what_its_tokens_cost(rows: list[UsageRow]) -> None:
    for row in rows:
        if row.error_class != "none":
            assert (row.usd, row.output_tokens) == (0, None)
            continue
        assert row.provider
        assert row.routed_model
        price = PRICES.price(row.provider, row.routed_model, row.at)
        assert price
        usage = TokenUsage(row.input_tokens, 0, 0, output_tokens=row.output_tokens)
        assert row.usd == usd_for(usage, price)
        assert row.usd > 0


def test_weekends_are_quiet(rows: list[UsageRow]) -> None:
    weekend = sum(row.at.weekday() >= 5 for row in rows)
    assert weekend < len(rows) / 8


def test_a_budget_can_be_used_up_in_one_row_a_month() -> None:
    row = spent_up("campaigns", "marketing", Decimal("12.34"), NOW)
    assert (row.team, row.usd, row.at) == ("campaigns", Decimal("12.34"), NOW)
    assert row.decision_id == spent_up("campaigns", "marketing", Decimal(1), NOW).decision_id
