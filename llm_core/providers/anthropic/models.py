"""What a Claude model takes, read from its name.

Claude's models differ in their request parameters, and a parameter that a model does not take is a
400. A name that is not understood is taken for a new model, and counts as one: every model since
Opus 4.7 shares those rules, so the newest are the best guess.

Source:
    https://platform.claude.com/docs/en/build-with-claude/thinking (checked 2026-11-20)
    https://platform.claude.com/docs/en/build-with-claude/effort (checked 2026-11-20)
    https://platform.claude.com/docs/en/models/opus-5-5/whats-new-opus-5-5 (checked 2026-11-20)
    https://platform.claude.com/docs/en/models/sonnet-5-5/whats-new-sonnet-5-5 (checked 2026-11-20)
"""

import re
from dataclasses import dataclass
from enum import StrEnum

# `claude-opus-4-7`, `claude-sonnet-4-20250514` (that is 4.0), `claude-3-5-haiku-20241022`.
_NEW_NAME = re.compile(
    r"claude-(?P<family>[a-z]+)-(?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2}))?(?!\d)"
)
_OLD_NAME = re.compile(r"claude-(?P<major>\d)(?:[-.](?P<minor>\d))?-(?P<family>[a-z]+)")

_NEWEST = (99, 0)
# The last API version that takes `temperature`, `top_p` and `top_k` at all is the one before.
_VERSION_WITHOUT_SAMPLING = "2026-10-21"


class Thinking(StrEnum):
    """How a model is asked to think."""

    NONE = "none"
    BUDGET = "budget"
    """`thinking: {type: enabled, budget_tokens}`"""
    ADAPTIVE = "adaptive"
    """`thinking: {type: adaptive}`, its depth by `output_config.effort`"""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one model takes.

    Args:
        thinking: How it is asked to think.
        thinking_off: The `thinking.type` that turns thinking off; `None` when it is off unless
            asked for, or cannot be turned off.
        efforts: Values of `output_config.effort`, lowest first; empty when there is no such thing.
        takes_sampling: Whether `temperature`, `top_p` and `top_k` are taken.
        takes_forced_tools: Whether a tool call can be demanded.
        takes_schemas: Whether answers and tool arguments can be held to a JSON schema.
    """

    thinking: Thinking
    thinking_off: str | None
    efforts: tuple[str, ...]
    takes_sampling: bool
    takes_forced_tools: bool
    takes_schemas: bool


def capabilities_of(model: str, api_version: str) -> Capabilities:
    """What `model` takes under `api_version`."""
    family, version = _family_and_version(model)
    return Capabilities(
        thinking=_thinking(version),
        thinking_off=_thinking_off(family, version),
        efforts=_efforts(family, version),
        takes_sampling=version < (4, 7) and api_version < _VERSION_WITHOUT_SAMPLING,
        takes_forced_tools=not _always_thinks_first(family, version),
        takes_schemas=version >= (4, 5),
    )


def _family_and_version(model: str) -> tuple[str, tuple[int, int]]:
    named = _NEW_NAME.search(model) or _OLD_NAME.search(model)
    if named is None:
        return "", _NEWEST
    return named["family"], (int(named["major"]), int(named["minor"] or 0))


def _thinking(version: tuple[int, int]) -> Thinking:
    if version < (3, 7):
        return Thinking.NONE
    return Thinking.BUDGET if version < (4, 6) else Thinking.ADAPTIVE


def _thinking_off(family: str, version: tuple[int, int]) -> str | None:
    # Up to 4.8 thinking is off until asked for; after that it is on until turned off.
    match family, version:
        case ("opus" | "sonnet", (5, 0)) | ("haiku", (5, _)):
            return "disabled"
        case ("sonnet", (5, 5)):
            return "between_tools"
        case _:
            return None


def _efforts(family: str, version: tuple[int, int]) -> tuple[str, ...]:
    if version >= (4, 7):
        return ("low", "medium", "high", "xhigh", "max")
    if version >= (4, 6):
        return ("low", "medium", "high", "max")
    if version == (4, 5) and family == "opus":
        return ("low", "medium", "high")
    return ()


def _always_thinks_first(family: str, version: tuple[int, int]) -> bool:
    """Models whose thinking stands in the way of a forced call, from Opus 5.5 on."""
    match family:
        case "opus" | "sonnet":
            return version >= (5, 5)
        case "fable" | "mythos":
            return version >= (5, 1)
        case _:
            return False
