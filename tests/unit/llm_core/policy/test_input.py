import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from llm_core.policy.approvals import ApprovalGrant
from llm_core.policy.input import Candidate, build_input, json_number
from llm_core.policy.limits import Limit, LimitState, Measure
from llm_core.pricing.charge import ModelPrice, Rates, Tier
from tests.fixtures.policy_inputs import AT, CALLER, CHAT, CHEAP, FREE, UNPRICED, budget


def test_the_document_is_the_whole_question() -> None:
    document = build_input(CALLER, CHAT, [CHEAP], [budget("12.5")], AT)
    assert document == {
        "version": 1,
        "caller": {
            "organisation": "acme",
            "department": "sales",
            "team": "emea-sales",
            "proof": "api_key",
            "project": None,
            "user": "ada",
            "application": None,
            "key_id": "key-1",
            "roles": ["developer"],
            "groups": [],
            "clearance": None,
            "allowed_models": ["chat", "o1-pro"],
            "cost_centre": None,
            "priority": "interactive",
        },
        "call": {
            "operation": "chat.completions",
            "asked_model": "chat",
            "is_streaming": False,
            "prompt_tokens": 100,
            "max_output_tokens": None,
            "choices": 1,
            "has_tools": False,
            "has_images": False,
            "response_format": "text",
            "body_digest": "",
            "body_bytes": 400,
            "data_labels": [],
            "use_case": None,
            "priority": "interactive",
        },
        "candidates": [
            {
                "id": "cheap",
                "provider": "openai",
                "model": "gpt-4o-mini",
                "region": "eu-west-1",
                "attributes": {"dpa": True},
                "is_priced": True,
                "is_free": False,
                "usd_per_million_input": 0.15,
                "usd_per_million_output": 0.6,
                "worst_usd": 0.01,
            }
        ],
        "budgets": [
            {
                "node": "team:emea-sales",
                "scope": "",
                "measure": "usd_per_month",
                "amount": 100,
                "used": 12.5,
                "remaining": 87.5,
                "used_fraction": 0.125,
            }
        ],
        "models": [],
        "approvals": [],
        "time": {
            "rfc3339": "2026-11-20T18:30:00.000000Z",
            "unix": 1795199400,
            "weekday": "friday",
            "hour": 18,
        },
    }
    assert json.loads(json.dumps(document)) == document


def test_an_unknown_price_is_not_a_free_one() -> None:
    free, unpriced = build_input(CALLER, CHAT, [FREE, UNPRICED], [], AT)["candidates"]
    assert (free["is_priced"], free["is_free"], free["usd_per_million_output"]) == (True, True, 0)
    assert (unpriced["is_priced"], unpriced["is_free"]) == (False, False)
    assert unpriced["usd_per_million_output"] is None
    assert unpriced["worst_usd"] is None


def test_a_long_prompt_is_judged_at_its_own_tier() -> None:
    price = ModelPrice(
        "v1",
        Rates(Decimal(1), Decimal(2)),
        (Tier(1000, Rates(Decimal(3), Decimal(4))),),
    )
    tiered = Candidate(CHEAP.deployment, price, Decimal(1))
    long_call = replace(CHAT, prompt_tokens=1001)
    assert (
        build_input(CALLER, CHAT, [tiered], [], AT)["candidates"][0]["usd_per_million_output"] == 2
    )
    [judged] = build_input(CALLER, long_call, [tiered], [], AT)["candidates"]
    assert (judged["usd_per_million_input"], judged["usd_per_million_output"]) == (3, 4)


def test_candidates_budgets_and_models_keep_their_order() -> None:
    nodes = ("organisation:acme", "team:emea-sales")
    document = build_input(
        CALLER, CHAT, [FREE, CHEAP], [budget("1", node=node) for node in nodes], AT, models="zba"
    )
    assert [candidate["id"] for candidate in document["candidates"]] == ["free", "cheap"]
    assert tuple(state["node"] for state in document["budgets"]) == nodes
    assert document["models"] == ["z", "b", "a"]


def test_a_limit_of_nothing_is_used_up() -> None:
    limit = LimitState(Limit("key:k", Measure.USD_PER_MONTH, Decimal(0)), Decimal(0), 1.0)
    [state] = build_input(CALLER, CHAT, [], [limit], AT)["budgets"]
    assert state["used_fraction"] == 1.0


def test_the_time_is_said_in_utc_whatever_zone_it_came_in() -> None:
    tokyo = datetime(2026, 11, 21, 3, 30, tzinfo=timezone(timedelta(hours=9)))
    here = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)
    assert (
        build_input(CALLER, CHAT, [], [], tokyo)["time"]
        == build_input(CALLER, CHAT, [], [], here)["time"]
    )


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        build_input(CALLER, CHAT, [], [], datetime(2026, 11, 20))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("amount", "number"),
    [("0", 0), ("15.00", 15), ("0.6", 0.6), ("1E+3", 1000), ("0.000000000001", 1e-12)],
)
def test_amounts_become_the_numbers_they_are(amount: str, number: float) -> None:
    converted = json_number(Decimal(amount))
    assert converted == number
    assert type(converted) is type(number)


def test_whole_amounts_beyond_exact_doubles_become_doubles() -> None:
    assert type(json_number(Decimal(2**53))) is int
    assert type(json_number(Decimal(2**53 + 1))) is float


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        json_number(Decimal(amount))


def test_a_grant_has_one_entry_for_each_of_its_models() -> None:
    grants = [
        ApprovalGrant("apr_1", "team:emea-sales", ("a", "b"), AT, Decimal("12.5")),
        ApprovalGrant("apr_2", "user:ada", ("c",), AT + timedelta(milliseconds=1500)),
    ]
    document = build_input(CALLER, CHAT, [], [], AT, approvals=grants)
    until = int(AT.timestamp())
    assert document["approvals"] == [
        {"id": "apr_1", "model": "a", "until_unix": until, "amount_usd": 12.5},
        {"id": "apr_1", "model": "b", "until_unix": until, "amount_usd": 12.5},
        {"id": "apr_2", "model": "c", "until_unix": until + 1, "amount_usd": None},
    ]
