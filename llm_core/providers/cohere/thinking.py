"""OpenAI's `reasoning_effort` as Cohere's `thinking`.

Models that reason do so unless it is turned off, for as many tokens as they are given. A model that
does not reason answers `thinking` with an error; a name that is not understood is taken for a new
model, and new models reason. The pattern of those that do not, and the budgets, are our own guess.

Source:
    https://docs.cohere.com/docs/reasoning
    The pages were seen in excerpts, 2026-11-20.
"""

import re
from typing import Any

_Object = dict[str, Any]

_WITHOUT_THINKING = re.compile(
    r"(command$|command-(light|nightly|r)|command-a-(03|vision|translate)|c4ai-|aya-|tiny-aya)"
)
# OpenAI names no numbers; these are steps of four.
_BUDGET_TOKENS = {
    "minimal": 512,
    "low": 1_024,
    "medium": 4_096,
    "high": 16_384,
    "xhigh": 32_768,
    "max": 32_768,
}


def thinking_for(effort: str, model: str, max_tokens: int) -> _Object | None:
    """Give `thinking` for an effort; `None` when the model cannot be told.

    Args:
        effort: OpenAI's `reasoning_effort`.
        model: The routed model.
        max_tokens: The longest answer, thinking included: half of it is left for the answer.
    """
    if _WITHOUT_THINKING.match(model):
        return None
    if effort == "none":
        return {"type": "disabled"}
    if effort not in _BUDGET_TOKENS:
        return None
    return {"type": "enabled", "token_budget": max(1, min(_BUDGET_TOKENS[effort], max_tokens // 2))}
