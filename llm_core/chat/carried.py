"""What other providers put into an assistant's message for the conversation's next turn.

`thinking_blocks` (Anthropic, Bedrock, Mistral) and `extra_content` (Gemini) carry signatures that
only their maker can read. A client sends the message back as it came, perhaps to another provider,
and OpenAI refuses members that it does not know.
"""

from collections.abc import Mapping, Sequence, Set
from typing import Any

SIGNED = frozenset({"thinking_blocks", "extra_content"})
"""Of use to their maker alone."""
THOUGHT = SIGNED | {"reasoning_content", "reasoning"}
"""And what was thought, which OpenAI does not take back either."""


def without_carried(
    messages: Sequence[Mapping[str, Any]], carried: Set[str]
) -> list[Mapping[str, Any]]:
    """The messages without these members, in themselves and in their calls."""
    return [_without(message, carried) for message in messages]


def _without(message: Mapping[str, Any], carried: Set[str]) -> Mapping[str, Any]:
    calls = message.get("tool_calls")
    if carried.isdisjoint(message) and not any(
        not SIGNED.isdisjoint(call) for call in calls or () if isinstance(call, dict)
    ):
        return message
    kept = {name: value for name, value in message.items() if name not in carried}
    if isinstance(calls, list):
        kept["tool_calls"] = [
            {name: value for name, value in call.items() if name not in SIGNED}
            if isinstance(call, dict)
            else call
            for call in calls
        ]
    return kept
