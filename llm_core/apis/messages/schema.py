"""JSON schemas that OpenAI holds its models to.

Source:
    https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
    (checked 2026-11-20)
"""

from collections.abc import Mapping
from typing import Any


def is_closed(schema: object) -> bool:
    """Whether OpenAI holds its models to a schema: closed objects without optional members.

    It may be nested however deeply.
    """
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            if ("properties" in part or part.get("type") == "object") and _has_options(part):
                return False
            waiting += part.values()
    return True


def _has_options(described: Mapping[str, Any]) -> bool:
    """Whether an object may hold more than is said, or less."""
    names, wanted = described.get("properties"), described.get("required")
    return (
        described.get("additionalProperties") is not False
        or not isinstance(names, dict)
        or not isinstance(wanted, list)
        or bool(set(names) - {name for name in wanted if isinstance(name, str)})
    )
