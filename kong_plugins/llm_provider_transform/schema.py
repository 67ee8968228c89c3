"""What an admin can set on `llm-provider-transform`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from kong_plugins._runtime.config import own_fields

NAME = "llm-provider-transform"
VERSION = "0.1.0"
PRIORITY = 760

SCHEMA: tuple[dict[str, Any], ...] = (
    {
        "credentials": {
            "type": "map",
            "keys": {"type": "string"},
            "values": {"type": "string", "referenceable": True},
            "default": {},
            "description": "Provider credentials by the name the model catalogue uses; give vault "
            "references: {openai: '{vault://env/openai-key}'}. A call whose credential is not "
            "here goes through the relay.",
        }
    },
    {
        "direct": {
            "type": "boolean",
            "default": True,
            "description": "Let Kong call the provider itself where a call allows it; off, every "
            "call goes through the relay.",
        }
    },
    {
        "max_body_bytes": {
            "type": "integer",
            "default": 16 * 1024 * 1024,
            "gt": 0,
            "description": "As on llm-token-meter.",
        }
    },
)


@dataclass(frozen=True, slots=True)
class Config:
    """One plugin instance's settings, read once when Kong starts the instance."""

    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    direct: bool = True
    max_body_bytes: int = 16 * 1024 * 1024

    @classmethod
    def from_kong(cls, raw: dict[str, Any]) -> Self:
        """Keep the fields we own; Kong adds its own such as `__plugin_id`."""
        return cls(**own_fields(cls, raw))
