"""What the plugins' configurations have in common."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

POLICY_FIELDS: Final[tuple[dict[str, Any], ...]] = (
    {
        "policy_url": {
            "type": "string",
            "required": True,
            "description": "Base URL of the policy service, for example http://127.0.0.1:8100.",
        }
    },
    {
        "policy_secret": {
            "type": "string",
            "required": True,
            "referenceable": True,
            "description": "The service's POLICY_INTERNAL_SECRET; use a vault reference.",
        }
    },
)
"""Schema of a plugin that asks the policy service."""


def own_fields(config: type, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The values for a `Config` dataclass out of what Kong gives.

    Kong adds fields of its own such as `__plugin_id`, and says null for what is not set.
    """
    names = [field.name for field in fields(config)]
    return {name: raw[name] for name in names if raw.get(name) is not None}
