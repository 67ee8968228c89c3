"""OpenAI's `reasoning_effort` as Claude's thinking.

Models up to 4.5 think for a number of tokens, later ones adaptively, their depth set by an effort.
The answer's length stays what the caller said: thinking counts towards it on both sides.

Source:
    https://platform.claude.com/docs/en/build-with-claude/thinking (checked 2026-11-20)
    https://platform.claude.com/docs/en/build-with-claude/effort (checked 2026-11-20)
"""

from typing import Any

from llm_core.providers.anthropic.models import Capabilities, Thinking

_Object = dict[str, Any]

# At least 1,024, by Anthropic's rule; the others are steps of four, as its guide suggests trying.
_BUDGET_TOKENS = {
    "minimal": 1_024,
    "low": 1_024,
    "medium": 4_096,
    "high": 16_384,
    "xhigh": 32_768,
    "max": 32_768,
}
_MIN_BUDGET_TOKENS = 1_024
# OpenAI's words that Anthropic lacks, and its own highest two where a model lacks them.
_NEAREST_EFFORT = {
    "minimal": ("low",),
    "xhigh": ("xhigh", "max", "high"),
    "max": ("max", "high"),
}


def thinking_for(
    effort: str, capabilities: Capabilities, max_tokens: int, *, may_start: bool
) -> _Object | None:
    """Give `thinking` and `output_config.effort` for an effort; `None` when it cannot be had.

    Args:
        effort: OpenAI's `reasoning_effort`, or one of Anthropic's own words.
        capabilities: Of the routed model.
        max_tokens: The longest answer, thinking included.
        may_start: Whether the rest of the request allows the model to think first.
    """
    if effort == "none":
        return _without_thinking(capabilities)
    if effort not in _BUDGET_TOKENS:
        return None
    asked: _Object = {}
    level = next(
        (e for e in _NEAREST_EFFORT.get(effort, (effort,)) if e in capabilities.efforts), None
    )
    if level is not None:
        asked["output_config"] = {"effort": level}
    thinking = _thinking(effort, capabilities, max_tokens) if may_start else None
    if thinking is not None:
        asked["thinking"] = thinking
    return asked or None


def _thinking(effort: str, capabilities: Capabilities, max_tokens: int) -> _Object | None:
    match capabilities.thinking:
        case Thinking.NONE:
            return None
        case Thinking.BUDGET:
            # Half of the answer at most, or nothing is left for the answer itself.
            budget = min(_BUDGET_TOKENS[effort], max_tokens // 2)
            if budget < _MIN_BUDGET_TOKENS:
                return None
            return {"type": "enabled", "budget_tokens": budget}
        case Thinking.ADAPTIVE:
            # From 4.7 on the text of the thinking is left out unless asked for.
            return {"type": "adaptive", "display": "summarized"}


def _without_thinking(capabilities: Capabilities) -> _Object:
    if capabilities.thinking_off is not None:
        return {"thinking": {"type": capabilities.thinking_off}}
    # Off already, or never off: then the least there is.
    return {"output_config": {"effort": "low"}} if capabilities.efforts else {}
