"""What differs between the models that the stand-in serves.

Source:
    https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
    https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html
    (checked 2026-11-20)
"""

import re

from sandbox.anthropic.traits import is_adaptive_only
from sandbox.tokens import words

_CLAUDE = re.compile(r"claude-[a-z0-9-]+")
_OLD_CLAUDE = re.compile(r"claude-(v2|instant|3|(opus|sonnet)-4(-1)?-(\d{8}|v))")
_CLAUDE_FIELDS = frozenset(
    words("thinking output_config top_k anthropic_beta tool_choice metadata")
)
_NOVA_FIELDS = frozenset({"inferenceConfig"})


def claude(model: str) -> str | None:
    """Claude's own name in a model's id or ARN; `None` for any other model."""
    named = _CLAUDE.search(model)
    return named[0] if named else None


def takes_schemas(model: str) -> bool:
    """Whether answers can be held to a schema: newer Claude models and most open ones."""
    return not re.search(r"amazon\.|meta\.|cohere\.", model) and not _OLD_CLAUDE.search(model)


def is_adaptive_claude(model: str) -> bool:
    """Whether the model is a Claude that takes no sampling and no thinking budget."""
    return is_adaptive_only(claude(model) or "")


def more_fields(model: str) -> frozenset[str] | None:
    """What `additionalModelRequestFields` may hold; `None` when the stand-in does not know."""
    if claude(model):
        return _CLAUDE_FIELDS
    if "nova-2" in model:
        return _NOVA_FIELDS | {"reasoningConfig"}
    if "amazon.nova" in model:
        return _NOVA_FIELDS
    return frozenset({"reasoning_effort"}) if "gpt-oss" in model else None
