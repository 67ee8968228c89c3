"""Which answers may be given again: whole ones, which no filter has touched.

Sources:
    https://platform.openai.com/docs/api-reference/chat/object, .../completions/object,
    .../responses/object, https://docs.claude.com/en/api/messages (checked 2026-11-20)
"""

from collections.abc import Callable, Mapping
from typing import Any

from llm_core.operation import Operation

_GOOD_ENDS = frozenset({"stop", "length", "tool_calls", "function_call"})
_GOOD_STOPS = frozenset({"end_turn", "max_tokens", "stop_sequence", "tool_use"})


def may_be_kept(operation: Operation, body: Mapping[str, Any]) -> bool:
    """Whether an answer is good for whoever asks the same next.

    Args:
        operation: In whose form it is.
        body: As `Answer.body` or `ClientStream.folded` gave it. What has an unknown form or an
            unknown end is not kept.
    """
    if body.get("error"):
        return False
    judge = _JUDGES.get(operation)
    try:
        return judge is not None and judge(body)
    except (AttributeError, KeyError, TypeError):
        return False


def _choices_are_good(body: Mapping[str, Any]) -> bool:
    choices = body["choices"]
    return bool(choices) and all(
        choice["finish_reason"] in _GOOD_ENDS and not (choice.get("message") or {}).get("refusal")
        for choice in choices
    )


def _response_is_good(body: Mapping[str, Any]) -> bool:
    cut_by = (body.get("incomplete_details") or {}).get("reason")
    ended = body["status"] == "completed" or cut_by == "max_output_tokens"
    return ended and not any(
        part.get("type") == "refusal"
        for item in body["output"]
        for part in item.get("content") or ()
    )


def _message_is_good(body: Mapping[str, Any]) -> bool:
    return body["stop_reason"] in _GOOD_STOPS


def _embeddings_are_good(body: Mapping[str, Any]) -> bool:
    return bool(body["data"])


_JUDGES: dict[Operation, Callable[[Mapping[str, Any]], bool]] = {
    Operation.CHAT_COMPLETIONS: _choices_are_good,
    Operation.COMPLETIONS: _choices_are_good,
    Operation.RESPONSES: _response_is_good,
    Operation.MESSAGES: _message_is_good,
    Operation.EMBEDDINGS: _embeddings_are_good,
}
