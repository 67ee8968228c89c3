"""Every try has a span, and every span one end, however the call goes."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from llm_core.errors import ProviderError, ProviderTimeout, ProviderUnavailable
from tests.fakes.providers import FakeAnswer
from tests.fakes.samples import AZURE, OPENAI, chat_body, openai_answer
from tests.fakes.tracing import FakeTracing
from tests.unit.policy_service.services.test_relay import Service, service, streamed, whole

CHUNK = (
    b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-mini",'
    b'"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n'
)
END = (
    b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-mini",'
    b'"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}\n\n'
    b"data: [DONE]\n\n"
)
DOWN = FakeAnswer([b"{}"], status=503)


def traced(**answers: Any) -> tuple[Service, FakeTracing]:
    made, tracing = service(**answers), FakeTracing()
    reach = replace(made.relay.reach, tracing=tracing)
    made.relay = replace(made.relay, reach=reach)
    return made, tracing


def ends(tracing: FakeTracing) -> list[tuple[str, list[str]]]:
    return [(one.deployment_id, one.ends) for one in tracing.calls]


async def test_a_whole_answer_ends_its_span_with_its_usage_and_the_provider_is_told() -> None:
    made, tracing = traced(openai=FakeAnswer([openai_answer()]))
    await whole(made, OPENAI)
    assert ends(tracing) == [("openai-mini", ["answered"])]
    usage = tracing.calls[0].usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (12, 3)
    [sent] = made.providers.sent
    assert sent.credential["traceparent"] == "00-openai-mini"


async def test_without_tracing_no_provider_is_told_of_any() -> None:
    made = service(openai=FakeAnswer([openai_answer()]))
    await whole(made, OPENAI)
    [sent] = made.providers.sent
    assert "traceparent" not in sent.credential


async def test_a_deployment_that_fails_has_its_own_span() -> None:
    made, tracing = traced(openai=DOWN, azure=FakeAnswer([openai_answer()]))
    await whole(made, OPENAI, AZURE, model="both")
    assert ends(tracing) == [("openai-mini", ["provider_error"]), ("azure-mini", ["answered"])]


async def test_when_all_fail_all_have_ended() -> None:
    made, tracing = traced(openai=DOWN, azure=FakeAnswer([ProviderUnavailable("broke")]))
    with pytest.raises(ProviderError):
        await whole(made, OPENAI, AZURE, model="both")
    assert ends(tracing) == [
        ("openai-mini", ["provider_error"]),
        ("azure-mini", ["provider_unavailable"]),
    ]


async def test_a_stream_ends_its_span_when_it_ends() -> None:
    made, tracing = traced(openai=FakeAnswer([CHUNK, END]))
    answer = await streamed(made, OPENAI)
    assert ends(tracing) == [("openai-mini", [])]
    async for _ in answer.events:
        pass
    await made.relay.drain()
    assert ends(tracing) == [("openai-mini", ["answered"])]


async def test_a_stream_that_falls_silent_says_so() -> None:
    made, tracing = traced(openai=FakeAnswer([CHUNK, ProviderTimeout("silent")]))
    answer = await streamed(made, OPENAI)
    async for _ in answer.events:
        pass
    await made.relay.drain()
    assert ends(tracing) == [("openai-mini", ["timeout"])]


async def test_a_client_that_leaves_a_stream_ends_its_span() -> None:
    made, tracing = traced(openai=FakeAnswer([CHUNK, asyncio.Event()]))
    answer = await streamed(made, OPENAI)
    await anext(answer.events)
    await answer.events.aclose()
    await made.relay.drain()
    assert ends(tracing) == [("openai-mini", ["client_gone"])]


async def test_a_client_that_leaves_before_there_is_an_answer_ends_its_span() -> None:
    answer = FakeAnswer([asyncio.Event()])
    made, tracing = traced(openai=answer)
    body = chat_body()
    serving = asyncio.ensure_future(made.relay.serve(await made.decide(body, OPENAI), body))
    await answer.waiting.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    await made.relay.drain()
    assert ends(tracing) == [("openai-mini", ["CancelledError"])]
