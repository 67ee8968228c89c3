"""llm-provider-transform, driven as Kong drives it, with the meter's decision in place."""

import json
from typing import Any

import msgspec
import pytest

from kong_plugins._runtime import shared_context
from kong_plugins._runtime.shared_context import HandedDecision
from kong_plugins.llm_provider_transform import plugin as module
from kong_plugins.llm_provider_transform.plugin import Plugin
from llm_core.catalogue import Deployment
from llm_core.policy.decision import Decision, ErrorClass, Transport, UsageReport
from llm_core.tokens.usage import TokenUsage, UsageSource
from tests.fakes.kong import Answered, FakeKong
from tests.fakes.samples import (
    AZURE,
    CLAUDE,
    OPENAI,
    SECRETS,
    anthropic_answer,
    chat_body,
    chat_call,
    decision,
    openai_answer,
)


def transform(**config: Any) -> Plugin:
    return Plugin({"credentials": SECRETS, "direct": True, "__plugin_id": "x", **config})


async def decided(made: Decision, body: bytes | None = None, **answers: Any) -> FakeKong:
    """A request on which the meter has decided."""
    sent = chat_body() if body is None else body
    before = FakeKong()
    handed = HandedDecision(made, chat_call(sent), sent, started_monotonic_s=1.0)
    await shared_context.write_decision(before, handed)
    return FakeKong({"request.get_raw_body": sent, **answers}, before.shared)


def usage_in(kong: FakeKong) -> UsageReport | None:
    written = kong.shared.get("gatehouse_usage")
    return None if written is None else msgspec.json.decode(written, type=UsageReport)


def code_of(answered: Answered | None) -> tuple[int, str]:
    assert answered is not None
    return answered.status, answered.body["error"]["code"]


# --- access


async def test_without_a_decision_nothing_goes_anywhere() -> None:
    for phase in (transform().access, transform().response):
        kong = FakeKong()
        assert code_of(await kong.run(phase)) == (503, "undecided")
        assert kong.methods == ["ctx.shared.get"]


async def test_a_direct_call_to_openai_is_aimed_whole() -> None:
    kong = await decided(decision(OPENAI))
    assert await kong.run(transform().access) is None
    assert kong.arguments("service.set_target") == ["openai.test", 443]
    assert kong.arguments("service.request.set_scheme") == ["https"]
    assert kong.arguments("service.request.set_path") == ["/v1/chat/completions"]
    [headers] = kong.arguments("service.request.set_headers")
    assert headers["authorization"] == "Bearer sk-openai"
    assert headers["x-gatehouse-ticket"] == "-"
    [body] = kong.arguments("service.request.set_raw_body")
    assert json.loads(body)["model"] == "gpt-4o-mini"
    # The response phase runs only when buffering is left on.
    assert "nginx.set_ctx" not in kong.methods
    assert usage_in(kong) is None


@pytest.mark.parametrize("deployment", [CLAUDE, AZURE], ids=["anthropic", "azure"])
async def test_the_callers_key_is_cleared_where_it_is_not_overwritten(
    deployment: Deployment,
) -> None:
    kong = await decided(decision(deployment))
    assert await kong.run(transform().access) is None
    assert kong.arguments("service.request.clear_header") == ["authorization"]
    headers = next(args[0] for name, args in kong.calls if name == "service.request.set_headers")
    assert SECRETS[deployment.credential or ""] in headers.values()
    assert "authorization" not in headers


async def test_azures_query_replaces_the_clients() -> None:
    kong = await decided(decision(AZURE))
    await kong.run(transform().access)
    assert kong.arguments("service.request.set_raw_query") == ["api-version=2024-10-21"]


async def test_nothing_is_aimed_at_a_provider_before_the_request_is_whole() -> None:
    kong = await decided(decision(CLAUDE))
    await kong.run(transform().access)
    before, aimed = kong.methods.index("service.request.set_raw_body"), "service.set_target"
    assert before < kong.methods.index(aimed)
    # Only then, because Kong forgets a Host that was set before.
    assert kong.methods[kong.methods.index(aimed) + 1 :] == ["service.request.set_headers"]
    assert kong.calls[-1][1] == [{"host": "anthropic.test:8443"}]


