"""Who may look at a team without a role: whoever holds one of its API keys.

Two paths answer them: `/admin/usage` and `/admin/audit-log`. Everything else of the admin API is
for administrators.
"""

import ipaddress
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from llm_core.errors import InvalidKey, PermissionDenied
from llm_core.policy.caller import Caller
from llm_core.policy.roles import Actor, Permission
from policy_service.api.admins import current_actor, nodes_for
from policy_service.api.wire import bearer, resources
from policy_service.keys import KEY_MARK
from policy_service.ports.callers import Unknown

_WHY_NOT = {
    Unknown.MISTYPED: "This API key is mistyped: copy it again, whole.",
    Unknown.REVOKED: "This API key was revoked.",
    Unknown.EXPIRED: "This API key has expired.",
    Unknown.INACTIVE: "Who this API key stands for was switched off.",
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who looks: an administrator, or a key's holder.

    Args:
        actor: The administrator.
        caller: Whom the key stands for; set exactly when `actor` is not.
    """

    actor: Actor | None = None
    caller: Caller | None = None

    def nodes(self, permission: Permission) -> frozenset[str] | None:
        """Where they may look, and below: a key's holder at its team; `None`: everywhere.

        Raises:
            PermissionDenied: An administrator without a role for it.
        """
        if self.caller is not None:
            return frozenset({f"team:{self.caller.team}"})
        assert self.actor is not None  # noqa: S101 - one of the two is set
        return nodes_for(self.actor, permission)


async def _viewer(request: Request) -> Viewer:
    text = bearer(request)
    if not text.startswith(KEY_MARK):
        return Viewer(actor=await current_actor(request))
    opened = resources(request)
    found = await opened.callers.by_key(text)
    if isinstance(found, Unknown):
        raise InvalidKey(_WHY_NOT.get(found, "Nobody knows this API key."))
    caller = found.caller
    if caller.networks and not _is_from(request, caller.networks):
        raise PermissionDenied("This API key is not for the network that you call from.")
    if caller.key_id is not None:
        opened.last_used.note(caller.key_id)
    return Viewer(caller=caller)


def _is_from(request: Request, networks: tuple[str, ...]) -> bool:
    """Whether the connection itself comes from one of them: no header is believed here."""
    host = "" if request.client is None else request.client.host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(one) for one in networks)


CurrentViewer = Annotated[Viewer, Depends(_viewer)]
"""For a handler's signature."""
