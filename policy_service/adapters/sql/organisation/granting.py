"""Roles: who was given which, and where."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from llm_core.policy.roles import Actor, Grant, Role
from policy_service.adapters.sql.engine import reading, writing
from policy_service.adapters.sql.key_changes import BY_US
from policy_service.adapters.sql.organisation.base import Store, current, owner_if_any
from policy_service.adapters.sql.organisation.changing import queue
from policy_service.adapters.sql.organisation.checks import require_grant
from policy_service.adapters.sql.organisation.parts import ROLES, role_subject
from policy_service.ports.organisation import RolesCheck


class Granting(Store):
    """Reads, gives and takes roles."""

    async def grants_of(self, subject: str) -> tuple[Grant, ...]:
        """The roles that `user:<id>`, `application:<id>` or `group:<name>` was given."""
        async with reading(self.engine) as connection:
            return await _grants_of(connection, subject)

    async def grant(
        self,
        role: Role,
        node: str,
        subject: str,
        actor: Actor = BY_US,
        *,
        check: RolesCheck = None,
    ) -> bool:
        """Give a role; false when they have it.

        Args:
            role: Which.
            node: Where; it holds below as well.
            subject: `user:<id>`, `application:<id>` or `group:<name>`.
            actor: Who gives it.
            check: Of the roles that the subject has.
        """
        record = {"role": role.value, "node": node, "subject": subject}
        async with writing(self.engine) as connection:
            await queue(connection)
            organisation = await require_grant(connection, record)
            if check is not None:
                check(await _grants_of(connection, subject))
            name = role_subject(role.value, node, subject)
            before = await current(connection, name, record)
            return bool(
                await self.change(
                    connection, organisation, name, before=before, after=record, actor=actor
                )
            )

    async def take(
        self,
        role: Role,
        node: str,
        subject: str,
        actor: Actor = BY_US,
        *,
        check: RolesCheck = None,
    ) -> bool:
        """Take a role; false when they do not have it."""
        record = {"role": role.value, "node": node, "subject": subject}
        name = role_subject(role.value, node, subject)
        async with writing(self.engine) as connection:
            await queue(connection)
            if check is not None:
                check(await _grants_of(connection, subject))
            before = await current(connection, name, record)
            organisation = None if before is None else await owner_if_any(connection, node)
            return bool(
                await self.change(
                    connection, organisation, name, before=before, after=None, actor=actor
                )
            )


async def _grants_of(connection: AsyncConnection, subject: str) -> tuple[Grant, ...]:
    query = select(ROLES.c.role, ROLES.c.node).where(
        ROLES.c.subject == subject, ROLES.c.role.in_(list(Role))
    )
    found = await connection.execute(query.order_by(ROLES.c.node, ROLES.c.role))
    return tuple(Grant(Role(role), node) for role, node in found)