async def test_a_deployment_that_needs_no_credential_gets_none() -> None:
    deployment = Deployment("free", OPENAI.provider, "llama", "http://vllm.test:8000/v1")
    kong = await decided(decision(deployment))
    assert await kong.run(transform(credentials={}).access) is None
    assert kong.arguments("service.set_target") == ["vllm.test", 8000]
    assert kong.arguments("service.request.clear_header") == ["authorization"]


async def test_a_body_too_long_to_be_handed_on_is_read_again() -> None:
    body = chat_body(messages=[{"role": "user", "content": "x" * 70_000}])
    kong = await decided(decision(OPENAI), body)
    assert await kong.run(transform(max_body_bytes=100_000).access) is None
    assert kong.arguments("request.get_raw_body") == [100_000]
    assert b"xxx" in kong.arguments("service.request.set_raw_body")[0]


async def test_more_than_one_deployment_goes_by_the_relay_unbuffered() -> None:
    kong = await decided(decision(OPENAI, AZURE))
    assert await kong.run(transform().access) is None
    assert kong.calls == [
        ("ctx.shared.get", ["gatehouse_decision"]),
        ("nginx.set_ctx", ["buffered_proxying", False]),
    ]


@pytest.mark.parametrize(
    "config",
    [{"credentials": {}}, {"credentials": {"openai": ""}}, {"direct": False}],
    ids=["missing", "empty", "off"],
)
async def test_a_direct_call_that_cannot_go_direct_is_marked_and_left_to_the_relay(
    config: dict[str, Any],
) -> None:
    kong = await decided(decision(OPENAI))
    assert await kong.run(transform(**config).access) is None
    assert kong.methods == ["ctx.shared.get", "ctx.shared.set", "nginx.set_ctx"]
    marker = usage_in(kong)
    assert marker
    assert (marker.transport, marker.usage) == (Transport.RELAY, None)


async def test_what_the_provider_cannot_do_is_answered_and_costs_nothing() -> None:
    kong = await decided(decision(CLAUDE), chat_body(n=2))
    assert code_of(await kong.run(transform().access)) == (400, "unsupported_parameter")
    assert "service.set_target" not in kong.methods
    report = usage_in(kong)
    assert report
    assert (report.error_class, report.usage) == (ErrorClass.CALLER, None)


# --- response


async def test_an_answer_of_openais_comes_with_its_headers() -> None:
    plugin = transform()
    kong = await decided(decision(OPENAI), **{"service.response.get_raw_body": openai_answer()})
    await kong.run(plugin.access)
    answered = await kong.run(plugin.response)
    assert answered
    assert answered.status == 200
    assert answered.body["choices"][0]["message"]["content"] == "hi"
    assert answered.headers["x-gatehouse-cost-usd"] == "0.000018"
    assert answered.headers["x-gatehouse-fallbacks"] == "0"
    assert float(answered.headers["x-gatehouse-overhead-ms"]) > 0
    report = usage_in(kong)
    assert report
    assert report.usage == TokenUsage(12, output_tokens=3)
    assert report.overhead_ms


async def test_an_answer_of_anthropics_takes_openais_shape() -> None:
    plugin = transform()
    body = chat_body(presence_penalty=1)
    raw = {"service.response.get_raw_body": anthropic_answer()}
    kong = await decided(decision(CLAUDE), body, **raw)
    await kong.run(plugin.access)
    answered = await kong.run(plugin.response)
    assert answered
    assert answered.body["object"] == "chat.completion"
    assert answered.body["usage"]["total_tokens"] == 15
    assert answered.headers["x-gatehouse-dropped-params"] == "presence_penalty"


async def test_an_answer_without_usage_is_counted() -> None:
    raw = openai_answer("one two three", usage=None)
    kong = await decided(decision(OPENAI), **{"service.response.get_raw_body": raw})
    answered = await kong.run(transform().response)
    assert answered
    assert answered.status == 200
    report = usage_in(kong)
    assert report
    assert report.source is UsageSource.COUNTED
    assert report.usage == TokenUsage(10, output_tokens=3)


