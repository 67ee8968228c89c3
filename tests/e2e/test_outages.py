"""What fails how: each dependency goes away while calls are made, and comes back."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import pytest

from policy_service.bundled import bundled
from policy_service.keys import new_key
from tests.fixtures.company import COMPANY, models
from tests.fixtures.gateway import SECRETS, Gateway, eventually, start_gateway
from tests.fixtures.opa_server import OpaServer, start_opa
from tests.fixtures.postgres_server import PostgresServer, start_postgres
from tests.fixtures.redis_server import RedisServer, start_redis

HELLO = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}


def ask(gateway: Gateway, key: str = "team", **more: Any) -> httpx.Response:
    return gateway.post(json.dumps({**HELLO, **more}).encode(), key)


def assert_unavailable(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["error"]["code"] == "policy_unavailable"
    assert int(answer.headers["retry-after"]) >= 1


@dataclass
class Whole:
    """A gateway on real services, and the services."""

    gateway: Gateway
    postgres: PostgresServer
    redis: RedisServer
    opa: OpaServer


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with start_postgres() as postgres, start_redis() as redis, start_opa(bundled("rego")) as opa:
        settings = {
            "POLICY_DATABASE_URL": postgres.create_database(),
            "POLICY_REDIS_URL": redis.url,
            "POLICY_OPA_URL": opa.url,
        }
        folder = tmp_path_factory.mktemp("outages")
        with start_gateway(folder, company=COMPANY, models=models, settings=settings) as gateway:
            yield Whole(gateway, postgres, redis, opa)


@pytest.fixture(params=["embedded", "whole"])
def gateway(request: pytest.FixtureRequest) -> Gateway:
    """The embedded defaults, and the real services."""
    if request.param == "whole":
        one: Whole = request.getfixturevalue("whole")
        return one.gateway
    running: Gateway = request.getfixturevalue("embedded_alone")
    return running


@pytest.fixture(scope="module")
def embedded_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("alone")
    with start_gateway(folder, company=COMPANY, models=models) as running:
        yield running


@pytest.mark.e2e
def test_without_the_policy_service_every_answer_is_503_and_none_is_401(gateway: Gateway) -> None:
    eventually(lambda: ask(gateway).status_code == 200)
    gateway.forget_calls()
    gateway.stop("policy")
    try:
        for key in ("team", "narrow", "gk-nobody-has-this-key"):
            for is_streaming in (False, True):
                assert_unavailable(ask(gateway, key, stream=is_streaming))
        assert gateway.calls() == []
    finally:
        gateway.start("policy")
    eventually(lambda: ask(gateway).status_code == 200)
    assert ask(gateway, "gk-nobody-has-this-key").status_code == 401


@pytest.mark.e2e
def test_usage_waits_in_the_journal_while_the_policy_service_is_away(gateway: Gateway) -> None:
    """The service dies between the provider's answer and the report; the row comes once, later."""
    gateway.forget_calls()
    answers: list[httpx.Response] = []
    calling = threading.Thread(
        target=lambda: answers.append(ask(gateway, model="slow-openai", max_tokens=25))
    )
    calling.start()
    eventually(gateway.calls)
    gateway.stop("policy")
    calling.join()
    [answer] = answers
    assert answer.status_code == 200
    journal = gateway.prefix / "usage-journal.jsonl"
    eventually(lambda: journal.exists() and journal.read_text())
    assert "gk-" not in journal.read_text()
    gateway.start("policy")
    row = gateway.row(answer.headers["x-gatehouse-decision-id"])
    assert row["source"] == "provider"
    assert row["output_tokens"] == answer.json()["usage"]["completion_tokens"]
    assert Decimal(row["usd"]) == Decimal(answer.headers["x-gatehouse-cost-usd"])
    eventually(lambda: not journal.read_text())
    ids = [row["decision_id"] for row in gateway.rows()]
    assert len(ids) == len(set(ids))


