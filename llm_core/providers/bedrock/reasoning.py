"""OpenAI's `reasoning_effort` as each maker's own field, which Converse hands on to the model.

| Family | `additionalModelRequestFields` |
|---|---|
| Claude | `thinking`, and from 4.6 on `output_config.effort`, as at Anthropic |
| Nova 2 | `reasoningConfig: {type, maxReasoningEffort}` |
| gpt-oss | `reasoning_effort` |
| any other | none; the effort is left out |

That Bedrock takes `thinking.display` as Anthropic does is inferred.

Nova 2's effort `high` is refused: with it the model takes no longest answer, so that what a call
costs could not be bounded.

Source:
    https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html
    https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html
    The pages were seen in excerpts, 2026-11-20.
"""

from typing import Any

from llm_core.providers.anthropic.models import Capabilities, Thinking
from llm_core.providers.anthropic.thinking import thinking_for
from llm_core.providers.bedrock.models import Family, Traits
from llm_core.providers.bedrock.refusals import unsupported

_Object = dict[str, Any]

_HIGH = "high"
_NEAREST = {"minimal": "low", "low": "low", "medium": "medium", "high": _HIGH, "xhigh": _HIGH}


def reasoning_for(
    effort: str, traits: Traits, max_tokens: int, *, may_start: bool
) -> _Object | None:
    """Give the fields for an effort; `None` when the model cannot be asked for it.

    Args:
        effort: OpenAI's `reasoning_effort`.
        traits: Of the routed model.
        max_tokens: The longest answer, reasoning included.
        may_start: Whether the rest of the request allows Claude to think first.

    Raises:
        UnsupportedParameter: Nova 2 at its highest effort.
    """
    if traits.claude is not None:
        return _claude(effort, traits.claude, max_tokens, may_start=may_start)
    match traits.family:
        case Family.NOVA_2 if effort == "none":
            return {"reasoningConfig": {"type": "disabled"}}
        case Family.NOVA_2 if effort in _NEAREST:
            return {"reasoningConfig": nova_reasoning(_NEAREST[effort], "reasoning_effort")}
        case Family.GPT_OSS if effort in _NEAREST:
            return {"reasoning_effort": _NEAREST[effort]}
        case _:
            return None


def nova_reasoning(effort: object, param: str) -> _Object:
    """`reasoningConfig` at an effort that leaves the longest answer in force.

    Raises:
        UnsupportedParameter: The highest effort.
    """
    if effort == _HIGH:
        raise unsupported(
            param, "at its highest effort this model takes no longest answer; use 'medium'."
        )
    return {"type": "enabled", "maxReasoningEffort": effort}


def _claude(
    effort: str, claude: Capabilities, max_tokens: int, *, may_start: bool
) -> _Object | None:
    asked = thinking_for(effort, claude, max_tokens, may_start=may_start)
    if asked is not None and claude.thinking is Thinking.BUDGET:
        # Before 4.6 an effort is a beta that Bedrock asks a header for.
        asked.pop("output_config", None)
    return asked if asked or effort == "none" else None
