"""Gemini's count of tokens.

| Gemini | Ours, inclusive |
|---|---|
| `promptTokenCount`, which counts the cached ones, and `toolUsePromptTokenCount` | `input_tokens` |
| `cachedContentTokenCount` | `cached_input_tokens` |
| `candidatesTokenCount` and `thoughtsTokenCount`, which exclude each other | `output_tokens` |
| `thoughtsTokenCount` | `reasoning_tokens` |
| details of modality `AUDIO` | `input_audio_tokens`, `output_audio_tokens`, `cached_audio_tokens` |
| details of modality `IMAGE` and `DOCUMENT` (pages as images) | `input_image_tokens` |

Zeros are left out on the wire, so a count that is missing from a `usageMetadata` is zero.

Source:
    https://ai.google.dev/api/generate-content#UsageMetadata
    https://ai.google.dev/gemini-api/docs/tokens
    Shape from the SDK's types (google-genai 3.4.0); the pages were seen in excerpts, 2026-11-20.
"""

from collections.abc import Mapping
from typing import Any

from llm_core.chat.response import token_count
from llm_core.tokens.usage import TokenUsage

_INPUT_DETAILS = ("promptTokensDetails", "toolUsePromptTokensDetails")


def usage_from_gemini(usage: object, *, is_final: bool = True) -> TokenUsage:
    """Read `usageMetadata`.

    Args:
        usage: The object; anything else is "not reported".
        is_final: Whether the answer has ended. The output that a stream reports on its way is not
            believed: it runs behind what was sent.
    """
    if not isinstance(usage, dict):
        return TokenUsage()
    prompt = token_count(usage.get("promptTokenCount"))
    output, thoughts = _output(usage) if is_final else (None, None)
    return TokenUsage(
        input_tokens=(
            None if prompt is None else prompt + (_count(usage, "toolUsePromptTokenCount"))
        ),
        cached_input_tokens=token_count(usage.get("cachedContentTokenCount")),
        input_audio_tokens=_modality(usage, _INPUT_DETAILS, ("AUDIO",)),
        input_image_tokens=_modality(usage, _INPUT_DETAILS, ("IMAGE", "DOCUMENT")),
        output_tokens=None if prompt is None else output,
        reasoning_tokens=thoughts,
        output_audio_tokens=(
            _modality(usage, ("candidatesTokensDetails",), ("AUDIO",)) if is_final else None
        ),
        cached_audio_tokens=_modality(usage, ("cacheTokensDetails",), ("AUDIO",)),
    )


def _output(usage: Mapping[str, Any]) -> tuple[int, int | None]:
    thoughts = token_count(usage.get("thoughtsTokenCount"))
    return _count(usage, "candidatesTokenCount") + (thoughts or 0), thoughts


def _count(usage: Mapping[str, Any], name: str) -> int:
    return token_count(usage.get(name)) or 0


def _modality(
    usage: Mapping[str, Any], lists: tuple[str, ...], modalities: tuple[str, ...]
) -> int | None:
    counts = [
        token_count(detail.get("tokenCount")) or 0
        for name in lists
        for detail in _objects(usage.get(name))
        if detail.get("modality") in modalities
    ]
    return sum(counts) if counts else None


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
