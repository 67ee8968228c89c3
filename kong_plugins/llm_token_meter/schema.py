"""What an admin can set on `llm-token-meter`."""

from dataclasses import dataclass
from typing import Any, Self

from kong_plugins._runtime.config import POLICY_FIELDS, own_fields

NAME = "llm-token-meter"
VERSION = "0.1.0"
PRIORITY = 950
AUTO = "auto"

SCHEMA: tuple[dict[str, Any], ...] = (
    *POLICY_FIELDS,
    {
        "timeout_ms": {
            "type": "integer",
            "default": 1500,
            "gt": 0,
            "description": "Longest wait for a decision, in milliseconds.",
        }
    },
    {
        "operation": {
            "type": "string",
            "default": AUTO,
            "one_of": [AUTO, "chat.completions", "models"],
            "description": "What this route serves. `auto` asks Kong for the path, which costs "
            "0.1 ms; name it on the route to save that.",
        }
    },
    {
        "max_body_bytes": {
            "type": "integer",
            "default": 16 * 1024 * 1024,
            "gt": 0,
            "description": "Longer request bodies are refused with 413.",
        }
    },
    {
        "journal_path": {
            "type": "string",
            "default": "/var/lib/gatehouse/usage-journal.jsonl",
            "description": "Where usage reports wait while the policy service is down. The folder "
            "must be writable by Kong's user.",
        }
    },
    {
        "journal_retry_s": {
            "type": "number",
            "default": 5,
            "gt": 0,
            "description": "How often waiting reports are sent again, in seconds.",
        }
    },
)


@dataclass(frozen=True, slots=True)
class Config:
    """One plugin instance's settings, read once when Kong starts the instance."""

    policy_url: str
    policy_secret: str
    timeout_ms: int = 1500
    operation: str = AUTO
    max_body_bytes: int = 16 * 1024 * 1024
    journal_path: str = "/var/lib/gatehouse/usage-journal.jsonl"
    journal_retry_s: float = 5.0

    @classmethod
    def from_kong(cls, raw: dict[str, Any]) -> Self:
        """Keep the fields we own; Kong adds its own such as `__plugin_id`."""
        return cls(**own_fields(cls, raw))
