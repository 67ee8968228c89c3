"""The groups that Kong's own plugins have authenticated."""

from collections.abc import Iterable, Mapping
from typing import Final

KONG_GROUPS: Final = "authenticated_groups"
"""Where in `kong.ctx.shared` plugins leave them for Kong's acl plugin.

Source:
    https://github.com/Kong/kong/blob/master/kong/plugins/acl/groups.lua,
    `get_authenticated_groups` (checked 2026-11-21)
"""

_MOST = 200
_LONGEST = 200


def groups_in(value: object) -> tuple[str, ...]:
    """The groups' names, sorted and once each; what is no plain text is no group.

    Args:
        value: A Lua array as it arrives: a list, or a map when it is empty or has gaps.
    """
    found: Iterable[object] = ()
    if isinstance(value, Mapping):
        found = value.values()
    elif isinstance(value, list | tuple):
        found = value
    return tuple(sorted({one for one in found if isinstance(one, str) and _is_plain(one)})[:_MOST])


def _is_plain(name: str) -> bool:
    return 0 < len(name) <= _LONGEST and name.isprintable()