@pytest.mark.parametrize(
    ("status", "answered_status", "error_class"),
    [
        (307, 502, ErrorClass.PROVIDER),
        (400, 400, ErrorClass.CALLER),
        (401, 502, ErrorClass.PROVIDER),
        (403, 502, ErrorClass.GATEWAY),
        (404, 502, ErrorClass.GATEWAY),
        (429, 429, ErrorClass.RATE_LIMITED),
        (500, 500, ErrorClass.PROVIDER),
        (529, 503, ErrorClass.PROVIDER),
    ],
)
async def test_a_providers_error_takes_openais_shape_and_costs_nothing(
    status: int, answered_status: int, error_class: ErrorClass
) -> None:
    raw = json.dumps({"error": {"message": "that went wrong", "type": "x", "code": "y"}}).encode()
    kong = await decided(
        decision(OPENAI),
        **{
            "service.response.get_raw_body": raw,
            "service.response.get_status": status,
            "response.get_headers": {"Retry-After": ["7"], "date": "today"},
        },
    )
    answered = await kong.run(transform().response)
    assert answered
    assert answered.status == answered_status
    assert set(answered.body["error"]) >= {"message", "type", "param", "code"}
    if status == 429:
        assert answered.headers["retry-after"] == "7"
    report = usage_in(kong)
    assert report
    assert (report.error_class, report.usage) == (error_class, None)
    assert report.http_status == answered_status


@pytest.mark.parametrize("raw", [b"", b"<html>hello</html>", b'{"choices": 5}'])
async def test_nonsense_with_a_200_is_502_and_its_prompt_is_owed(raw: bytes) -> None:
    kong = await decided(
        decision(OPENAI),
        **{"service.response.get_raw_body": raw, "service.response.get_status": 200},
    )
    assert code_of(await kong.run(transform().response)) == (502, "provider_unavailable")
    assert b"hello" not in json.dumps(kong.answered.body if kong.answered else {}).encode()
    report = usage_in(kong)
    assert report
    assert report.usage == TokenUsage(10, output_tokens=0)
    assert report.source is UsageSource.ESTIMATED
    assert report.error_class is ErrorClass.PROVIDER


async def test_usage_is_written_before_the_answer_goes_out() -> None:
    """`exit` does not come back, so whatever stands behind it is lost."""
    kong = await decided(decision(OPENAI), **{"service.response.get_raw_body": openai_answer()})
    await kong.run(transform().response)
    assert kong.methods[-2:] == ["ctx.shared.set", "response.exit"]


async def test_a_restarted_server_still_translates_what_the_one_before_it_sent() -> None:
    kong = await decided(decision(OPENAI), **{"service.response.get_raw_body": openai_answer()})
    await kong.run(transform().access)
    answered = await kong.run(transform().response)
    assert answered
    assert answered.status == 200


async def test_calls_that_never_come_back_are_not_kept_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MOST_REMEMBERED", 3)
    plugin = transform()
    for number in range(5):
        kong = await decided(decision(OPENAI, decision_id=f"dec_{number}"))
        await kong.run(plugin.access)
    assert list(plugin._sent) == ["dec_2", "dec_3", "dec_4"]


async def test_long_prompts_of_a_provider_that_is_down_do_not_fill_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MOST_REMEMBERED_BYTES", 50_000)
    plugin = transform()
    long = chat_body(messages=[{"role": "user", "content": "x" * 10_000}])
    for number in range(5):
        kong = await decided(decision(OPENAI, decision_id=f"dec_{number}"), long)
        await kong.run(plugin.access)
    # Each takes some 20,000: as it came, and as it is sent.
    assert list(plugin._sent) == ["dec_3", "dec_4"]
    for number in (3, 4):
        answer = {"service.response.get_raw_body": openai_answer()}
        kong = await decided(decision(OPENAI, decision_id=f"dec_{number}"), long, **answer)
        await kong.run(plugin.response)
    assert plugin._sent_bytes == 0


async def test_no_credential_is_in_an_answer_or_in_what_is_handed_on() -> None:
    plugin = transform()
    kong = await decided(decision(OPENAI), **{"service.response.get_raw_body": openai_answer()})
    await kong.run(plugin.access)
    answered = await kong.run(plugin.response)
    assert "sk-openai" not in repr(answered)
    assert "sk-openai" not in repr(kong.shared)
