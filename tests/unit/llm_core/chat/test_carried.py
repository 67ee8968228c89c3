import json

import pytest

from llm_core.chat.carried import SIGNED, THOUGHT, without_carried
from llm_core.chat.request import ChatRequest
from llm_core.providers.openai import OpenAITranslator
from tests.fakes.samples import OPENAI

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TURN = {
    "role": "assistant",
    "content": "so",
    "reasoning_content": "because",
    "thinking_blocks": [{"type": "thinking", "thinking": "because", "signature": "s"}],
    "extra_content": {"google": {"thought_signature": "t"}},
    "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "u"}}}],
}
PLAIN = {"role": "assistant", "content": "so", "tool_calls": [CALL]}


def test_what_only_its_maker_reads_is_left_out_of_messages_and_calls() -> None:
    assert without_carried([TURN], THOUGHT) == [PLAIN]
    assert without_carried([TURN], SIGNED) == [{**PLAIN, "reasoning_content": "because"}]


def test_other_messages_stay_as_they_are() -> None:
    user = {"role": "user", "content": "reasoning_content"}
    assert without_carried([user, PLAIN], THOUGHT)[0] is user
    assert without_carried([user, PLAIN], THOUGHT)[1] is PLAIN


@pytest.mark.parametrize("calls", [None, [], ["x"]])
def test_odd_calls_do_no_harm(calls: object) -> None:
    assert without_carried([{"role": "assistant", "tool_calls": calls}], SIGNED) == [
        {"role": "assistant", "tool_calls": calls}
    ]


def test_openai_gets_a_conversation_that_another_provider_began() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}, TURN]}
    request = ChatRequest.parse(json.dumps(body).encode())
    sent = json.loads(OpenAITranslator().request(request, OPENAI).body)
    assert sent["messages"][1] == PLAIN
    assert request.messages[1] == TURN
