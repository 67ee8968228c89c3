"""Who may use the admin API, and for what: every handler of it asks here."""

from collections.abc import Collection, Iterable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from llm_core.errors import PermissionDenied
from llm_core.policy.roles import (
    PLATFORM,
    ROLES,
    SEPARATED,
    Actor,
    Grant,
    Permission,
    Role,
    granted_on,
    may,
)
from policy_service.api.wire import bearer, resources

_described = HTTPBearer(
    scheme_name="admin_token",
    description="An admin token, or a person's access token of the company's identity provider.",
    auto_error=False,
)


async def current_actor(
    request: Request, _: Annotated[object | None, Depends(_described)] = None
) -> Actor:
    """Who sent the request, by its bearer token.

    Raises:
        InvalidKey: There is no token, or it proves nothing; the message says what to do.
        PermissionDenied: The account behind it was switched off.
        PolicyUnavailable: The database or the issuer's keys cannot be had: that is not a "no".
    """
    return await resources(request).administrators.actor_of(bearer(request))


CurrentActor = Annotated[Actor, Depends(current_actor)]
"""For a handler's signature: `async def handler(actor: CurrentActor) -> Response`."""


def require(actor: Actor, permission: Permission, path: Iterable[str]) -> None:
    """Let nobody past who holds no role for it.

    Args:
        actor: Who asks.
        permission: What they want to do.
        path: The node and every node above it, the node first; empty for the whole platform.

    Raises:
        PermissionDenied: With a sentence that says what is missing.
    """
    nodes = tuple(path)
    if not may(actor.grants, permission, nodes):
        where = nodes[0] if nodes else PLATFORM
        raise PermissionDenied(f"None of your roles permits `{permission}` on `{where}`.")


def require_grantable(
    actor: Actor, permission: Permission, grant: Grant, path: Iterable[str]
) -> None:
    """Let nobody give away what they do not hold there themselves, but for what is separated.

    Args:
        actor: Who wants to give the role.
        permission: What giving needs: `ROLES_GRANT` or `ADMIN_TOKENS_WRITE`.
        grant: The role and the node.
        path: The grant's node and every node above it.

    Raises:
        PermissionDenied: They may not grant, or the role permits what they may not do.
    """
    nodes = tuple(path)
    require(actor, permission, nodes)
    permitted = ROLES[grant.role] - SEPARATED
    beyond = sorted(one for one in permitted if not may(actor.grants, one, nodes))
    if beyond:
        raise PermissionDenied(
            f"You cannot give `{grant.role}` on `{grant.node}`: you do not hold "
            f"{', '.join(f'`{one}`' for one in beyond)} there yourself."
        )


def require_other(actor: Actor, roles: Iterable[tuple[Role, str]]) -> None:
    """Let nobody give themselves what who administers does not hold.

    Args:
        actor: Who gives roles.
        roles: Each with the subject that is to have it, such as `user:alice`.

    Raises:
        PermissionDenied: One is for themselves, and permits more than they hold.
    """
    for role, subject in roles:
        beyond = SEPARATED & ROLES[role]
        if subject == actor.name and not all(granted_on(actor.grants, one) for one in beyond):
            raise PermissionDenied(
                f"You cannot give `{role}` to yourself: it reads what people wrote, which who "
                "administers may not. Somebody else has to."
            )


def nodes_for(actor: Actor, permission: Permission) -> frozenset[str] | None:
    """The nodes on which, and below which, the actor may do something; `None`: everywhere.

    Raises:
        PermissionDenied: Nowhere.
    """
    nodes: Collection[str] = granted_on(actor.grants, permission)
    if PLATFORM in nodes:
        return None
    if not nodes:
        raise PermissionDenied(
            f"None of your roles permits `{permission}` anywhere. Ask your team's owner, or an "
            "administrator, for a role."
        )
    return frozenset(nodes)