@pytest.mark.e2e
def test_a_report_that_comes_twice_counts_once(gateway: Gateway) -> None:
    answer = ask(gateway)
    row = gateway.row(answer.headers["x-gatehouse-decision-id"])
    again = httpx.post(
        f"{gateway.policy_url}/v1/decisions/{row['decision_id']}/usage",
        json={
            "deployment_id": row["deployment_id"],
            "transport": "direct",
            "http_status": 200,
            "usage": {"input_tokens": 999, "output_tokens": 999},
        },
        headers={"authorization": f"Bearer {SECRETS['POLICY_INTERNAL_SECRET']}"},
    )
    assert again.json() == {"outcome": "already_settled"}
    assert gateway.row(row["decision_id"]) == row


@pytest.mark.e2e
def test_a_stalled_policy_service_charges_nobody_for_what_it_refused(gateway: Gateway) -> None:
    """It decides and reserves when it wakes up, long after the callers were told no."""
    # The caller is known, so that it is the decision that waits and not who calls.
    gateway.row(ask(gateway).headers["x-gatehouse-decision-id"])
    before = {row["decision_id"] for row in gateway.rows()}
    gateway.forget_calls()
    with gateway.frozen("policy"):
        assert_unavailable(ask(gateway))

    def told() -> list[dict[str, Any]]:
        return [row for row in gateway.rows() if row["decision_id"] not in before]

    for row in eventually(told):
        assert row["error_class"] == "unreachable"
        assert Decimal(row["usd"]) == 0
    assert gateway.calls() == []


@pytest.mark.e2e
def test_without_opa_nothing_is_decided(whole: Whole) -> None:
    eventually(lambda: ask(whole.gateway).status_code == 200)
    whole.opa.stop()
    try:
        assert_unavailable(ask(whole.gateway))
        ready = httpx.get(f"{whole.gateway.policy_url}/readyz")
        assert ready.status_code == 503
        assert ready.json()["checks"]["policy"] == "down"
    finally:
        whole.opa.start()
    eventually(lambda: ask(whole.gateway).status_code == 200)


@pytest.mark.e2e
def test_without_redis_nothing_is_decided_and_budgets_survive_its_loss(whole: Whole) -> None:
    spent = ask(whole.gateway)
    whole.gateway.row(spent.headers["x-gatehouse-decision-id"])
    before = Decimal(ask(whole.gateway).headers["x-gatehouse-budget-remaining-usd"])
    eventually(lambda: len(whole.gateway.rows()) >= 2)
    remade = _remade(whole.gateway)
    whole.redis.stop()
    try:
        assert_unavailable(ask(whole.gateway))
    finally:
        whole.redis.start()  # empty: this Redis keeps nothing on disk
    eventually(lambda: ask(whole.gateway).status_code == 200)
    # It might have come back with counters of before: they are made anew, for which the ledger is
    # needed. So the next test may not take the database away until that is done.
    eventually(lambda: _remade(whole.gateway) > remade)
    after = Decimal(ask(whole.gateway).headers["x-gatehouse-budget-remaining-usd"])
    assert after < before  # what was spent before the loss still counts


def _remade(gateway: Gateway) -> int:
    """How often the service has found Redis started anew, by its log."""
    return (gateway.logs / "policy.log").read_text("utf-8").count("was started anew")


@pytest.mark.e2e
def test_without_the_database_known_callers_go_on_and_no_row_is_lost(whole: Whole) -> None:
    gateway = whole.gateway
    # The caller is known now, and the budget has its counter.
    eventually(lambda: ask(gateway).status_code == 200)
    whole.postgres.stop()
    try:
        answers = [ask(gateway) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200] * 5
        assert_unavailable(ask(gateway, new_key()))  # no typo: that is told without asking
    finally:
        whole.postgres.start()
    for answer in answers:
        assert gateway.row(answer.headers["x-gatehouse-decision-id"])["source"] == "provider"
