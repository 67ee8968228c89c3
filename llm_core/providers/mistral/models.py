"""How a Mistral model is asked to reason, read from its name.

Mistral's models differ: Magistral always reasons, the 2026 generation reasons as deeply as it is
told, and what is older does not reason and answers an effort with an error. A name that is not
understood is taken for a new model. The efforts of Small 4, Medium 3.5 and Large 4 stand on the
pages; which older names take none is read off their dates, and is our own guess.

Source:
    https://docs.mistral.ai/inference/conversations/reasoning
    https://docs.mistral.ai/capabilities/reasoning/adjustable
    The pages were seen in excerpts, 2026-11-20.
"""

import re

# Releases bear the year and month in their names: `mistral-large-2512`. Reasoning by effort began
# with Mistral Small 4, `mistral-small-2603`.
_WITHOUT = re.compile(
    r"(open-|codestral|devstral|ministral|pixtral|voxtral|mathstral|mistral-(tiny|nemo|saba|embed)"
    r"|mistral-(small|medium|large)-(2[0-5]\d\d|260[12]))"
)
_ALWAYS = re.compile(r"magistral")
# Mistral Small 4 and Medium 3.5 know two efforts, Large 4 and later ones know them all.
_ON_OR_OFF = re.compile(r"mistral-(small|medium)-(latest|26\d\d|3[.-]5)")
_LEVELS = {
    "none": "none",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}


def reasoning_effort_for(effort: str, model: str) -> str | None:
    """Give Mistral's word for an effort; `None` when the model cannot be told.

    Args:
        effort: OpenAI's `reasoning_effort`.
        model: The routed model.
    """
    level = _LEVELS.get(effort)
    if level is None or _WITHOUT.match(model) or _ALWAYS.match(model):
        return None
    if _ON_OR_OFF.match(model):
        return "none" if effort in ("none", "minimal") else "high"
    return level
