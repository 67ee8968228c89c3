"""OpenAI's `reasoning_effort`, and Google's own `thinking_config`, as `thinkingConfig`.

The levels and budgets are those of Google's own compatibility layer. Whoever asks for an effort
gets to see a summary of the thoughts. Nothing is sent unless something is asked: every model has a
default of its own.

Source:
    https://ai.google.dev/gemini-api/docs/openai
    https://ai.google.dev/gemini-api/docs/generate-content/thinking
    The pages were seen in excerpts, 2026-11-20.
"""

from typing import Any

from llm_core.errors import MalformedRequest
from llm_core.providers.gemini.models import Capabilities

_Object = dict[str, Any]

_BUDGET_TOKENS = {
    "minimal": 1_024,
    "low": 1_024,
    "medium": 8_192,
    "high": 24_576,
    "xhigh": 24_576,
    "max": 24_576,
}
# Taken by all of 2.5: Flash-Lite has the highest minimum.
_LEAST_BUDGET = 512
_LEAST_BUDGET_OF_PRO = 128
_ORDER = ("minimal", "low", "medium", "high")
_NEAREST = {"xhigh": "high", "max": "high"}
_OWN_FIELDS = {
    "include_thoughts": "includeThoughts",
    "thinking_budget": "thinkingBudget",
    "thinking_level": "thinkingLevel",
}


def thinking_for(effort: str, capabilities: Capabilities, max_tokens: int) -> _Object | None:
    """Give `thinkingConfig` for an effort; `None` when the model cannot be told.

    Args:
        effort: OpenAI's `reasoning_effort`.
        capabilities: Of the routed model.
        max_tokens: The longest answer, thinking included.
    """
    if effort == "none":
        return _least(capabilities)
    if effort not in _BUDGET_TOKENS:
        return None
    if capabilities.levels:
        return {"thinkingLevel": _level(effort, capabilities.levels), "includeThoughts": True}
    if capabilities.has_budget:
        # Half of the answer at most, or nothing is left for the answer itself.
        budget = min(_BUDGET_TOKENS[effort], max_tokens // 2)
        if budget >= _LEAST_BUDGET:
            return {"thinkingBudget": budget, "includeThoughts": True}
    return None


def own_thinking(given: object) -> _Object:
    """Read Google's own field, spelled as its SDK or as its API does.

    Raises:
        MalformedRequest: It is no object, or has members that Google does not know.
    """
    param = "thinking_config"
    if not isinstance(given, dict):
        raise MalformedRequest(f"'{param}' must be an object.", param=param)
    config: _Object = {}
    for name, value in given.items():
        config[_OWN_FIELDS.get(name) or name] = value
    unknown = sorted(set(config) - set(_OWN_FIELDS.values()))
    if unknown:
        raise MalformedRequest(
            f"'{param}' has no member '{unknown[0][:50]}'; it has {', '.join(_OWN_FIELDS)}.",
            param=param,
        )
    return config


def _least(capabilities: Capabilities) -> _Object | None:
    """No thinking, or the least there is."""
    if capabilities.levels:
        return {"thinkingLevel": capabilities.levels[0].upper()}
    if capabilities.has_budget:
        return {"thinkingBudget": 0 if capabilities.can_stop_thinking else _LEAST_BUDGET_OF_PRO}
    # A model that does not think does what is asked.
    return {}


def _level(effort: str, levels: tuple[str, ...]) -> str:
    """The effort itself, else the next one up; Google raises `medium` on 3 Pro likewise."""
    wanted = _ORDER.index(_NEAREST.get(effort, effort))
    return next(level for level in _ORDER[wanted:] if level in levels).upper()
