"""What an admin can set on `llm-token-meter`."""

from dataclasses import dataclass, field
from typing import Any, Self

from kong_plugins._runtime.config import POLICY_FIELDS, own_fields
from llm_core.operation import Operation
from llm_core.policy.route import OnClientGone, RouteOptions, WhenLimitsDown

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
            "one_of": [AUTO, *(one.value for one in Operation)],
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
        "on_client_gone": {
            "type": "string",
            "default": OnClientGone.CANCEL.value,
            "one_of": [one.value for one in OnClientGone],
            "description": "What becomes of a stream whose client has left: `cancel` hangs up on "
            "the provider and counts what came, `drain` reads on to be told the true usage. It is "
            "charged either way.",
        }
    },
    {
        "keep_alive_s": {
            "type": "number",
            "required": False,
            "gt": 0,
            "description": "While a stream has not begun, a comment is sent this often, in "
            "seconds, so that nobody in between hangs up. Without it none is sent.",
        }
    },
    {
        "total_timeout_s": {
            "type": "number",
            "required": False,
            "gt": 0,
            "description": "Longest a call may take, all tries together, in seconds.",
        }
    },
    {
        "most_tries": {
            "type": "integer",
            "default": 4,
            "gt": 0,
            "description": "How many deployments are tried at most, one after the other.",
        }
    },
    {
        "cache": {
            "type": "boolean",
            "default": True,
            "description": "Whether answers may come from the response cache, where policy "
            "permits.",
        }
    },
    {
        "cache_similarity": {
            "type": "number",
            "required": False,
            "between": [0, 1],
            "description": "How near a question must be to a kept one to get its answer. Without "
            "it only the very same question does.",
        }
    },
    {
        "when_limits_down": {
            "type": "string",
            "default": WhenLimitsDown.CLOSED.value,
            "one_of": [one.value for one in WhenLimitsDown],
            "description": "What becomes of calls while the store of limits (Redis) cannot be "
            "asked: `closed` refuses them with 503, `degraded` lets each process of the policy "
            "service admit `degraded_share` of what is left of every limit.",
        }
    },
    {
        "degraded_share": {
            "type": "number",
            "default": 0.1,
            "between": [0, 1],
            "description": "With `when_limits_down: degraded`: how much of what is left of a "
            "limit each process may admit. With 10 processes 0.1 passes no budget.",
        }
    },
    {
        "require_use_case": {
            "type": "boolean",
            "default": False,
            "description": "Refuse calls with 400 that do not say in `x-gatehouse-use-case` what "
            "they are for.",
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
    policy_secret: str = field(repr=False)
    timeout_ms: int = 1500
    operation: str = AUTO
    max_body_bytes: int = 16 * 1024 * 1024
    on_client_gone: str = OnClientGone.CANCEL.value
    keep_alive_s: float | None = None
    total_timeout_s: float | None = None
    most_tries: int = 4
    cache: bool = True
    cache_similarity: float | None = None
    when_limits_down: str = WhenLimitsDown.CLOSED.value
    degraded_share: float = 0.1
    require_use_case: bool = False
    journal_path: str = "/var/lib/gatehouse/usage-journal.jsonl"
    journal_retry_s: float = 5.0

    @classmethod
    def from_kong(cls, raw: dict[str, Any]) -> Self:
        """Keep the fields we own; Kong adds its own such as `__plugin_id`."""
        return cls(**own_fields(cls, raw))

    @property
    def route(self) -> RouteOptions:
        """What the service needs to know of this route."""
        return RouteOptions(
            on_client_gone=OnClientGone(self.on_client_gone),
            keep_alive_s=self.keep_alive_s,
            total_timeout_s=self.total_timeout_s,
            most_tries=self.most_tries,
            has_cache=self.cache,
            similarity=self.cache_similarity,
            when_limits_down=WhenLimitsDown(self.when_limits_down),
            degraded_share=self.degraded_share,
        )
