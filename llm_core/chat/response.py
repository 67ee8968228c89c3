"""OpenAI's whole answer, `chat.completion`, and its usage object.

Source:
    https://platform.openai.com/docs/api-reference/chat/object (checked 2026-11-20)
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_core.tokens.usage import MOST_TOKENS, TokenUsage

_Object = dict[str, Any]


def completion(
    *,
    id_: str,
    model: str,
    choices: Sequence[Mapping[str, Any]],
    usage: TokenUsage,
    created: int = 0,
) -> _Object:
    """Build a `chat.completion`.

    Args:
        id_: The provider's id for the answer.
        model: The served model.
        choices: As `choice` builds them.
        usage: Left out when a direction is not known: OpenAI's numbers cannot be null.
        created: Unix seconds. The core reads no clock; who sends the answer on may set it.
    """
    body: _Object = {
        "id": id_,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": list(choices),
    }
    if usage.is_reported:
        body["usage"] = usage_to_openai(usage)
    return body


def choice(*, message: Mapping[str, Any], finish_reason: str | None, index: int = 0) -> _Object:
    """Build one choice of a `chat.completion`."""
    return {
        "index": index,
        "message": dict(message),
        "logprobs": None,
        "finish_reason": finish_reason,
    }


def tool_call(*, id_: str, name: str, arguments: str) -> _Object:
    """Build one call of a function; `arguments` is JSON text."""
    return {
        "id": id_,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def usage_to_openai(usage: TokenUsage) -> _Object:
    """Write usage in OpenAI's shape; a direction that is not known is written as zero.

    Both sides count inclusively, so the numbers are copied. Details are written only where they
    are known.
    """
    prompt_details = _known(
        cached_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        audio_tokens=usage.input_audio_tokens,
        image_tokens=usage.input_image_tokens,
    )
    completion_details = _known(
        reasoning_tokens=usage.reasoning_tokens, audio_tokens=usage.output_audio_tokens
    )
    body: _Object = {
        "prompt_tokens": usage.input_tokens or 0,
        "completion_tokens": usage.output_tokens or 0,
        "total_tokens": usage.total_tokens,
    }
    if prompt_details:
        body["prompt_tokens_details"] = prompt_details
    if completion_details:
        body["completion_tokens_details"] = completion_details
    return body


def usage_from_openai(usage: Mapping[str, Any]) -> TokenUsage:
    """Read OpenAI's usage object; what is missing, null or no token count stays `None`."""
    prompt = _mapping(usage.get("prompt_tokens_details"))
    completed = _mapping(usage.get("completion_tokens_details"))
    return TokenUsage(
        input_tokens=token_count(usage.get("prompt_tokens")),
        cached_input_tokens=token_count(prompt.get("cached_tokens")),
        cache_write_tokens=token_count(prompt.get("cache_write_tokens")),
        input_audio_tokens=token_count(prompt.get("audio_tokens")),
        input_image_tokens=token_count(prompt.get("image_tokens")),
        output_tokens=token_count(usage.get("completion_tokens")),
        reasoning_tokens=token_count(completed.get("reasoning_tokens")),
        output_audio_tokens=token_count(completed.get("audio_tokens")),
    )


def token_count(value: object) -> int | None:
    """A number of tokens as a provider reports it; anything else is "not reported"."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS:
        return value
    return None


def _known(**counts: int | None) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count is not None}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
