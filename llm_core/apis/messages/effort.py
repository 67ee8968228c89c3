"""How hard a model is asked to think, in OpenAI's words.

Source:
    https://platform.claude.com/docs/en/build-with-claude/thinking (checked 2026-11-20)
    https://platform.claude.com/docs/en/build-with-claude/effort (checked 2026-11-20)
    https://platform.openai.com/docs/guides/reasoning (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any

# The steps by which `providers.anthropic.thinking` turns an effort into a budget.
_MEDIUM_BUDGET_TOKENS = 4_096
_HIGH_BUDGET_TOKENS = 16_384
# Anthropic's highest two are words that few other models know.
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


def effort_of(thinking: Mapping[str, Any] | None, effort: str | None) -> str | None:
    """Give `reasoning_effort`; `None` when nothing is said about it.

    Args:
        thinking: Anthropic's field, checked.
        effort: `output_config.effort`. Without it an adaptive model thinks with high effort.
    """
    kind = (thinking or {}).get("type")
    match kind:
        case "disabled" | "between_tools":
            return "none"
        case "enabled" if effort is None:
            return _effort_for((thinking or {})["budget_tokens"])
        case "adaptive" if effort is None:
            return "high"
        case _:
            return None if effort is None else _EFFORTS[effort]


def _effort_for(budget_tokens: int) -> str:
    if budget_tokens >= _HIGH_BUDGET_TOKENS:
        return "high"
    return "medium" if budget_tokens >= _MEDIUM_BUDGET_TOKENS else "low"
