from typing import Any

import pytest

from llm_core.operation import Operation
from llm_core.policy.keepable import may_be_kept


def chat(*ends: str | None, **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": "x", **message}
    return {"choices": [{"message": said, "finish_reason": end} for end in ends]}


def response(**fields: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": "x"}
    return {"status": "completed", "output": [{"type": "message", "content": [part]}], **fields}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (Operation.CHAT_COMPLETIONS, chat("stop")),
        (Operation.CHAT_COMPLETIONS, chat("length", "tool_calls")),
        (Operation.CHAT_COMPLETIONS, chat("stop", refusal=None)),
        (Operation.COMPLETIONS, {"choices": [{"text": "x", "finish_reason": "stop"}]}),
        (Operation.RESPONSES, response()),
        (Operation.RESPONSES, response(output=[{"type": "function_call", "name": "f"}])),
        (
            Operation.RESPONSES,
            response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        ),
        (Operation.MESSAGES, {"stop_reason": "end_turn"}),
        (Operation.MESSAGES, {"stop_reason": "tool_use"}),
        (Operation.EMBEDDINGS, {"data": [{"embedding": [0.1]}]}),
    ],
)
def test_a_good_answer_may_be_given_again(operation: Operation, body: dict[str, Any]) -> None:
    assert may_be_kept(operation, body)


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (Operation.CHAT_COMPLETIONS, {}),
        (Operation.CHAT_COMPLETIONS, {"error": {"code": "x"}, **chat("stop")}),
        (Operation.CHAT_COMPLETIONS, chat()),
        (Operation.CHAT_COMPLETIONS, chat(None)),
        (Operation.CHAT_COMPLETIONS, chat("content_filter")),
        (Operation.CHAT_COMPLETIONS, chat("stop", "content_filter")),
        (Operation.CHAT_COMPLETIONS, chat("something_new")),
        (Operation.CHAT_COMPLETIONS, chat("stop", refusal="I cannot help with that.")),
        (Operation.CHAT_COMPLETIONS, {"choices": "x"}),
        (Operation.COMPLETIONS, {"choices": [{"text": "x", "finish_reason": "content_filter"}]}),
        (Operation.RESPONSES, response(status="failed")),
        (Operation.RESPONSES, response(status="in_progress")),
        (
            Operation.RESPONSES,
            response(status="incomplete", incomplete_details={"reason": "content_filter"}),
        ),
        (
            Operation.RESPONSES,
            response(output=[{"type": "message", "content": [{"type": "refusal"}]}]),
        ),
        (Operation.MESSAGES, {"stop_reason": "refusal"}),
        (Operation.MESSAGES, {"stop_reason": None}),
        (Operation.MESSAGES, {"stop_reason": "pause_turn"}),
        (Operation.EMBEDDINGS, {"data": []}),
        (Operation.MODELS, {"data": [{"id": "m"}]}),
    ],
)
def test_what_failed_was_refused_or_cut_is_not(operation: Operation, body: dict[str, Any]) -> None:
    assert not may_be_kept(operation, body)
