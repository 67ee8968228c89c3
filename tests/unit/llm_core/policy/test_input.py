import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_UP, Decimal

import pytest

from llm_core.catalogue import Agreement, DataProcessing
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
            "networks": [],
        },
        "candidates": [
            {
                "id": "cheap",
                "provider": "openai",
                "model": "gpt-4o-mini",
                "region": "eu-west-1",
                "attributes": {"dpa": True},
                "agreements": {"dpa": {"since_unix": 1735689600, "until_unix": None}},
                "data_processing": {
                    "retention_days": 30,
                    "trains_on_data": False,
                    "sub_processors": [],
                },
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
            "local": {"weekday": "friday", "hour": 18, "minute": 30},
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


def test_the_time_is_said_in_utc_and_by_the_clocks_that_it_came_from() -> None:
    tokyo = datetime(2026, 11, 21, 3, 30, tzinfo=timezone(timedelta(hours=9)))
    there = build_input(CALLER, CHAT, [], [], tokyo)["time"]
    here = build_input(CALLER, CHAT, [], [], tokyo.astimezone(UTC))["time"]
    assert there.pop("local") == {"weekday": "saturday", "hour": 3, "minute": 30}
    assert here.pop("local") == {"weekday": "friday", "hour": 18, "minute": 30}
    assert there == here


def test_an_agreement_holds_in_whole_seconds_that_lie_within_it() -> None:
    since = datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    until = datetime(2026, 12, 31, 0, 0, 0, 999_999, tzinfo=UTC)
    deployment = replace(CHEAP.deployment, agreements={"baa": Agreement(since, until)})
    [candidate] = build_input(CALLER, CHAT, [replace(CHEAP, deployment=deployment)], [], AT)[
        "candidates"
    ]
    assert candidate["agreements"] == {"baa": {"since_unix": 1767225601, "until_unix": 1798675200}}


def test_what_nobody_said_of_data_processing_is_null() -> None:
    deployment = replace(CHEAP.deployment, agreements={}, data_processing=DataProcessing())
    [candidate] = build_input(CALLER, CHAT, [replace(CHEAP, deployment=deployment)], [], AT)[
        "candidates"
    ]
    assert candidate["agreements"] == {}
    assert set(candidate["data_processing"].values()) == {None}


def test_an_address_is_no_part_of_the_document() -> None:
    call = replace(CHAT, source_ip="192.0.2.1", networks=("office",))
    document = build_input(CALLER, call, [], [], AT)
    assert document["call"]["networks"] == ["office"]
    assert "192.0.2.1" not in json.dumps(document)


def test_grants_are_told_in_the_order_in_which_they_are_to_be_used() -> None:
    grants = [ApprovalGrant(one, "team:search", ("chat", "o1"), AT) for one in ("b", "a")]
    told = build_input(CALLER, CHAT, [], [], AT, approvals=grants)["approvals"]
    assert [(one["id"], one["model"]) for one in told] == [
        ("b", "chat"),
        ("b", "o1"),
        ("a", "chat"),
        ("a", "o1"),
    ]
    assert told[0] == {
        "id": "b",
        "model": "chat",
        "until_unix": int(AT.timestamp()),
        "amount_usd": None,
    }


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        build_input(CALLER, CHAT, [], [], datetime(2026, 11, 20))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("amount", "number"),
    [("0", 0), ("15.00", 15), ("0.6", 0.6), ("1E+3", 1000), ("0.1234567", 0.123456), ("1E-12", 0)],
)
def test_amounts_become_the_numbers_they_are(amount: str, number: float) -> None:
    converted = json_number(Decimal(amount))
    assert converted == number
    assert type(converted) is type(number)


def test_what_a_call_can_cost_is_never_said_to_be_less() -> None:
    assert json_number(Decimal("0.0000000001"), ROUND_UP) == 0.000001
    tiny = replace(CHEAP, worst_usd=Decimal("0.0100001"))
    [candidate] = build_input(CALLER, CHAT, [tiny], [], AT)["candidates"]
    assert candidate["worst_usd"] == 0.010001


def test_a_budget_is_not_said_to_be_used_up_before_it_is() -> None:
    [state] = build_input(CALLER, CHAT, [], [budget("99.99999999")], AT)["budgets"]
    assert state["used_fraction"] == 0.999999


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
