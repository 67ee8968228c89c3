from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from llm_core.policy.caller import Caller, ProofOfIdentity
from llm_core.policy.limits import Measure
from policy_service.adapters.counters import (
    MAX_COUNT,
    Kind,
    binding,
    counter_of,
    limit_count,
    nodes_of,
    taken_count,
)
from tests.fixtures.reservations import limit_of, requests_limit, tokens_limit, usd_limit

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("measure", "name"),
    [
        (Measure.REQUESTS_PER_MINUTE, "window:team:search:requests_per_minute"),
        (Measure.CONCURRENT_REQUESTS, "under_way:team:search:concurrent_requests"),
        (Measure.TOKENS_PER_24_HOURS, "window:team:search:tokens_per_24_hours"),
        (Measure.TOKENS_PER_DAY, "period:2026-11-20:team:search:tokens_per_day"),
        (Measure.USD_PER_MONTH, "period:2026-11:team:search:usd_per_month"),
    ],
)
def test_every_limit_has_a_counter_of_its_own(measure: Measure, name: str) -> None:
    assert counter_of(limit_of(measure, 1), NOON).name == name


def test_a_scope_and_a_time_zone_make_another_counter() -> None:
    limit = replace(usd_limit("1"), scope="model:max", time_zone="Asia/Tokyo")
    new_year_in_tokyo = datetime(2026, 12, 31, 15, tzinfo=UTC)
    counter = counter_of(limit, new_year_in_tokyo)
    assert counter.name == "period:2027-01@Asia/Tokyo:team:search:model:max:usd_per_month"
    assert counter.ends_in_s(new_year_in_tokyo) == 31 * 86_400
    before = counter_of(limit, new_year_in_tokyo - timedelta(seconds=1))
    assert before.name == "period:2026-12@Asia/Tokyo:team:search:model:max:usd_per_month"
    assert before.ends_in_s(new_year_in_tokyo - timedelta(seconds=1)) == 1


def test_a_group_with_other_members_has_another_counter() -> None:
    def name(*models: str) -> str:
        limit = replace(usd_limit("1"), scope="group:large", models=models)
        return counter_of(limit, NOON).name

    before = name("max", "huge")
    assert before.startswith("period:2026-11:team:search:group:large:usd_per_month:")
    assert before == name("huge", "max")
    assert len({before, name("max"), name("max", "huge", "mini"), name("maxhuge")}) == 4


def test_what_was_decided_in_a_period_that_is_over_counts_there() -> None:
    limit = limit_of(Measure.USD_PER_DAY, 1)
    midnight = NOON.replace(hour=0)
    assert counter_of(limit, NOON, midnight).kind is Kind.PERIOD
    late = counter_of(limit, NOON, midnight - timedelta(seconds=1))
    assert (late.kind, late.needs_priming) == (Kind.PAST, False)
    assert late.name == "period:2026-11-19:team:search:usd_per_day"


def test_the_smallest_of_the_same_limit_binds_in_the_place_of_the_first() -> None:
    limits = [tokens_limit(9), requests_limit(5), tokens_limit(3), requests_limit(7)]
    assert binding(limits) == (tokens_limit(3), requests_limit(5))


def test_a_limit_counts_whole_things_and_has_an_end() -> None:
    assert limit_count(Decimal("9.99")) == 9
    assert limit_count(Decimal(-1)) == 0
    assert limit_count(Decimal("1e40")) == MAX_COUNT
    assert taken_count(10**40) > limit_count(Decimal("1e40"))


def test_a_call_counts_for_every_node_above_it() -> None:
    caller = Caller(
        "acme",
        "r-and-d",
        "search",
        ProofOfIdentity.API_KEY,
        project="p",
        user="u",
        application="a",
        key_id="k",
    )
    assert nodes_of(caller) == (
        "organisation:acme",
        "department:r-and-d",
        "team:search",
        "project:p",
        "user:u",
        "application:a",
        "key:k",
    )
    assert nodes_of(replace(caller, project=None, user=None, application=None, key_id=None)) == (
        "organisation:acme",
        "department:r-and-d",
        "team:search",
    )
