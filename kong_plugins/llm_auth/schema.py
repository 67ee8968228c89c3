"""What an admin can set on `llm-auth`."""

from dataclasses import dataclass, field
from typing import Any, Self

from kong_plugins._runtime.config import POLICY_FIELDS, own_fields

NAME = "llm-auth"
VERSION = "0.1.0"
PRIORITY = 1010

SCHEMA: tuple[dict[str, Any], ...] = (
    *POLICY_FIELDS,
    {
        "timeout_ms": {
            "type": "integer",
            "default": 800,
            "gt": 0,
            "description": "Longest wait for the policy service, in milliseconds.",
        }
    },
    {
        "use_kong_consumer": {
            "type": "boolean",
            "default": False,
            "description": "Accept the consumer that Kong's own auth plugin has set, when a "
            "request carries no gatehouse key.",
        }
    },
    {
        "use_kong_groups": {
            "type": "boolean",
            "default": False,
            "description": "Accept the groups that Kong's own plugins have authenticated, as its "
            "acl plugin does, when a request carries no gatehouse key.",
        }
    },
    {
        "sends_source_ip": {
            "type": "boolean",
            "default": False,
            "description": "Tell the policy service the client's address, for rules about "
            "networks and the limit on wrong keys; costs a PDK call. Without it a call lies in no "
            "network, and wrong keys are not limited.",
        }
    },
    {
        "max_body_bytes": {
            "type": "integer",
            "default": 16 * 1024 * 1024,
            "gt": 0,
            "description": "Requests whose Content-Length is longer are refused with 413.",
        }
    },
    {
        "cache_ttl_s": {
            "type": "number",
            "default": 5,
            "between": [0, 300],
            "description": "How long a known caller is remembered, in seconds. What changes is "
            "heard within one; this holds when it is not.",
        }
    },
    {
        "negative_cache_ttl_s": {
            "type": "number",
            "default": 1,
            "between": [0, 60],
            "description": "How long an unknown key is remembered, in seconds.",
        }
    },
    {
        "stale_if_error_s": {
            "type": "number",
            "default": 300,
            "between": [0, 86400],
            "description": "How long a known caller stays known while the service is down.",
        }
    },
)


@dataclass(frozen=True, slots=True)
class Config:
    """One plugin instance's settings, read once when Kong starts the instance."""

    policy_url: str
    policy_secret: str = field(repr=False)
    timeout_ms: int = 800
    use_kong_consumer: bool = False
    use_kong_groups: bool = False
    sends_source_ip: bool = False
    max_body_bytes: int = 16 * 1024 * 1024
    cache_ttl_s: float = 5.0
    negative_cache_ttl_s: float = 1.0
    stale_if_error_s: float = 300.0

    @classmethod
    def from_kong(cls, raw: dict[str, Any]) -> Self:
        """Keep the fields we own; Kong adds its own such as `__plugin_id`."""
        return cls(**own_fields(cls, raw))
