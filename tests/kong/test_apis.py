"""Every API in front of every provider, by the SDKs that speak it."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic.types import Message
from openai.types import Completion
from openai.types.responses import Response

from tests.fixtures.gateway import Gateway
from tests.fixtures.served import EMBEDDINGS, SERVED

ALIASES = list(SERVED)
# What we named an alias after has an end; Anthropic's SDK goes by the name.
pytestmark = pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning")
HELLO: list[Any] = [{"role": "user", "content": "Say hello to the harbour."}]
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture
def claude(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    """Anthropic's own SDK, pointed at the gateway; it sends the key as `x-api-key`."""
    with anthropic.Anthropic(
        base_url=gateway.gateway_url, api_key=gateway.keys["team"], max_retries=0, timeout=30
    ) as client:
        yield client


@pytest.mark.e2e
@pytest.mark.parametrize("alias", ALIASES)
def test_anthropics_sdk_gets_a_message(
    gateway: Gateway, claude: anthropic.Anthropic, alias: str
) -> None:
    raw = claude.messages.with_raw_response.create(model=alias, max_tokens=100, messages=HELLO)
    message = raw.parse()
    assert isinstance(message, Message)
    assert message.content[0].type == "text"
    assert message.content[0].text
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 0
    row = gateway.row(raw.headers["x-gatehouse-decision-id"])
    assert row["operation"] == "messages"
    assert row["output_tokens"] == message.usage.output_tokens
    assert float(row["usd"]) > 0


@pytest.mark.e2e
@pytest.mark.parametrize("alias", ALIASES)
def test_anthropics_sdk_adds_a_stream_up_to_a_conversation_with_a_tool(
    claude: anthropic.Anthropic, alias: str
) -> None:
    tools: list[Any] = [{"name": "weather", "input_schema": WEATHER}]
    messages: list[Any] = [{"role": "user", "content": "Use the tool for Lisbon."}]
    with claude.messages.stream(
        model=alias, max_tokens=400, messages=messages, tools=tools
    ) as stream:
        message = stream.get_final_message()
    assert message.stop_reason == "tool_use"
    [call] = [block for block in message.content if block.type == "tool_use"]
    assert call.name == "weather"
    assert "city" in call.input
    messages += [
        {"role": "assistant", "content": [block.model_dump() for block in message.content]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": call.id, "content": "22 degrees and sunny"}
            ],
        },
    ]
    answer = claude.messages.create(model=alias, max_tokens=400, messages=messages, tools=tools)
    assert "22 degrees" in "".join(b.text for b in answer.content if b.type == "text")


@pytest.mark.e2e
@pytest.mark.parametrize("alias", ALIASES)
def test_a_response_streamed_is_the_whole_one(gateway: Gateway, alias: str) -> None:
    client = gateway.client()
    raw = client.responses.with_raw_response.create(model=alias, input="Hello, harbour.")
    whole = raw.parse()
    assert isinstance(whole, Response)
    assert whole.status == "completed"
    assert whole.output_text
    assert whole.usage
    with client.responses.stream(model=alias, input="Hello, harbour.") as stream:
        streamed = stream.get_final_response()
    assert streamed.output_text == whole.output_text
    assert streamed.usage
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    row = gateway.row(raw.headers["x-gatehouse-decision-id"])
    assert row["operation"] == "responses"
    assert row["output_tokens"] == whole.usage.output_tokens


@pytest.mark.e2e
@pytest.mark.parametrize("alias", ALIASES)
def test_a_response_calls_a_tool_and_reads_its_result(gateway: Gateway, alias: str) -> None:
    client = gateway.client()
    tools: list[Any] = [
        {"type": "function", "name": "weather", "parameters": WEATHER, "strict": False}
    ]
    asked: list[Any] = [{"role": "user", "content": "Use the tool for Lisbon."}]
    first = client.responses.create(model=alias, input=asked, tools=tools)
    [call] = [item for item in first.output if item.type == "function_call"]
    assert call.name == "weather"
    asked += [item.model_dump(exclude_none=True) for item in first.output]
    asked.append(
        {
            "type": "function_call_output",
            "call_id": call.call_id,
            "output": "22 degrees and sunny",
        }
    )
    second = client.responses.create(model=alias, input=asked, tools=tools)
    assert "22 degrees" in second.output_text


@pytest.mark.e2e
@pytest.mark.parametrize("alias", [*ALIASES, "instruct"])
def test_the_older_completions_are_served(gateway: Gateway, alias: str) -> None:
    client = gateway.client()
    whole = client.completions.create(model=alias, prompt="Once upon a time", max_tokens=50)
    assert isinstance(whole, Completion)
    assert whole.choices[0].text
    chunks = client.completions.create(
        model=alias, prompt="Once upon a time", max_tokens=50, stream=True
    )
    assert "".join(c.choices[0].text for c in chunks if c.choices) == whole.choices[0].text


@pytest.mark.e2e
@pytest.mark.parametrize("kind", EMBEDDINGS)
def test_embeddings_are_the_same_in_both_encodings(gateway: Gateway, kind: str) -> None:
    client = gateway.client()
    raw = client.embeddings.with_raw_response.create(model=f"{kind}-embeddings", input="Hello")
    # The SDK asks for base64 by itself, and gives floats.
    [made] = raw.parse().data
    plain = client.embeddings.create(
        model=f"{kind}-embeddings", input="Hello", encoding_format="float"
    )
    assert made.embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert len(made.embedding) > 8
    row = gateway.row(raw.headers["x-gatehouse-decision-id"])
    assert (row["operation"], row["output_tokens"]) == ("embeddings", 0)
    assert float(row["usd"]) > 0


@pytest.mark.e2e
def test_a_model_for_embeddings_does_not_chat(gateway: Gateway) -> None:
    answer = gateway.post(
        b'{"model": "openai-embeddings", "messages": [{"role": "user", "content": "x"}]}'
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "unsupported_parameter"


@pytest.mark.e2e
def test_a_refusal_reads_well_in_anthropics_sdk(
    gateway: Gateway, claude: anthropic.Anthropic
) -> None:
    with pytest.raises(anthropic.NotFoundError) as unknown:
        claude.messages.create(model="no-such-model", max_tokens=9, messages=HELLO)
    assert unknown.value.body["type"] == "error"  # type: ignore[index]
    with (
        anthropic.Anthropic(
            base_url=gateway.gateway_url, api_key="gk-wrong", max_retries=0, timeout=30
        ) as stranger,
        pytest.raises(anthropic.AuthenticationError),
    ):
        stranger.messages.create(model="gpt-4o-mini", max_tokens=9, messages=HELLO)
