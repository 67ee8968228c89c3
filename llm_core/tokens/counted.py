"""Counting what a provider did not report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llm_core.tokens.estimate import openai_counter
from llm_core.tokens.usage import TokenUsage, UsageSource


def filled_in(
    reported: TokenUsage,
    prompt_tokens: int,
    texts: Sequence[str],
    count: Callable[[str], int],
) -> tuple[TokenUsage, UsageSource]:
    """Complete a usage that lacks a direction, and say who counted.

    Args:
        reported: What the provider said.
        prompt_tokens: The estimate made before the call; stands in for missing input tokens.
        texts: The answer's words, as `texts_of` finds them.
        count: Counts a text's tokens.
    """
    if reported.is_reported:
        return reported, UsageSource.PROVIDER
    counted = count("".join(texts)) if texts else 0
    asked = reported.input_tokens
    usage = replace(
        reported,
        input_tokens=prompt_tokens if asked is None else asked,
        output_tokens=max(reported.output_tokens or 0, counted),
    )
    return usage, UsageSource.COUNTED


def texts_of(body: Mapping[str, Any]) -> list[str]:
    """Every word a completion or a chunk says: content, reasoning, refusals, calls.

    Total: a provider's answer may hold anything, and what is no word is passed over.
    """
    texts: list[str] = []
    for choice in _objects(body.get("choices")):
        said = _object(choice.get("message")) or _object(choice.get("delta"))
        spoken = [said.get(name) for name in ("content", "reasoning_content", "refusal")]
        # Some servers say their reasoning twice, under both names.
        if said.get("reasoning") != said.get("reasoning_content"):
            spoken.append(said.get("reasoning"))
        spoken.append(_object(said.get("audio")).get("transcript"))
        spoken += _called(said.get("function_call"))
        for call in _objects(said.get("tool_calls")):
            spoken += [*_called(call.get("function")), *_called(call.get("custom"))]
        texts += [text for text in spoken if isinstance(text, str) and text]
    return texts


def _called(value: object) -> list[object]:
    """What is called and with what: a function's `arguments`, or a custom tool's `input`."""
    called = _object(value)
    return [called.get(name) for name in ("name", "arguments", "input")]


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


class LazyCounter:
    """Loads the tokenizer at its first use; most processes never count an answer."""

    def __init__(self) -> None:
        self._count: Callable[[str], int] | None = None

    def __call__(self, text: str) -> int:
        """Count a text's tokens."""
        if self._count is None:
            self._count = openai_counter()
        return self._count(text)
