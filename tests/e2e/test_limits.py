"""Every kind of limit through the whole gateway, as the official SDK meets it."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import openai
import pytest

from llm_core.policy.limits import Measure, Period
from llm_core.policy.roles import Actor
from policy_service.adapters.sql.engine import open_engine
from policy_service.adapters.sql.organisation import Organisation
from policy_service.periods import calendar_span
from tests.fixtures.both_gateways import Start
from tests.fixtures.company import models
from tests.fixtures.gateway import Gateway, eventually, start_gateway
from tests.fixtures.postgres_server import start_postgres
from tests.fixtures.redis_server import start_redis

ZONE = "Asia/Kolkata"
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


def team(name: str, **more: Any) -> dict[str, Any]:
    """A team with a key of its name."""
    return {"id": name, "keys": [{"name": name}], **more}


COMPANY = {
    "id": "acme",
    "time_zone": ZONE,
    "allowed_models": ["*"],
    "model_groups": {"claudes": ["claude-sonnet-4-5", "slow-anthropic"]},
    "departments": [
        {
            "id": "engineering",
            "teams": [
                team("one-at-once", limits={"concurrent_requests": 1}),
                team("short", limits={"input_tokens_per_minute": 200}),
                team(
                    "modelled",
                    model_limits={
                        "gpt-4o-mini": {"requests_per_minute": 1},
                        "claudes": {"requests_per_minute": 1},
                    },
                ),
                team(
                    "sharing",
                    limits={"requests_per_minute": {"amount": 4, "interactive_share": 0.5}},
                )
                | {"keys": [{"name": "people"}, {"name": "jobs", "priority": "batch"}]},
                team("raised", limits={"requests_per_minute": 1}),
                team("daily", limits={"usd_per_day": "0.000001"}),
                team("daily-tokens", limits={"tokens_per_day": 100}),
                team("everything", limits={measure.value: 100_000 for measure in Measure}),
            ],
        }
    ],
}


@pytest.fixture(scope="module")
def memory(start: Start) -> Gateway:
    """SQLite, and limits in the process."""
    return start("limits", company=COMPANY)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """PostgreSQL and Redis."""
    with start_postgres() as postgres, start_redis() as server:
        settings = {
            "POLICY_DATABASE_URL": postgres.create_database(),
            "POLICY_REDIS_URL": server.url,
        }
        folder = tmp_path_factory.mktemp("limits")
        with start_gateway(folder, company=COMPANY, models=models, settings=settings) as running:
            yield running


@pytest.fixture(params=["memory", "redis"])
def gateway(request: pytest.FixtureRequest) -> Gateway:
    """The same case on both."""
    running: Gateway = request.getfixturevalue(request.param)
    return running


def ask(gateway: Gateway, key: str, model: str = "gpt-4o-mini", **more: Any) -> Any:
    more.setdefault("max_tokens", 10)
    more.setdefault("messages", HELLO)
    return gateway.client(key).chat.completions.create(model=model, **more)


def refused(gateway: Gateway, key: str, model: str = "gpt-4o-mini", **more: Any) -> Any:
    """The SDK's own exception for a limit."""
    with pytest.raises(openai.RateLimitError) as raised:
        ask(gateway, key, model, **more)
    return raised.value


def is_admitted(gateway: Gateway, key: str) -> bool:
    try:
        ask(gateway, key)
    except openai.RateLimitError:
        return False
    return True


@pytest.mark.e2e
def test_a_call_too_many_at_once_is_refused_until_another_has_ended(gateway: Gateway) -> None:
    stream = ask(gateway, "one-at-once", "slow-openai", stream=True, max_tokens=200)
    next(iter(stream))
    error = refused(gateway, "one-at-once")
    assert error.code == "rate_limit_exceeded"
    assert error.response.headers["retry-after"] == "1"
    assert "1 calls under way" in error.message
    stream.close()
    assert eventually(lambda: is_admitted(gateway, "one-at-once"))


@pytest.mark.e2e
def test_a_prompt_longer_than_its_limit_is_refused_for_good(gateway: Gateway) -> None:
    made = gateway.client("short").chat.completions.with_raw_response.create(
        model="gpt-4o-mini", messages=HELLO, max_tokens=1000
    )
    # A thousand tokens of output are not what this limit counts.
    assert made.headers["x-ratelimit-limit-tokens"] == "200"
    long = [{"role": "user", "content": "hello " * 500}]
    error = refused(gateway, "short", messages=long)
    assert error.code == "rate_limit_exceeded"
    assert error.response.headers["x-should-retry"] == "false"
    assert "200 input tokens per minute" in error.message


