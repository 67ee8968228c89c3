"""What the people and the software that an identity provider speaks of may administer."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from llm_core.policy.claims import Claims
from llm_core.policy.roles import Actor, Grant, Role
from policy_service.adapters.sql.audit import record
from policy_service.adapters.sql.callers import utc_now
from policy_service.adapters.sql.engine import reading, writing
from policy_service.adapters.sql.matching import (
    application_of,
    group_subjects,
    name_of,
    qualified,
    user_of,
)
from policy_service.adapters.sql.tables import RoleGrant
from policy_service.ports.administrators import Holder
from policy_service.ports.clock import Clock

_ROLES = tuple(role.value for role in Role)
_LONGEST_NAME = 200


class SqlGrants:
    """Implements `ports.Grants` on PostgreSQL and SQLite."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        """Use `engine`, which the caller opens and disposes of; `clock` dates sign-ins."""
        self._engine = engine
        self._clock = clock

    async def of_claims(self, claims: Claims) -> Holder:
        """Who the claims speak of, with the grants of the person and of every group named.

        Somebody whom the database does not know has what their groups have.
        """
        async with reading(self._engine) as connection:
            name, is_active = await _who(connection, claims)
            if not is_active:
                return Holder(name, is_active=False)
            subjects = [name, *group_subjects(claims)]
            found = await connection.execute(
                select(RoleGrant.role, RoleGrant.node)
                # A role that only a newer version knows gives nothing here.
                .where(RoleGrant.subject.in_(subjects), RoleGrant.role.in_(_ROLES))
                .order_by(RoleGrant.node, RoleGrant.role)
            )
            grants = tuple(dict.fromkeys(Grant(Role(role), node) for role, node in found))
        return Holder(name, grants, also=(f"user:{name_of(claims)}",))

    async def note_sign_in(self, actor: Actor) -> None:
        """Write into the audit trail that they came, and what they held then."""
        held = [f"{grant.role.value} {grant.node}" for grant in actor.grants]
        async with writing(self._engine) as connection:
            await record(
                connection,
                actor,
                "sign_in",
                actor.name,
                None,
                {"grants": held},
                at=self._clock(),
            )


async def _who(connection: AsyncConnection, claims: Claims) -> tuple[str, bool]:
    """`user:<id>`, `application:<id>`, or what else the issuer calls them; and if they are active.

    Found as `SqlCallers.by_claims` finds a caller, so that one token speaks of one person.
    """
    user = await user_of(connection, claims)
    application = await application_of(connection, claims)
    is_active = all(one is None or one.is_active for one in (user, application))
    if user is not None:
        return f"user:{user.id}", is_active
    if application is not None:
        return f"application:{application.id}", is_active
    return f"subject:{qualified(claims)}"[:_LONGEST_NAME], True
