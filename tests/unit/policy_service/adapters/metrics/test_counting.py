"""What is counted of decisions and rows, and that no caller can make a label up."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from llm_core.operation import Operation
from llm_core.policy.limits import Measure
from policy_service.adapters.metrics import CatalogueNames, CountedFindings, Counting
from policy_service.ports.observing import DecisionFacts
from tests.fakes.samples import CATALOGUE, USAGE_ROW
from tests.fixtures.reservations import reservation
from tests.fixtures.scraping import labels, samples, value

DECIDED = DecisionFacts(Operation.CHAT_COMPLETIONS, "allowed", "regopy", 0.002, 0.001)


class Counted:
    """A registry, what fills it, and its page."""

    def __init__(self, most_teams: int = 0) -> None:
        self.registry = CollectorRegistry()
        self.counting = Counting(self.registry, CatalogueNames(CATALOGUE), most_teams)

    def page(self) -> str:
        return generate_latest(self.registry).decode()


def test_a_booked_call_has_kongs_names_and_labels() -> None:
    counted = Counted()
    counted.counting.booked(USAGE_ROW)
    page = counted.page()
    kong = {
        "ai_provider": "openai",
        "ai_model": "gpt-4o-mini",
        "cache_status": "miss",
        "vector_db": "",
        "embeddings_provider": "",
        "embeddings_model": "",
        "request_mode": "stream",
        "workspace": "default",
        "consumer": "",
    }
    [asked] = [one for one in samples(page) if one.name == "kong_ai_llm_requests_total"]
    assert (asked.labels, asked.value) == (kong, 1)
    assert value(page, "kong_ai_llm_cost_total", **kong) == 0.25
    for kind, tokens in (("prompt_tokens", 12), ("completion_tokens", 3), ("total_tokens", 15)):
        assert value(page, "kong_ai_llm_tokens_total", token_type=kind, **kong) == tokens
    assert value(page, "kong_ai_llm_provider_latency_ms_sum", **kong) == 800
    assert value(page, "gatehouse_fallbacks_total", deployment="openai-mini") == 2
    assert value(page, "gatehouse_time_to_first_token_seconds_sum") == pytest.approx(0.2)
    assert value(page, "gatehouse_overhead_seconds_sum", transport="relay") == pytest.approx(0.1)


def test_a_hit_costs_nothing_saves_money_and_is_no_providers_latency() -> None:
    counted = Counted()
    hit = replace(USAGE_ROW, cache="hit", usd=Decimal(0), saved_usd=Decimal("0.5"), fallbacks=0)
    counted.counting.booked(hit)
    page = counted.page()
    assert value(page, "kong_ai_llm_requests_total", cache_status="hit") == 1
    assert value(page, "kong_ai_llm_provider_latency_ms_count") == 0
    assert value(page, "gatehouse_cache_results_total", result="hit") == 1
    assert value(page, "gatehouse_cache_saved_usd_total") == 0.5


def test_an_estimate_is_counted_as_one() -> None:
    counted = Counted()
    counted.counting.booked(replace(USAGE_ROW, source="estimated", error_class="unreported"))
    page = counted.page()
    settled = {"source": "estimated", "error_class": "unreported"}
    assert value(page, "gatehouse_settlements_total", **settled) == 1
    assert value(page, "gatehouse_estimated_usd_total") == 0.25


def test_a_decision_is_counted_by_outcome_engine_and_limit() -> None:
    counted = Counted()
    counted.counting.decided(DECIDED)
    counted.counting.decided(
        replace(
            DECIDED,
            code="rate_limit_exceeded",
            exceeded=Measure.REQUESTS_PER_MINUTE,
            is_degraded=True,
        )
    )
    counted.counting.decided(replace(DECIDED, code="model_not_found", engine=""))
    page = counted.page()
    allowed = {"code": "allowed", "operation": "chat.completions", "policy_engine": "regopy"}
    assert value(page, "gatehouse_decisions_total", **allowed) == 1
    assert value(page, "gatehouse_limit_refusals_total", measure="requests_per_minute") == 1
    assert value(page, "gatehouse_degraded_decisions_total") == 1
    assert value(page, "gatehouse_decision_duration_seconds_count", outcome="refused") == 2
    assert value(page, "gatehouse_policy_evaluation_duration_seconds_count") == 2


def test_as_many_teams_as_wanted_are_told_apart() -> None:
    counted = Counted(most_teams=2)
    for team in ("a", "b", "c", "d", "a"):
        counted.counting.booked(replace(USAGE_ROW, team=team))
    page = counted.page()
    told = {
        one.labels["consumer"]: one.value
        for one in samples(page)
        if one.name == "kong_ai_llm_requests_total"
    }
    assert told == {"a": 2, "b": 1, "other": 2}


WORDS = st.text(min_size=1, max_size=12)


@settings(deadline=None, max_examples=20)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "team": WORDS,
                "user": WORDS,
                "key_id": WORDS,
                "asked_model": WORDS,
                "served_model": WORDS,
                "routed_model": WORDS,
                "provider": WORDS,
                "deployment_id": WORDS,
                "project": WORDS,
                "use_case": WORDS,
            }
        ),
        min_size=10,
        max_size=10,
    ),
    codes=st.lists(WORDS, max_size=10),
)
def test_what_callers_make_up_never_becomes_a_label(
    rows: list[dict[str, Any]], codes: list[str]
) -> None:
    """Else one caller could fill Prometheus: a series for each name that was ever asked for."""
    counted = Counted(most_teams=3)
    for made_up in rows:
        counted.counting.booked(replace(USAGE_ROW, **made_up))
    for code in codes:
        counted.counting.decided(replace(DECIDED, code=code))
    page = counted.page()
    told = {pair for pair in labels(page) if pair[0] not in ("le", "consumer")}
    counted.counting.booked(USAGE_ROW)
    assert len({name for label, name in labels(page) if label == "consumer"}) <= 3 + 1
    assert {name for label, name in told if label in ("ai_provider", "ai_model", "deployment")} <= {
        "other",
        "openai",
        "gpt-4o-mini",
        "openai-mini",
    } | {one.model for model in CATALOGUE.models for one in model.deployments}
    assert {name for label, name in told if label == "code"} <= {"other", "allowed"} | {
        "policy_denied",
        "conflict",
    }


class Heard:
    """Implements `FindingsLog`."""

    def __init__(self) -> None:
        self.noted: list[Any] = []

    def note(self, _reservation: object, findings: Any) -> None:
        self.noted.append(dict(findings))


def test_findings_are_counted_by_direction_and_kind_and_handed_on() -> None:
    registry, heard = CollectorRegistry(), Heard()
    found = {"input.EMAIL_ADDRESS": 3, "guard.MODERATION": 1}
    CountedFindings(heard, registry).note(reservation("dec_1"), found)
    page = generate_latest(registry).decode()
    counted = {"direction": "input", "kind": "EMAIL_ADDRESS"}
    assert value(page, "gatehouse_screening_findings_total", **counted) == 3
    assert heard.noted == [found]