@pytest.mark.e2e
def test_limits_of_models_and_of_groups_bind_their_own_models(gateway: Gateway) -> None:
    ask(gateway, "modelled", "gpt-4o-mini")
    ask(gateway, "modelled", "claude-sonnet-4-5")
    for model, named in (
        ("gpt-4o-mini", "the model gpt-4o-mini"),
        ("claude-sonnet-4-5", "the model group claudes"),
        ("slow-anthropic", "the model group claudes"),
    ):
        error = refused(gateway, "modelled", model)
        assert error.code == "rate_limit_exceeded"
        assert f"team:modelled for {named}" in error.message
        assert 1 <= int(error.response.headers["retry-after"]) <= 61
    for model in ("mistral", "gemini"):
        ask(gateway, "modelled", model)


@pytest.mark.e2e
def test_batch_calls_leave_a_share_to_those_who_wait(gateway: Gateway) -> None:
    ask(gateway, "jobs")
    ask(gateway, "people", extra_headers={"x-gatehouse-priority": "batch"})
    for key, headers in (("jobs", {}), ("people", {"x-gatehouse-priority": "batch"})):
        error = refused(gateway, key, extra_headers=headers)
        assert "50 % of the limit are kept for interactive calls" in error.message
    for _ in range(2):
        ask(gateway, "people")
    error = refused(gateway, "people")
    assert "kept" not in error.message


@pytest.mark.e2e
def test_a_raise_takes_effect_at_once_and_ends_by_itself(gateway: Gateway) -> None:
    ask(gateway, "raised")
    refused(gateway, "raised")
    asyncio.run(raise_limit(gateway, "team:raised", for_s=5))
    assert eventually(lambda: is_admitted(gateway, "raised"))
    assert eventually(lambda: not is_admitted(gateway, "raised"))


async def raise_limit(gateway: Gateway, node: str, *, for_s: float) -> None:
    """From another process than the service, as the command line does it."""
    engine = open_engine(gateway.specs["policy"].environment["POLICY_DATABASE_URL"])
    try:
        await Organisation(engine).raise_limit(
            node,
            "",
            Measure.REQUESTS_PER_MINUTE,
            Decimal(100_000),
            until=datetime.now(UTC) + timedelta(seconds=for_s),
            author=Actor(name="command_line:test", proof="command_line"),
            reason="a test",
        )
    finally:
        await engine.dispose()


def midnight() -> datetime:
    return calendar_span(Period.DAY, datetime.now(UTC), ZONE).ends_at


@pytest.mark.e2e
def test_a_budget_of_a_day_renews_at_the_organisations_midnight(gateway: Gateway) -> None:
    before = midnight()
    error = refused(gateway, "daily")
    after = midnight()
    assert error.code == "insufficient_quota"
    assert error.response.headers["x-should-retry"] == "false"
    assert error.response.headers["x-gatehouse-budget-remaining-usd"] == "0.000001"
    days = [f"{one.astimezone(ZoneInfo(ZONE)):%Y-%m-%d}" for one in (before, after)]
    assert any(f"It renews at {day} 00:00 {ZONE}." in error.message for day in days)


@pytest.mark.e2e
def test_tokens_of_a_day_are_told_to_wait_for_the_day_to_end(gateway: Gateway) -> None:
    ask(gateway, "daily-tokens", max_tokens=60)
    long_before = midnight()
    error = refused(gateway, "daily-tokens", max_tokens=88)
    assert error.code == "rate_limit_exceeded"
    assert "100 tokens per day" in error.message
    wait_s = int(error.response.headers["retry-after"])
    left_s = (long_before - datetime.now(UTC)).total_seconds()
    assert -5 <= wait_s - left_s % 86_400 <= 60
    assert ("x-should-retry" in error.response.headers) is (wait_s > 61)


@pytest.mark.e2e
def test_all_kinds_of_limits_hold_at_once_and_settle_to_the_true_figures(gateway: Gateway) -> None:
    made = gateway.client("everything").chat.completions.with_raw_response.create(
        model="gpt-4o-mini", messages=HELLO, max_tokens=10
    )
    assert made.headers["x-ratelimit-remaining-requests"] == "99999"
    usage = made.parse().usage
    assert usage is not None
    gateway.row(made.headers["x-gatehouse-decision-id"])

    def used() -> dict[str, str]:
        told = gateway.client("everything").get("/me", cast_to=dict[str, Any])
        return {one["measure"]: one["used"] for one in told["limits"]}

    figures = eventually(lambda: used() if used()["concurrent_requests"] == "0" else None)
    assert figures["requests_per_minute"] == "1"
    assert figures["input_tokens_per_minute"] == str(usage.prompt_tokens)
    assert figures["output_tokens_per_minute"] == str(usage.completion_tokens)
    for measure in ("tokens_per_minute", "tokens_per_day", "tokens_per_24_hours"):
        assert figures[measure] == str(usage.total_tokens)
    money = {figures[one.value] for one in Measure if one.is_money}
    row = gateway.row(made.headers["x-gatehouse-decision-id"])
    assert {Decimal(one) for one in money} == {Decimal(row["usd"])}
