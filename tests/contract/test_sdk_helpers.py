"""The helpers of the vendors' SDKs add up what we send, whichever provider it came from.

The SDKs speak to the core alone: a transport reads the request, puts it to the provider of a golden
case, and answers with what that case's answer becomes.
"""

from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

from llm_core.apis.registry import read_ask
from llm_core.operation import Operation
from llm_core.policy.decision import Obligations
from tests.golden.cases import Case, all_cases

OPERATIONS = {
    "/v1/chat/completions": Operation.CHAT_COMPLETIONS,
    "/v1/responses": Operation.RESPONSES,
    "/v1/messages": Operation.MESSAGES,
}
# What a filter has stopped, OpenAI's helpers raise as an error.
_STOPPED = ("error", "refusal", "guardrail", "safety")
STREAMED = [
    case
    for case in all_cases()
    if case.stream is not None and not any(word in case.folder.name for word in _STOPPED)
]
streamed = pytest.mark.parametrize("case", STREAMED, ids=lambda case: case.id)
# The others are asked for responses natively.
TRANSLATED = [case for case in STREAMED if case.provider.value not in ("openai", "azure_openai")]
# What we named a model after has an end; Anthropic's SDK goes by the name.
pytestmark = pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning")
EVENTS = {"content-type": "text/event-stream"}
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


def told(case: Case, path: str, body: bytes) -> bytes:
    """What the gateway answers with the case's stream."""
    made = read_ask(OPERATIONS[path], body).exchange(case.deployment, Obligations(), created=1)
    stream = made.stream()
    return b"".join([*stream.feed(case.stream or b""), *stream.finish()])


def said(case: Case) -> tuple[str, list[str]]:
    """The text and the names of the calls that the case's chunks tell."""
    stream = case.translator.stream(case.request)
    chunks = [*stream.feed(case.stream or b""), *stream.finish()]
    deltas = [
        choice["delta"] for chunk in chunks for choice in chunk["choices"] if not choice["index"]
    ]
    calls = [call for delta in deltas for call in delta.get("tool_calls") or ()]
    names = [call["function"]["name"] for call in calls if call.get("function", {}).get("name")]
    return "".join(delta.get("content") or "" for delta in deltas), names


def openai_client(case: Case) -> openai.OpenAI:
    def answer(request: httpx.Request) -> httpx.Response:
        content = told(case, request.url.path, request.read())
        return httpx.Response(200, headers=EVENTS, content=content)

    client = httpx.Client(transport=httpx.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://core/v1", http_client=client)


def anthropic_client(case: Case) -> anthropic.Anthropic:
    # This SDK has an HTTP client of its own.
    def answer(request: httpx2.Request) -> httpx2.Response:
        content = told(case, request.url.path, request.read())
        return httpx2.Response(200, headers=EVENTS, content=content)

    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    return anthropic.Anthropic(api_key="k", base_url="http://core", http_client=client)


@streamed
def test_openais_helper_adds_a_chat_stream_up(case: Case):
    with (
        openai_client(case) as client,
        client.chat.completions.stream(model="m", messages=HELLO) as stream,
    ):
        final = stream.until_done().get_final_completion()
    text, names = said(case)
    message = final.choices[0].message
    assert (message.content or "") == text
    assert [call.function.name for call in message.tool_calls or ()] == names


@streamed
def test_anthropics_helper_adds_a_message_up(case: Case):
    with (
        anthropic_client(case) as client,
        client.messages.stream(model="m", max_tokens=99, messages=HELLO) as stream,
    ):
        final = stream.get_final_message()
    text, names = said(case)
    spoken = "".join(block.text for block in final.content if block.type == "text")
    assert spoken == text
    assert [block.name for block in final.content if block.type == "tool_use"] == names


@pytest.mark.parametrize("case", TRANSLATED, ids=lambda case: case.id)
def test_openais_helper_adds_a_response_up(case: Case):
    with openai_client(case) as client, client.responses.stream(model="m", input="Hello") as stream:
        final = stream.until_done().get_final_response()
    text, names = said(case)
    assert final.output_text == text
    assert [item.name for item in final.output if item.type == "function_call"] == names
