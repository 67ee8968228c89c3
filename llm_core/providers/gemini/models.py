"""What a Gemini model takes, read from its name.

A name that is not understood (`gemini-flash-latest`, a tuned model) is taken for a new model.

| Model | Thinks by |
|---|---|
| up to 2.0, Gemma | not asked |
| 2.5 | `thinkingBudget`: Pro 128 to 32,768 and never off; Flash and Flash-Lite up to 24,576 |
| 3 Pro | `thinkingLevel`: low, high |
| 3.1 Pro, 3.7 and 3.8 Flash, 4 | `thinkingLevel`: low, medium, high |
| other Flash and Flash-Lite of 3 | `thinkingLevel`: minimal, low, medium, high |

From 2.5 on a penalty is a 400, "Penalty is not enabled for this model", though the API has the
fields: https://github.com/google-gemini/cookbook/issues/1290.

Source:
    https://ai.google.dev/gemini-api/docs/generate-content/thinking
    https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/guides/gemini-3-8-flash
    https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/guides/gemini-4-argon
    The pages were seen in excerpts, 2026-11-20.
"""

import re
from dataclasses import dataclass

_NAME = re.compile(r"gemini-(?:embedding-)?(?P<major>\d{1,2})(?:\.(?P<minor>\d{1,2}))?(?![\d.])")
_GEMMA = re.compile(r"(?:^|/)gemma")
_NEWEST = (99, 0)
_LEVELS = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one model takes.

    Args:
        levels: Values of `thinkingLevel`, lowest first; empty when it has none.
        has_budget: Whether it takes `thinkingBudget`.
        can_stop_thinking: Whether a budget of 0 turns thinking off.
        takes_penalties: Whether presence and frequency can be penalised.
        wants_signatures: Whether calls must come back with their thought signature.
        reads_addresses: Whether it fetches images from the web.
        reads_images_of_tools: Whether a tool's result may hold images.
    """

    levels: tuple[str, ...]
    has_budget: bool
    can_stop_thinking: bool
    takes_penalties: bool
    wants_signatures: bool
    reads_addresses: bool
    reads_images_of_tools: bool


def capabilities_of(model: str) -> Capabilities:
    """What `model` takes."""
    version = _version(model)
    return Capabilities(
        levels=_levels(model, version),
        has_budget=(2, 5) <= version < (3, 0),
        can_stop_thinking="pro" not in model,
        takes_penalties=version < (2, 5),
        wants_signatures=version >= (3, 0),
        reads_addresses=version >= (2, 5),
        reads_images_of_tools=version >= (3, 0),
    )


def _version(model: str) -> tuple[int, int]:
    if _GEMMA.search(model):
        return (0, 0)
    named = _NAME.search(model)
    return (int(named["major"]), int(named["minor"] or 0)) if named else _NEWEST


def _levels(model: str, version: tuple[int, int]) -> tuple[str, ...]:
    if version < (3, 0):
        return ()
    if "pro" in model and version == (3, 0):
        return ("low", "high")
    has_minimal = "flash" in model and version < (3, 7)
    return ("minimal", *_LEVELS) if has_minimal else _LEVELS
