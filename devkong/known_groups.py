"""Stands in for those of Kong's plugins that recognise groups and no consumer.

Kong's openid-connect and ldap-auth put the groups of whom they let in into
`kong.ctx.shared.authenticated_groups`, where acl reads them. devkong has no directory to ask: the
groups are named in the plugin's configuration. It has a name that no plugin of Kong's has, for a
configuration that uses it is for a laptop.

Source:
    https://github.com/Kong/kong/blob/3.9.0/kong/plugins/acl/groups.lua,
    `get_authenticated_groups` (checked 2026-11-21)
"""

from typing import Any, ClassVar

from devkong.context import ACCESS, Context

GROUPS = "authenticated_groups"


class KnownGroups:
    """Says that whoever calls is in some groups."""

    name = "devkong-groups"
    priority = 1050
    """That of openid-connect."""
    phases = frozenset({ACCESS})
    fields: ClassVar[list[dict[str, Any]]] = [
        {"groups": {"type": "array", "required": True, "elements": {"type": "string"}}}
    ]

    async def run(self, phase: str, config: dict[str, Any], context: Context) -> None:
        """Write the groups where Kong's plugins write them; `phase` is always `access`."""
        context.shared[GROUPS] = list(config["groups"])

    def close(self) -> None:
        """Nothing to let go of."""
