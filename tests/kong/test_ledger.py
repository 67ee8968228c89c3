"""After each call the ledger says what it was, to the last digit."""

from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest

from tests.fixtures.gateway import Gateway, eventually

HELLO: list[Any] = [{"role": "user", "content": "one two three four five"}]

# USD per million tokens, from the vendors' price pages (checked 2026-11-20).
PRICES = {
    "gpt-4o-mini": (Decimal("0.15"), Decimal("0.60")),
    "claude-sonnet-4-5": (Decimal(3), Decimal(15)),
}


def ask(gateway: Gateway, alias: str, *, is_streaming: bool) -> tuple[str, int, int]:
    """Make a call; give its decision id, and the tokens that the client was told."""
    raw = gateway.client().chat.completions.with_raw_response.create(
        model=alias,
        messages=HELLO,
        stream=is_streaming,
        **({"stream_options": {"include_usage": True}} if is_streaming else {}),
    )
    parsed: Any = raw.parse()
    usage = list(parsed)[-1].usage if is_streaming else parsed.usage
    return raw.headers["x-gatehouse-decision-id"], usage.prompt_tokens, usage.completion_tokens


@pytest.mark.e2e
@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("alias", PRICES)
def test_a_row_holds_the_providers_tokens_and_the_exact_price(
    gateway: Gateway, alias: str, is_streaming: bool
) -> None:
    decision_id, input_tokens, output_tokens = ask(gateway, alias, is_streaming=is_streaming)
    row = gateway.row(decision_id)
    input_price, output_price = PRICES[alias]
    expected = (input_tokens * input_price + output_tokens * output_price) / 1_000_000
    assert Decimal(row["usd"]) == expected
    assert (row["input_tokens"], row["output_tokens"]) == (input_tokens, output_tokens)
    assert row["source"] == "provider"
    assert (row["department"], row["team"], row["user"]) == ("engineering", "search", "sam")
    assert (row["asked_model"], row["routed_model"], row["served_model"]) == (alias, alias, alias)
    assert row["price_version"]
    assert row["policy_revision"]
    assert row["error_class"] == "none"
    assert row["is_streaming"] is is_streaming
    assert row["transport"] == ("relay" if is_streaming else "direct")
    assert row["total_ms"] > 0
    assert row["overhead_ms"] > 0
    assert (row["time_to_first_token_ms"] is not None) is is_streaming
    assert len(row["request_digest"]) == 64
    assert row["request_bytes"] > 0
    # Nobody of ours sees the answer to a direct call.
    assert (row["response_digest"] is not None) is is_streaming
    assert (row["response_bytes"] is not None) is is_streaming


@pytest.mark.e2e
@pytest.mark.parametrize("alias", PRICES)
def test_whole_and_streamed_cost_the_same(gateway: Gateway, alias: str) -> None:
    rows = [
        gateway.row(ask(gateway, alias, is_streaming=is_streaming)[0])
        for is_streaming in (False, True)
    ]
    for field in ("input_tokens", "output_tokens", "usd", "price_version"):
        assert rows[0][field] == rows[1][field], field


@pytest.mark.e2e
def test_the_cost_header_is_what_the_ledger_says(gateway: Gateway) -> None:
    raw = gateway.client().chat.completions.with_raw_response.create(
        model="gpt-4o-mini", messages=HELLO
    )
    row = gateway.row(raw.headers["x-gatehouse-decision-id"])
    assert Decimal(raw.headers["x-gatehouse-cost-usd"]) == Decimal(row["usd"])


@pytest.mark.e2e
@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "streamed"])
def test_a_provider_that_reports_no_usage_is_counted(gateway: Gateway, is_streaming: bool) -> None:
    raw = gateway.client().chat.completions.with_raw_response.create(
        model="silent-about-usage", messages=HELLO, stream=is_streaming
    )
    if is_streaming:
        list(raw.parse())
    row = gateway.row(raw.headers["x-gatehouse-decision-id"])
    assert row["source"] == "counted"
    assert row["output_tokens"] > 5
    assert Decimal(row["usd"]) > 0


@pytest.mark.e2e
@pytest.mark.parametrize("alias", ["broken", "unreachable"])
@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "streamed"])
def test_a_failed_call_costs_nothing_and_is_in_the_ledger(
    gateway: Gateway, alias: str, is_streaming: bool
) -> None:
    before = {row["decision_id"] for row in gateway.rows()}
    with pytest.raises(openai.InternalServerError):
        gateway.client().chat.completions.create(model=alias, messages=HELLO, stream=is_streaming)

    def added() -> list[dict[str, Any]]:
        rows = gateway.rows()
        return [r for r in rows if r["decision_id"] not in before and r["asked_model"] == alias]

    [row] = eventually(added)
    assert Decimal(row["usd"]) == 0
    assert row["error_class"] == ("provider" if alias == "broken" else "unreachable")
    assert row["http_status"] in (500, 502)


@pytest.mark.e2e
def test_a_client_that_leaves_a_stream_is_charged_for_what_came(gateway: Gateway) -> None:
    raw = gateway.client().chat.completions.with_raw_response.create(
        model="slow-openai", messages=HELLO, stream=True
    )
    stream: Any = raw.parse()
    for _ in range(3):
        next(stream)
    stream.close()
    row = gateway.row(raw.headers["x-gatehouse-decision-id"])
    assert row["error_class"] == "client_gone"
    assert row["source"] == "counted"
    assert 0 < row["output_tokens"] < 20
    assert Decimal(row["usd"]) > 0
    assert eventually(lambda: gateway.calls()[-1]["ended"] == "client_gone")


@pytest.mark.e2e
def test_reservations_are_given_back(gateway: Gateway) -> None:
    """What is left of the budget falls by exactly what the calls cost."""

    def left(raw: Any) -> Decimal:
        return Decimal(raw.headers["x-gatehouse-budget-remaining-usd"])

    calls = gateway.client().chat.completions.with_raw_response
    first = calls.create(model="gpt-4o-mini", messages=HELLO)
    cost = Decimal(gateway.row(first.headers["x-gatehouse-decision-id"])["usd"])
    second = calls.create(model="gpt-4o-mini", messages=HELLO)
    gateway.row(second.headers["x-gatehouse-decision-id"])
    third = calls.create(model="gpt-4o-mini", messages=HELLO)
    # Each header counts its own call at the worst case, which is the same for all three.
    assert left(first) - left(third) == 2 * cost
    gateway.row(third.headers["x-gatehouse-decision-id"])


@pytest.mark.e2e
def test_the_reports_add_up_to_the_ledger(gateway: Gateway) -> None:
    rows = gateway.rows()
    month = rows[0]["at"][:7]
    booked = [row for row in rows if row["at"].startswith(month)]
    spend = gateway.admin("/usage/spend", month=month)["rows"]
    assert sum(Decimal(row["usd"]) for row in spend) == sum(Decimal(row["usd"]) for row in booked)
    budgets = {r["team"]: r for r in gateway.admin("/budgets", month=month)["rows"]}
    assert Decimal(budgets["search"]["budget_usd"]) == 100
    assert Decimal(budgets["search"]["used_usd"]) == sum(
        Decimal(row["usd"]) for row in booked if row["team"] == "search"
    )


@pytest.mark.e2e
def test_the_admin_api_is_closed_without_its_token(gateway: Gateway) -> None:
    answer = httpx.get(f"{gateway.policy_url}/admin/v1/usage/recent")
    assert answer.status_code == 401
