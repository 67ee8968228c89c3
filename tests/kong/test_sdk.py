"""The official SDK, pointed at the gateway, gets what it gets from OpenAI."""

from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.fixtures.gateway import Gateway
from tests.fixtures.served import SERVED

ALIASES = list(SERVED)
HELLO: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Say hello to the harbour."},
]
WEATHER: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]


@pytest.mark.e2e
@pytest.mark.parametrize("alias", ALIASES)
def test_a_whole_answer_parses_in_the_sdks_own_types(gateway: Gateway, alias: str) -> None:
    answer = gateway.client().chat.completions.create(model=alias, messages=HELLO)
    assert isinstance(answer, ChatCompletion)
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@pytest.mark.e2e
@pytest.mark.parametrize("alias", ALIASES)
def test_a_streamed_answer_says_what_the_whole_one_says(gateway: Gateway, alias: str) -> None:
    client = gateway.client()
    whole = client.chat.completions.create(model=alias, messages=HELLO)
    chunks = list(
        client.chat.completions.create(
            model=alias, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert all(isinstance(chunk, ChatCompletionChunk) for chunk in chunks)
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert said == whole.choices[0].message.content
    assert whole.usage is not None
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


@pytest.mark.e2e
@pytest.mark.parametrize("alias", ALIASES)
def test_usage_is_shown_in_a_stream_only_to_who_asks(gateway: Gateway, alias: str) -> None:
    chunks = gateway.client().chat.completions.create(model=alias, messages=HELLO, stream=True)
    assert all(chunk.choices for chunk in chunks)


@pytest.mark.e2e
@pytest.mark.parametrize("alias", ["slow-openai", "slow-anthropic"])
def test_chunks_arrive_as_they_are_sent(gateway: Gateway, alias: str) -> None:
    """Fails when anything on the way collects the stream first."""
    stream = gateway.client().chat.completions.create(model=alias, messages=HELLO, stream=True)
    next(iter(stream))
    assert gateway.calls()[-1]["ended"] == "open"
    assert len(list(stream)) > 5
    assert gateway.calls()[-1]["ended"] == "complete"


@pytest.mark.e2e
@pytest.mark.parametrize("alias", ALIASES)
@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "streamed"])
def test_a_conversation_with_a_tool(gateway: Gateway, alias: str, is_streaming: bool) -> None:
    client = gateway.client()
    messages: list[Any] = [{"role": "user", "content": "Use the tool for Lisbon."}]
    call = _tool_call(client, alias, messages, is_streaming)
    assert call["name"] == "weather"
    assert '"city"' in call["arguments"]
    messages += [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": call["id"],
                    "type": "function",
                    "function": {"name": call["name"], "arguments": call["arguments"]},
                }
            ],
        },
        {"role": "tool", "tool_call_id": call["id"], "content": "22 degrees and sunny"},
    ]
    answer = client.chat.completions.create(model=alias, messages=messages, tools=WEATHER)
    assert "22 degrees" in (answer.choices[0].message.content or "")


def _tool_call(
    client: openai.OpenAI, alias: str, messages: list[Any], is_streaming: bool
) -> dict[str, str]:
    if not is_streaming:
        answer = client.chat.completions.create(model=alias, messages=messages, tools=WEATHER)
        assert answer.choices[0].finish_reason == "tool_calls"
        [call] = answer.choices[0].message.tool_calls or []
        assert call.type == "function"
        return {
            "id": call.id,
            "name": call.function.name,
            "arguments": call.function.arguments,
        }
    collected = {"id": "", "name": "", "arguments": ""}
    for chunk in client.chat.completions.create(
        model=alias, messages=messages, tools=WEATHER, stream=True
    ):
        for piece in chunk.choices[0].delta.tool_calls or []:
            collected["id"] += piece.id or ""
            if piece.function is not None:
                collected["name"] += piece.function.name or ""
                collected["arguments"] += piece.function.arguments or ""
    return collected


@pytest.mark.e2e
def test_the_list_of_models_holds_what_the_caller_may_use(gateway: Gateway) -> None:
    assert {"gpt-4o-mini", "claude-sonnet-4-5"} <= {
        model.id for model in gateway.client().models.list()
    }
    assert [model.id for model in gateway.client("narrow").models.list()] == ["gpt-4o-mini"]


@pytest.mark.e2e
def test_an_answer_says_who_gave_it_and_what_it_cost(gateway: Gateway) -> None:
    raw = gateway.client().chat.completions.with_raw_response.create(
        model="gpt-4o-mini", messages=HELLO
    )
    headers = raw.headers
    assert headers["x-gatehouse-decision-id"].startswith("dec_")
    assert headers["x-gatehouse-provider"] == "openai"
    assert headers["x-gatehouse-model"] == "gpt-4o-mini"
    assert headers["x-gatehouse-region"] == "eu"
    assert headers["x-gatehouse-fallbacks"] == "0"
    assert headers["x-kong-llm-model"] == "openai/gpt-4o-mini"
    assert float(headers["x-gatehouse-cost-usd"]) > 0
    assert float(headers["x-gatehouse-overhead-ms"]) > 0
    assert float(headers["x-gatehouse-budget-remaining-usd"]) < 100
    assert headers["x-ratelimit-limit-requests"] == "100000"


@pytest.mark.e2e
@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "streamed"])
def test_a_failing_deployment_gives_way_to_the_next(gateway: Gateway, is_streaming: bool) -> None:
    raw = gateway.client().chat.completions.with_raw_response.create(
        model="with-fallback", messages=HELLO, stream=is_streaming
    )
    assert raw.headers["x-gatehouse-fallbacks"] == "1"
    assert raw.headers["x-gatehouse-provider"] == "azure_openai"
    row = gateway.row(raw.headers["x-gatehouse-decision-id"]) if not is_streaming else None
    if row is not None:
        assert row["fallbacks"] == 1
        assert row["deployment_id"] == "azure-openai-gpt-4o-mini"


@pytest.mark.e2e
def test_the_providers_credential_is_ours_and_the_clients_key_never_leaves(
    gateway: Gateway,
) -> None:
    for alias in ALIASES:
        for is_streaming in (False, True):
            answer = gateway.client().chat.completions.create(
                model=alias, messages=HELLO, stream=is_streaming
            )
            if is_streaming:
                list(answer)
    calls = gateway.calls()
    assert len(calls) == 2 * len(ALIASES)
    assert all(call["is_credential_ok"] for call in calls)
    assert gateway.keys["team"] not in repr(calls)
