import json
from dataclasses import replace
from decimal import Decimal

import pytest

from kong_plugins.llm_provider_transform.direct import answer_of, exchange_of, target_of
from llm_core.apis.ask import Exchange
from llm_core.catalogue import Deployment
from llm_core.errors import ProviderUnavailable, UnsupportedParameter
from llm_core.policy.decision import Decision, Obligations, PricedDeployment, Transport
from llm_core.tokens.usage import UsageSource
from tests.fakes.samples import (
    AZURE,
    CLAUDE,
    OPENAI,
    PRICE,
    anthropic_answer,
    chat_body,
    chat_call,
    decision,
    openai_answer,
)


def priced(deployment: Deployment) -> PricedDeployment:
    return PricedDeployment(deployment, PRICE)


def sent(
    deployment: Deployment, body: bytes = chat_body(), made: Decision | None = None
) -> Exchange:
    return exchange_of(priced(deployment), made or decision(deployment), chat_call(body), body)


def test_openais_target_overwrites_what_the_client_sent() -> None:
    target = target_of(sent(OPENAI, chat_body(), decision(OPENAI)), "sk-openai")
    assert (target.scheme, target.host, target.port) == ("https", "openai.test", 443)
    assert (target.path, target.query) == ("/v1/chat/completions", None)
    assert target.headers == {
        "content-type": "application/json",
        "authorization": "Bearer sk-openai",
        "accept-encoding": "identity",
        "x-gatehouse-ticket": "-",
    }
    assert target.keeps_authorization
    assert json.loads(target.body)["model"] == "gpt-4o-mini"


def test_anthropics_credential_travels_elsewhere_and_its_port_is_in_the_host() -> None:
    target = target_of(sent(CLAUDE, chat_body(), decision(CLAUDE)), "sk-ant")
    assert (target.host, target.port) == ("anthropic.test", 8443)
    assert target.host_header == "anthropic.test:8443"
    assert target.headers["x-api-key"] == "sk-ant"
    assert target.headers["anthropic-version"]
    assert target.headers["accept-encoding"] == "identity"
    assert target.headers["x-gatehouse-ticket"] == "-"
    assert "authorization" not in target.headers
    assert not target.keeps_authorization


def test_azures_version_is_in_the_query() -> None:
    target = target_of(sent(AZURE, chat_body(), decision(AZURE)), "azure-key")
    assert target.path == "/openai/deployments/mini/chat/completions"
    assert target.query == "api-version=2024-10-21"
    assert target.headers["api-key"] == "azure-key"
    assert not target.keeps_authorization


@pytest.mark.parametrize(
    ("base_url", "port", "host"),
    [
        ("http://vllm.test/v1", 80, "vllm.test"),
        ("http://vllm.test:8000/v1", 8000, "vllm.test:8000"),
        ("https://vllm.test:443/v1", 443, "vllm.test"),
        ("https://vllm.test:80/v1", 80, "vllm.test:80"),
    ],
)
def test_the_host_header_names_a_port_that_is_not_the_schemes_own(
    base_url: str, port: int, host: str
) -> None:
    deployment = replace(OPENAI, base_url=base_url, credential=None)
    target = target_of(sent(deployment, chat_body(), decision(deployment)), None)
    assert (target.port, target.host_header) == (port, host)
    assert not target.keeps_authorization


@pytest.mark.parametrize(
    ("asked", "obliged", "told"),
    [(None, None, 100), (20, None, 20), (5000, None, 100), (80, 30, 30), (None, 30, 30)],
)
def test_the_provider_is_told_what_was_reserved(
    asked: int | None, obliged: int | None, told: int
) -> None:
    body = chat_body() if asked is None else chat_body(max_tokens=asked)
    made = decision(OPENAI, obligations=Obligations(max_output_tokens=obliged))
    fields = json.loads(target_of(sent(OPENAI, body, made), "sk").body)
    assert fields["max_completion_tokens"] == told
    assert "max_tokens" not in fields


def test_what_the_provider_cannot_do_is_said_before_anything_is_sent() -> None:
    with pytest.raises(UnsupportedParameter):
        target_of(sent(CLAUDE, chat_body(model="sonnet", n=3), decision(CLAUDE)), "sk-ant")


def test_dropped_knobs_are_named() -> None:
    exchange = sent(CLAUDE, chat_body(presence_penalty=1))
    assert exchange.request.dropped_params == ("presence_penalty",)


@pytest.mark.parametrize(
    ("deployment", "raw"), [(OPENAI, openai_answer()), (CLAUDE, anthropic_answer())]
)
def test_an_answer_carries_its_cost_and_is_reported_exactly(
    deployment: Deployment, raw: bytes
) -> None:
    answer = answer_of(
        sent(deployment, made=decision(deployment)),
        priced(deployment),
        decision(deployment),
        raw,
        10,
    )
    # 12 tokens at a dollar a million, 3 at two.
    assert answer.headers["x-gatehouse-cost-usd"] == "0.000018"
    assert answer.headers["x-gatehouse-decision-id"] == "dec_1"
    assert answer.headers["x-gatehouse-provider"] == deployment.provider
    assert answer.headers["content-type"] == "application/json"
    report = answer.report
    assert report.usage
    assert (report.usage.input_tokens, report.usage.output_tokens) == (12, 3)
    assert report.source is UsageSource.PROVIDER
    assert report.transport is Transport.DIRECT
    assert report.deployment_id == deployment.id
    assert report.served_model
    assert report.served_model.startswith(deployment.model)


def test_anthropics_answer_is_stamped_with_the_time_of_the_decision() -> None:
    made = decision(CLAUDE)
    assert made.issued_at
    answer = answer_of(sent(CLAUDE, made=made), priced(CLAUDE), made, anthropic_answer(), 10)
    assert answer.body["created"] == int(made.issued_at.timestamp())


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 12}, "many"])
def test_without_usage_the_answer_is_counted_and_costs_something(usage: object) -> None:
    raw = openai_answer("one two three four five", usage=usage)
    answer = answer_of(sent(OPENAI, made=decision()), priced(OPENAI), decision(), raw, 10)
    assert answer.report.source is UsageSource.COUNTED
    assert answer.report.usage
    assert answer.report.usage.input_tokens in (10, 12)
    assert answer.report.usage.output_tokens == 5
    assert Decimal(answer.headers["x-gatehouse-cost-usd"]) >= Decimal("0.00002")


@pytest.mark.parametrize("raw", [b"", b"<html>", b"[]", b'{"error": {"message": "no"}}', b"\xff"])
@pytest.mark.parametrize("deployment", [OPENAI, CLAUDE], ids=["openai", "anthropic"])
def test_what_is_no_answer_is_not_passed_off_as_one(deployment: Deployment, raw: bytes) -> None:
    with pytest.raises(ProviderUnavailable):
        answer_of(
            sent(deployment, made=decision(deployment)),
            priced(deployment),
            decision(deployment),
            raw,
            10,
        )
