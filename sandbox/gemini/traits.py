"""What differs between Gemini's generations.

Source:
    https://ai.google.dev/gemini-api/docs/generate-content/thinking (checked 2026-11-20)
"""

import re

_NAME = re.compile(r"gemini-(\d+)(?:\.(\d+))?")


def generation(model: str) -> tuple[int, int]:
    """The generation, for example `(2, 5)`; a name that is not known counts as 2.5."""
    named = _NAME.match(model)
    return (int(named[1]), int(named[2] or 0)) if named else (2, 5)


def levels(model: str) -> tuple[str, ...]:
    """The thinking levels that a model takes, lower case."""
    version = generation(model)
    if version < (3, 0):
        return ()
    if model.startswith("gemini-3-pro"):
        return ("low", "high")
    has_minimal = "flash" in model and version <= (3, 6)
    return ("minimal",) * has_minimal + ("low", "medium", "high")


def thinks(model: str) -> bool:
    """Whether the model thinks without being asked."""
    return generation(model) >= (3, 0)
